/* SPDX-License-Identifier: MIT */
/* fuzz_socks5.c - whatever a SOCKS5 proxy says, at once and byte by byte */
#include "core/socks5.h"
#include "fuzz/fuzz.h"

struct run {
	struct cv_socks5 s;
	size_t taken;
	int err;
};

static void say(struct run *r, const uint8_t *p, size_t len, size_t piece)
{
	while (len && !r->err && !r->s.talk.done) {
		size_t n = piece < len ? piece : len;
		uint8_t *copy = exact(p, n);
		int took = cv_socks5_input(&r->s, copy, n);
		free(copy);
		CHECK(took <= (int)n && r->s.talk.len <= CV_VIA_OUT);
		if (took < 0) {
			CHECK(*r->s.talk.why);
			r->err = took;
			return;
		}
		CHECK(took > 0 || r->s.talk.done);
		r->s.talk.len = 0; /* it was sent */
		r->taken += (size_t)took;
		p += took;
		len -= (size_t)took;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const proxies[] = { "socks5://proxy:1",
		"socks5://me:secret@proxy:1" };
	static const char *const targets[] = { "tcp://far.example:3456",
		"tcp://192.0.2.1:1", "tcp://[2001:db8::1]:65535" };
	struct feed f = { data, size };
	uint8_t which = feed_byte(&f);
	struct run a = { .err = 0 }, b = a;
	struct cv_via via;
	struct cv_url to;
	const char *why, *text = targets[which % CV_COUNT(targets)];
	CHECK(!cv_via_parse(&via, proxies[which >> 4 & 1], &why));
	CHECK(!cv_url_parse(&to, text, strlen(text), &why));
	cv_socks5_start(&a.s, &to, &via);
	cv_socks5_start(&b.s, &to, &via);
	CHECK(a.s.talk.len && a.s.talk.len == b.s.talk.len);
	say(&a, f.p, f.left, f.left);
	say(&b, f.p, f.left, 1);
	CHECK(a.err == b.err && a.s.talk.done == b.s.talk.done);
	CHECK(a.err || a.taken == b.taken);
	CHECK(!strcmp(a.s.talk.why, b.s.talk.why));
	return 0;
}
