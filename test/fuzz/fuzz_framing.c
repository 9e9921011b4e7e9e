/* SPDX-License-Identifier: MIT */
/*
 * fuzz_framing.c - foreign frames, cut anywhere, beside the plainest reader
 *
 *	start 1 | length of pieces 1 | what the other end says
 */
#include "core/framing.h"
#include "fuzz/fuzz.h"

enum { PIECES = 24 }; /* at most; each is copied with what waits for it */

/* where the plainest reader is */
struct model {
	const uint8_t *p, *end;
	uint64_t too_big;
};

/* the next datagram that may be delivered, or NULL */
static const uint8_t *next(struct model *m, uint32_t *len)
{
	while (m->end - m->p >= CV_FRAMING_HEAD) {
		const uint8_t *p = m->p + CV_FRAMING_HEAD;
		*len = cv_get16(m->p);
		if (*len > CV_DGRAM_MAX)
			m->too_big++;
		else if ((uint32_t)(m->end - p) < *len)
			return NULL;
		m->p = (uint32_t)(m->end - p) < *len ? m->end : p + *len;
		if (*len <= CV_DGRAM_MAX)
			return p;
	}
	return NULL;
}

static void check_train(struct model *m, const struct cv_frame *t)
{
	uint32_t len, at = 0;
	CHECK(t->len <= CV_DGRAM_MAX && cv_frame_count(t) <= CV_PACKET_DGRAMS);
	do {
		const uint8_t *p = next(m, &len);
		CHECK(p && at + len <= t->len);
		CHECK(len == t->seg || (at + len == t->len && len < t->seg));
		CHECK(!len || !memcmp(p, t->data + at, len));
		at += len;
	} while (at < t->len);
}

/* everything in @p up to @end; how much was left, or -1: the stream is lost */
static ptrdiff_t work(
	struct cv_framing *f, struct model *m, uint8_t **p, uint8_t *end)
{
	struct cv_frame train;
	const char *why = NULL;
	int r;
	while ((r = cv_framing_next(f, p, end, &train, &why)) > 0)
		check_train(m, &train);
	CHECK(r == 0 || (r == CULVERT_EPROTO && why));
	CHECK(*p <= end && end - *p < CV_FRAMING_HEAD + CV_DGRAM_MAX);
	return r ? -1 : end - *p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = { data, size };
	struct cv_framing framing = {
		.start = (enum cv_framing_start)(feed_byte(&f) % 3),
	};
	size_t piece = (size_t)feed_byte(&f) * 7 + 1;
	if (piece < f.left / PIECES + 1)
		piece = f.left / PIECES + 1;
	struct model m = { f.p, f.p + f.left, 0 };
	uint8_t *rest = NULL;
	ptrdiff_t left = 0;
	if (framing.start == CV_FRAMING_LED)
		m.p += f.left < CV_PREAMBLE ? f.left : CV_PREAMBLE;
	while (f.left && left >= 0) {
		size_t n = piece;
		const uint8_t *more = feed_skip(&f, &n);
		uint8_t *area = malloc((size_t)left + n), *p = area;
		CHECK(area);
		if (left)
			memcpy(area, rest, (size_t)left);
		memcpy(area + left, more, n);
		free(rest);
		left = work(&framing, &m, &p, area + left + n);
		rest = left > 0 ? exact(p, (size_t)left) : NULL;
		free(area);
	}
	free(rest);
	uint32_t len;
	if (left >= 0 && framing.start == CV_FRAMING_BARE) {
		CHECK(!next(&m, &len));
		CHECK(framing.too_big == m.too_big);
	}
	return 0;
}
