/* SPDX-License-Identifier: MIT */
/**
 * test_warm.c - once warm, a datagram costs no allocation
 *
 * Counted where memory is asked for: the nodes' environment and libcrypto.
 */
#include "unit/check.h"
#include "unit/pair.h"

#include <openssl/crypto.h>

enum { BATCH = 50, MANY = 1000000, FLOWS = 10 };

static uint64_t crypto_calls;

static void *count_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	crypto_calls++;
	return malloc(n);
}

static void *count_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	crypto_calls++;
	return realloc(p, n);
}

static void just_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

static uint64_t calls(const struct pair *p)
{
	return p->side[A].mem.calls + p->side[B].mem.calls + crypto_calls;
}

/* B sends everything back */
static void echo(
	struct edge *e, struct cv_end *end, const uint8_t *data, size_t len)
{
	pair_send(e->user, end, data, len, len);
}

static void batch(struct pair *p, struct cv_flow **f, uint64_t n)
{
	static const size_t size[] = { 64, 512, 1400, 0, 64, 100 };
	static uint8_t data[1400];
	for (int i = 0; i < BATCH; i++) {
		size_t len = size[(n + (uint64_t)i) % CV_COUNT(size)];
		pair_send(p, &f[i % FLOWS]->end[0], data, len, len);
	}
	pair_run(p, p->now + CV_MS(1));
}

static void relay(bool plain)
{
	struct pair *p = pair_new(plain);
	struct cv_flow *f[FLOWS];
	uint64_t n = 0, told = 0;
	pair_up(p);
	p->side[B].edge.take = echo;
	p->side[B].edge.user = p;
	for (unsigned i = 0; i < FLOWS; i++)
		f[i] = pair_open(p, i, "udp://127.0.0.1:5");
	for (; n < 50 * BATCH; n += BATCH)
		batch(p, f, n);
	uint64_t warm = calls(p), got = p->side[A].edge.dgrams;
	assert_int_equal(got, n);
	assert_true(crypto_calls > 0);
	for (; p->side[A].edge.dgrams - got < MANY / 2; n += BATCH) {
		batch(p, f, n);
		told += calls(p) != warm;
	}
	/* half a million there and as many back */
	assert_int_equal(told, 0);
	assert_int_equal(p->side[A].edge.dgrams, n);
	assert_int_equal(pair_drops(p, A) + pair_drops(p, B), 0);
	pair_free(p);
}

static void test_sealed(void **state)
{
	(void)state;
	relay(false);
}

static void test_plain(void **state)
{
	(void)state;
	relay(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_plain),
	};
	if (!CRYPTO_set_mem_functions(count_malloc, count_realloc, just_free))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
