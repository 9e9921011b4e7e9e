/* SPDX-License-Identifier: MIT */
/**
 * fuzz_socks5.c - what a SOCKS5 proxy says, beside the plainest reader
 *
 *	target, password 1 | answers ...
 */
#include "core/socks5.h"
#include "fuzz/fuzz.h"

/** struct run - one conversation */
struct run {
	struct cv_socks5 s;
	uint8_t said[CV_VIA_OUT];
	size_t len, taken;
	int err;
};

/* what is to be sent is sent */
static void say(struct run *r)
{
	struct cv_via_talk *t = &r->s.talk;
	CHECK(r->len + t->len <= sizeof r->said);
	memcpy(r->said + r->len, t->out, t->len);
	r->len += t->len;
	t->len = 0;
}

/* the answers in pieces of @piece bytes */
static void hear(struct run *r, const uint8_t *p, size_t len, size_t piece)
{
	say(r);
	while (len && !r->err && !r->s.talk.done) {
		size_t n = piece < len ? piece : len;
		uint8_t *copy = exact(p, n);
		int took = cv_socks5_input(&r->s, copy, n);
		free(copy);
		say(r);
		if (took < 0) {
			r->err = took;
			return;
		}
		CHECK((size_t)took == n || (r->s.talk.done && took));
		r->taken += (size_t)took;
		p += took;
		len -= (size_t)took;
	}
}

/** struct answer - what is left of it; @taken is how much was */
struct answer {
	const uint8_t *p;
	size_t left, taken;
};

static bool has(struct answer *a, size_t n)
{
	if (a->left < n)
		return false;
	a->p += n;
	a->left -= n;
	a->taken += n;
	return true;
}

/* RFC 1928, section 6: 1, 0 if it is not all there, or what is wrong */
static int reply(struct answer *a)
{
	const uint8_t *p = a->p;
	if (!has(a, 2))
		return 0;
	if (p[0] != 5)
		return CULVERT_EPROTO;
	if (p[1])
		return CULVERT_EREFUSED;
	if (!has(a, 3))
		return 0;
	size_t len = p[3] == 1 ? 3 : p[3] == 4 ? 15 : p[4];
	if (p[3] != 1 && p[3] != 3 && p[3] != 4)
		return CULVERT_EPROTO;
	return has(a, len + 2);
}

/* the same of everything; @steps: how many times an answer is due */
static int conversation(struct answer *a, bool auth, unsigned *steps)
{
	const uint8_t *p = a->p;
	*steps = 1;
	if (!has(a, 2))
		return 0;
	if (p[0] != 5)
		return CULVERT_EPROTO;
	if (p[1] == 0xff)
		return CULVERT_EREFUSED;
	if (p[1] && !(p[1] == 2 && auth))
		return CULVERT_EPROTO;
	*steps = 2;
	if (p[1] && !has(a, 2))
		return 0;
	if (p[1] && p[3])
		return CULVERT_EREFUSED;
	*steps += p[1] != 0;
	return reply(a);
}

static void expect(struct run *want, const void *bytes, size_t len)
{
	memcpy(want->said + want->len, bytes, len);
	want->len += len;
}

/** struct target - and how it is asked for */
static const struct target {
	const char *url, *request;
	size_t len;
} targets[] = {
	{ "tcp://far.example:3456", "\5\1\0\3\13far.example\x0d\x80", 18 },
	{ "tcp://192.0.2.1:1", "\5\1\0\1\xc0\0\2\1\0\1", 10 },
	{ "tcp://[2001:db8::1]:65535",
		"\5\1\0\4\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\xff\xff", 22 },
};

static void check(const struct run *r, struct answer a, bool auth,
	const struct target *to)
{
	static struct run want;
	unsigned steps;
	bool logs_in = auth && a.left > 1 && a.p[1] == 2;
	int err = conversation(&a, auth, &steps);
	CHECK(r->s.talk.done == (err > 0));
	CHECK(r->err == (err > 0 ? 0 : err));
	CHECK(err <= 0 || r->taken == a.taken);
	CHECK(!r->err == !*r->s.talk.why);
	want.len = 0;
	expect(&want, auth ? "\5\2\0\2" : "\5\1\0", auth ? 4 : 3);
	if (steps > 1 && logs_in)
		expect(&want, "\1\2me\6secret", 11);
	if (steps > 1 + (unsigned)logs_in)
		expect(&want, to->request, to->len);
	CHECK(r->len == want.len && !memcmp(r->said, want.said, r->len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run whole, bits;
	struct feed f = { data, size };
	uint8_t which = feed_byte(&f);
	const struct target *to = &targets[which % CV_COUNT(targets)];
	bool auth = which >> 4 & 1;
	struct cv_via via;
	struct cv_url url;
	const char *why;
	CHECK(!cv_via_parse(&via,
		auth ? "socks5://me:secret@proxy:1" : "socks5://proxy:1",
		&why));
	CHECK(!cv_url_parse(&url, to->url, strlen(to->url), &why));
	memset(&whole, 0, sizeof whole);
	cv_socks5_start(&whole.s, &url, &via);
	bits = whole;
	hear(&whole, f.p, f.left, f.left);
	hear(&bits, f.p, f.left, 1);
	CHECK(whole.err == bits.err && whole.len == bits.len);
	check(&whole, (struct answer){ f.p, f.left, 0 }, auth, to);
	check(&bits, (struct answer){ f.p, f.left, 0 }, auth, to);
	return 0;
}
