/* SPDX-License-Identifier: MIT */
/* fuzz_http_connect.c - whatever an HTTP proxy says, at once and byte by byte
 */
#include "core/http_connect.h"
#include "fuzz/fuzz.h"

struct run {
	struct cv_http_connect s;
	size_t taken;
	int err;
};

static void say(struct run *r, const uint8_t *p, size_t len, size_t piece)
{
	while (len && !r->err && !r->s.talk.done) {
		size_t n = piece < len ? piece : len;
		uint8_t *copy = exact(p, n);
		int took = cv_http_connect_input(&r->s, copy, n);
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
	static const char *const proxies[] = { "http://proxy:1",
		"http://me:secret@proxy:1" };
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
	cv_http_connect_start(&a.s, &to, &via);
	cv_http_connect_start(&b.s, &to, &via);
	CHECK(a.s.talk.len && a.s.talk.len == b.s.talk.len);
	say(&a, f.p, f.left, f.left);
	say(&b, f.p, f.left, 1);
	CHECK(a.err == b.err && a.s.talk.done == b.s.talk.done);
	CHECK(a.err || a.taken == b.taken);
	CHECK(!strcmp(a.s.talk.why, b.s.talk.why));
	return 0;
}
