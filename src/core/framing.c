/* SPDX-License-Identifier: MIT */
#include "core/framing.h"

#include <string.h>

const uint8_t cv_framing_preamble[CV_PREAMBLE] = {
	'u',
	'd',
	'p',
	't',
	'u',
	'n',
	'n',
	'e',
	'l',
	' ',
	'b',
	'y',
	' ',
	'm',
	'd',
	'.',
	0x00,
	0x00,
	0x00,
	0x01,
	0x03,
	0x06,
	0x10,
	0x15,
	0x21,
	0x28,
	0x36,
	0x45,
	0x55,
	0x66,
	0x78,
	0x91,
};

static bool has_scheme(const char *url, const char *scheme)
{
	size_t n = strlen(scheme);
	return !strncmp(url, scheme, n) && (!url[n] || url[n] == ':');
}

enum cv_framing_start cv_framing_of(const char *url)
{
	if (has_scheme(url, "frames+tcp"))
		return CV_FRAMING_GUARDED;
	return has_scheme(url, "udptunnel+tcp") ? CV_FRAMING_LED
						: CV_FRAMING_BARE;
}

/** struct hello - how another protocol begins */
struct hello {
	const uint8_t *bytes;
	uint32_t len;
	uint32_t any; /* bit n: byte n may be anything */
	const char *why;
};

static const struct hello hellos[] = {
	{ cv_framing_preamble, CV_PREAMBLE, 0,
		"the client speaks udptunnel's handshake: use "
		"udptunnel+tcp://" },
	{ (const uint8_t *)"IKETCP", 6, 0,
		"the client speaks IKE over TCP (RFC 9329), whose lengths "
		"count themselves" },
	{ (const uint8_t *)"GET /", 5, 0, "the client speaks HTTP" },
	{ (const uint8_t *)"\x16\x03\x01..\x01", 6, 1 << 3 | 1 << 4,
		"the client speaks TLS" },
	{ (const uint8_t *)"\x16\x03\x02..\x01", 6, 1 << 3 | 1 << 4,
		"the client speaks TLS" },
	{ (const uint8_t *)"\x16\x03\x03..\x01", 6, 1 << 3 | 1 << 4,
		"the client speaks TLS" },
};

/* how many bytes from @p on are those of @h; @len at most */
static size_t agreeing(const struct hello *h, const uint8_t *p, size_t len)
{
	size_t n = 0;
	while (n < h->len && n < len &&
		(p[n] == h->bytes[n] || (h->any >> n & 1)))
		n++;
	return n;
}

/* 1: these are frames, 0: not to be told yet, or CULVERT_EPROTO */
static int recognise(const uint8_t *p, size_t len, const char **why)
{
	int sure = 1;
	for (size_t i = 0; i < CV_COUNT(hellos); i++) {
		size_t n = agreeing(&hellos[i], p, len);
		if (n == hellos[i].len) {
			*why = hellos[i].why;
			return CULVERT_EPROTO;
		}
		if (n == len)
			sure = 0;
	}
	return sure;
}

static int preamble(uint8_t **p, size_t len, const char **why)
{
	size_t n = agreeing(&hellos[0], *p, len);
	if (n == CV_PREAMBLE) {
		*p += n;
		return 1;
	}
	*why = "no udptunnel handshake: if the client is none of rfc1036's, "
	       "use frames+tcp://";
	return n == len ? 0 : CULVERT_EPROTO;
}

/* what stands in front of the frames; as recognise() */
static int begin(
	struct cv_framing *f, uint8_t **p, const uint8_t *end, const char **why)
{
	size_t len = (size_t)(end - *p);
	int r = f->start == CV_FRAMING_LED ? preamble(p, len, why)
					   : recognise(*p, len, why);
	if (r > 0)
		f->start = CV_FRAMING_BARE;
	return r;
}

static void skip(struct cv_framing *f, uint8_t **p, const uint8_t *end)
{
	size_t n = (size_t)(end - *p);
	if (n > f->skip)
		n = f->skip;
	*p += n;
	f->skip -= (uint32_t)n;
}

/* step over over-long frames; true if a whole one stands at *@p then */
static bool find(struct cv_framing *f, uint8_t **p, const uint8_t *end)
{
	for (;;) {
		skip(f, p, end);
		if (end - *p < CV_FRAMING_HEAD)
			return false;
		uint32_t len = cv_get16(*p);
		if (len <= CV_DGRAM_MAX)
			return end - *p >= CV_FRAMING_HEAD + (ptrdiff_t)len;
		f->skip = CV_FRAMING_HEAD + len;
		f->frames++;
		f->too_big++;
	}
}

/* whole frames from *@p on that fit behind @t are moved there */
static void join(struct cv_framing *f, uint8_t **p, const uint8_t *end,
	struct cv_frame *t)
{
	uint32_t most = CV_DGRAM_MAX, len = t->seg;
	if (most > t->seg * CV_PACKET_DGRAMS)
		most = t->seg * CV_PACKET_DGRAMS;
	while (len == t->seg && end - *p >= CV_FRAMING_HEAD) {
		len = cv_get16(*p);
		if (!len || len > t->seg || t->len + len > most ||
			end - *p < CV_FRAMING_HEAD + (ptrdiff_t)len)
			return;
		memmove(t->data + t->len, *p + CV_FRAMING_HEAD, len);
		t->len += len;
		*p += CV_FRAMING_HEAD + len;
		f->frames++;
	}
}

int cv_framing_next(struct cv_framing *f, uint8_t **p, uint8_t *end,
	struct cv_frame *train, const char **why)
{
	if (f->start != CV_FRAMING_BARE) {
		int r = begin(f, p, end, why);
		if (r <= 0)
			return r;
	}
	if (!find(f, p, end))
		return 0;
	uint32_t len = cv_get16(*p);
	*train = (struct cv_frame){
		.type = CV_FRAME_DGRAM,
		.seg = len,
		.len = len,
		.data = *p + CV_FRAMING_HEAD,
	};
	*p += CV_FRAMING_HEAD + len;
	f->frames++;
	if (len)
		join(f, p, end, train);
	return 1;
}
