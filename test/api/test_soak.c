/* SPDX-License-Identifier: MIT */
/* test_soak.c - datagrams each way, in pieces and at times as they fall */
#include "bytes.h"

static struct pair p;

/* anything at any time: nothing is lost, altered or out of order */
static void soak(uint64_t seed)
{
	static uint8_t data[CULVERT_DGRAM_MAX];
	culvert_flow *f[2];
	unsigned sent[2] = { 0 };
	pair_begin(&p, "MaxAge = 10s\n");
	pair_wire(&p);
	p.seed = seed;
	p.piece = 1 + pair_random(&p, 100000);
	f[A] = pair_open(&p, "app://x");
	f[B] = p.side[B].flow;
	side_clear(&p.side[A]);
	side_clear(&p.side[B]);
	for (int turn = 0; turn < 300; turn++) {
		int from = (int)pair_random(&p, 2);
		struct side *to = &p.side[!from];
		size_t len = pair_random(&p, 4) ? pair_random(&p, 1500)
						: pair_random(&p, 65508);
		fill(data, len, sent[from]);
		culvert_send(f[from], data, len);
		sent[from]++;
		if (pair_random(&p, 3))
			continue;
		pair_run(&p, pair_random(&p, MS(20)));
		assert_int_equal(to->dgrams, sent[from]);
		assert_int_equal(to->len, len);
		assert_true(filled(to->data, len, sent[from] - 1));
	}
	pair_settle(&p);
	assert_int_equal(p.side[B].dgrams, sent[A]);
	assert_int_equal(p.side[A].dgrams, sent[B]);
}

static void test_soak(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 30; seed++) {
		soak(seed * 0x9e3779b97f4a7c15u);
		pair_end(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_soak) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
