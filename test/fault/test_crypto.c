/* SPDX-License-Identifier: MIT */
/* test_crypto.c - every allocation inside libcrypto fails once */
#include "unit/check.h"
#include "unit/pair.h"

#include <openssl/crypto.h>

static uint64_t asked, fail_at;

static void *may_fail(void)
{
	return NULL;
}

static void *get(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return ++asked == fail_at ? may_fail() : malloc(n);
}

static void *resize(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return ++asked == fail_at ? may_fail() : realloc(p, n);
}

static void give_back(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

/* the @at-th call from here on fails; 0: none */
static void fail_in(uint64_t at)
{
	asked = 0;
	fail_at = at;
}

/* a handshake in which one of them fails; true if it came to that */
static bool handshake(uint64_t at)
{
	struct pair *p = pair_new(false);
	fail_in(at);
	struct wire *w = pair_wire(p, p->side[A].s);
	pair_settle(p);
	uint64_t n = asked;
	fail_in(0);
	/* it came up all the same, or is given up and begun again */
	if (!cv_session_up(p->side[A].s) || !cv_session_up(p->side[B].s)) {
		pair_run(p, p->now + CV_HANDSHAKE_TIMEOUT + CV_MS(1));
		if (!w->end[A].open)
			pair_up(p);
	}
	struct cv_flow *f = pair_open(p, 1, "udp://127.0.0.1:5");
	pair_say(p, f, 100);
	pair_settle(p);
	assert_int_equal(p->side[B].edge.dgrams, 1);
	pair_free(p);
	return n >= at;
}

static void test_handshake(void **state)
{
	uint64_t at = 1;
	(void)state;
	while (handshake(at))
		at++;
	assert_true(at > 50);
}

static void test_keys(void **state)
{
	uint8_t key[CV_KEY] = { 9 }, pub[CV_KEY], out[CV_KEY];
	uint64_t reached, failed[2] = { 0 };
	(void)state;
	for (int what = 0; what < 2; what++) {
		uint64_t at = 0;
		do {
			fail_in(++at);
			int err = what ? cv_crypto_dh(out, key, pub)
				       : cv_crypto_public(pub, key);
			reached = asked;
			fail_in(0);
			assert_true(!err || err == CULVERT_ECRYPTO);
			failed[what] += err != 0;
		} while (reached >= at);
		assert_true(failed[what] > 0);
	}
}

static void test_new(void **state)
{
	uint64_t at = 0, reached, failed = 0;
	(void)state;
	do {
		fail_in(++at);
		struct cv_crypto *c = cv_crypto_new();
		reached = asked;
		fail_in(0);
		failed += !c;
		cv_crypto_free(c);
	} while (reached >= at);
	assert_true(failed > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_handshake),
	};
	if (!CRYPTO_set_mem_functions(get, resize, give_back))
		return 1;
	/* what is fetched once and kept for good is not what is tested */
	struct cv_crypto *first = cv_crypto_new();
	if (!first)
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	cv_crypto_free(first);
	return failed;
}
