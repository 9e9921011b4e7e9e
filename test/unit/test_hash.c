/* SPDX-License-Identifier: MIT */
/* test_hash.c - SipHash against a reference, the table against a model */
#include "unit/check.h"

#include "core/hash.h"
#include "unit/env.h"

static uint64_t left(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static void rounds(uint64_t v[4], int n)
{
	while (n--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = left(v[1], 13) ^ v[0];
		v[3] = left(v[3], 16) ^ v[2];
		v[0] = left(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = left(v[1], 17) ^ v[2];
		v[3] = left(v[3], 21) ^ v[0];
		v[2] = left(v[2], 32);
	}
}

/* SipHash-c-d as its paper writes it, a byte at a time */
static uint64_t reference(
	int c, int d, const uint64_t key[2], const uint8_t *p, size_t len)
{
	uint64_t v[4] = { key[0] ^ UINT64_C(0x736f6d6570736575),
		key[1] ^ UINT64_C(0x646f72616e646f6d),
		key[0] ^ UINT64_C(0x6c7967656e657261),
		key[1] ^ UINT64_C(0x7465646279746573) };
	uint64_t word = 0;
	for (size_t i = 0; i < len / 8 * 8 + 8; i++) {
		uint64_t byte = i < len ? p[i] : 0;
		if (i == len / 8 * 8 + 7)
			byte = len & 0xff;
		word |= byte << 8 * (i % 8);
		if (i % 8 == 7) {
			v[3] ^= word;
			rounds(v, c);
			v[0] ^= word;
			word = 0;
		}
	}
	v[2] ^= 0xff;
	rounds(v, d);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void test_siphash(void **state)
{
	const uint64_t key[2] = { UINT64_C(0x0706050403020100),
		UINT64_C(0x0f0e0d0c0b0a0908) };
	uint8_t text[300];
	uint64_t seed = 7, k[2];
	(void)state;
	/* appendix A of the paper vouches for the reference */
	for (uint8_t i = 0; i < 15; i++)
		text[i] = i;
	assert_true(
		reference(2, 4, key, text, 15) == UINT64_C(0xa129ca6149be45e5));
	for (size_t len = 0; len <= sizeof text; len++) {
		rnd_fill(&seed, text, len);
		rnd_fill(&seed, k, sizeof k);
		assert_true(cv_siphash(k, text, len) ==
			    reference(1, 3, k, text, len));
	}
}

/* wherever in memory it stands, and every bit counts */
static void test_siphash_bits(void **state)
{
	const uint64_t key[2] = { 1, 2 };
	uint8_t text[64] = { 0 }, moved[64 + 8];
	(void)state;
	uint64_t h = cv_siphash(key, text, 50);
	for (size_t off = 0; off < 8; off++) {
		memcpy(moved + off, text, 50);
		assert_true(cv_siphash(key, moved + off, 50) == h);
	}
	for (size_t i = 0; i < 50 * 8; i++) {
		text[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_false(cv_siphash(key, text, 50) == h);
		text[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_false(cv_siphash(key, text, 49) == h);
	assert_false(cv_siphash((uint64_t[]){ 1, 3 }, text, 50) == h);
}

enum { N = 3000 };

struct item {
	struct cv_hnode node;
	bool in;
	unsigned seen;
};

static void check_chain(struct cv_htab *t, struct item *item, uint64_t hash)
{
	unsigned want = 0, got = 0;
	struct cv_hnode *n = cv_htab_first(t, hash);
	for (int i = 0; i < N; i++)
		want += item[i].in && item[i].node.hash == hash;
	for (; n; n = cv_htab_next(n)) {
		struct item *x = CV_CONTAINER(n, struct item, node);
		assert_true(x->in);
		assert_true(n->hash == hash);
		got++;
	}
	assert_int_equal(got, want);
}

/* few distinct hashes, so that many entries share one */
static void run(bool can_grow)
{
	struct mem mem;
	struct cv_env env = mem_env(&mem, 1);
	struct cv_htab t;
	static struct item item[N];
	uint64_t seed = 8;
	size_t used = 0;
	memset(item, 0, sizeof item);
	assert_int_equal(cv_htab_init(&t, &env), 0);
	mem.fail_all = !can_grow;
	for (int i = 0; i < 20000; i++) {
		struct item *x = &item[rnd_below(&seed, N)];
		if (x->in) {
			cv_htab_del(&t, &x->node);
			x->in = false;
			used--;
		} else {
			uint64_t h = rnd_below(&seed, 1000) * 0x10001;
			cv_htab_add(&t, &x->node, h);
			x->in = true;
			used++;
		}
		assert_int_equal(t.used, used);
		if (i % 16 == 0)
			check_chain(&t, item, x->node.hash);
	}
	for (uint64_t h = 0; h < 1000; h++)
		check_chain(&t, item, h * 0x10001);
	assert_int_equal(can_grow, t.size >= used);
	assert_int_equal(mem.blocks, 1);
	cv_htab_clear(&t);
	assert_int_equal(mem.bytes, 0);
}

static void test_table(void **state)
{
	(void)state;
	run(true);
}

static void test_table_that_cannot_grow(void **state)
{
	(void)state;
	run(false);
}

static void test_no_memory(void **state)
{
	struct mem mem;
	struct cv_env env = mem_env(&mem, 1);
	struct cv_htab t;
	(void)state;
	mem.fail_all = true;
	assert_int_equal(cv_htab_init(&t, &env), CULVERT_ENOMEM);
	cv_htab_clear(&t);
	assert_int_equal(mem.blocks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_siphash_bits),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_table_that_cannot_grow),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
