/* SPDX-License-Identifier: MIT */
/* test_replay.c - the sliding window, against a set of all numbers seen */
#include "unit/check.h"

#include "core/replay.h"
#include "unit/env.h"

enum { RANGE = 1 << 20, WINDOW = CV_REPLAY_BITS - 64 };

/* @walk: how the numbers move on */
static void run(uint64_t base, uint64_t seed, uint64_t walk)
{
	struct cv_replay r = { 0 };
	uint8_t *seen = calloc(1, RANGE);
	uint64_t top = 0, at = 0; /* top: highest seen plus one */
	assert_non_null(seen);
	while (at < RANGE - 70000) {
		uint64_t n;
		at += rnd_below(&seed, walk);
		if (!rnd_below(&seed, 500))
			at += rnd_below(&seed, 3 * CV_REPLAY_BITS);
		n = at + rnd_below(&seed, 64);
		if (!rnd_below(&seed, 3)) /* an old one, around the edge */
			n = n > WINDOW + 100
				    ? n - WINDOW - 100 + rnd_below(&seed, 200)
				    : rnd_below(&seed, n + 1);
		else if (!rnd_below(&seed, 3))
			n -= rnd_below(&seed, n < WINDOW ? n + 1 : WINDOW);
		bool want = !seen[n] && n + WINDOW >= top;
		assert_int_equal(cv_replay_check(&r, base + n), want);
		if (want)
			seen[n] = 1;
		if (want && n >= top)
			top = n + 1;
	}
	free(seen);
}

static void test_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		run(0, seed, 2 + 8 * seed);
		run(UINT64_C(1) << 63, seed, 2 + 8 * seed);
		run((UINT64_C(1) << 32) - RANGE / 2 + 7, seed, 2 + 8 * seed);
		run(UINT64_MAX - RANGE, seed, 2 + 8 * seed);
	}
}

static void test_edges(void **state)
{
	struct cv_replay r = { 0 };
	(void)state;
	assert_true(cv_replay_check(&r, 0));
	assert_false(cv_replay_check(&r, 0));
	/* the window ends exactly here */
	assert_true(cv_replay_check(&r, 100000));
	assert_true(cv_replay_check(&r, 100001 - WINDOW));
	assert_false(cv_replay_check(&r, 100001 - WINDOW));
	assert_false(cv_replay_check(&r, 100000 - WINDOW));
	assert_true(WINDOW >= 8000); /* as doc/protocol.md promises */
}

/* a slot of the ring comes round again and must not remember */
static void test_ring_forgets(void **state)
{
	struct cv_replay r = { 0 };
	(void)state;
	for (uint64_t i = 0; i < 3 * CV_REPLAY_BITS; i++)
		assert_true(cv_replay_check(&r, i));
	/* a leap of less, exactly and more than the whole ring */
	uint64_t at = 3 * CV_REPLAY_BITS;
	for (uint64_t leap = CV_REPLAY_BITS - 65; leap < CV_REPLAY_BITS + 130;
		leap++) {
		assert_true(cv_replay_check(&r, at += leap));
		for (uint64_t k = 1; k < WINDOW && k < leap; k++)
			assert_true(cv_replay_check(&r, at - k));
		assert_false(cv_replay_check(&r, at - 1));
	}
}

static void test_last_numbers(void **state)
{
	struct cv_replay r = { 0 };
	(void)state;
	assert_true(cv_replay_check(&r, UINT64_MAX - 1));
	assert_false(cv_replay_check(&r, UINT64_MAX - 1));
	assert_false(cv_replay_check(&r, UINT64_MAX));
	assert_true(cv_replay_check(&r, UINT64_MAX - 2));
	assert_false(cv_replay_check(&r, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_ring_forgets),
		cmocka_unit_test(test_last_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
