/* SPDX-License-Identifier: MIT */
/* test_ranges.c - a set of ranges, against one bit for each number */
#include "unit/check.h"

#include "core/ranges.h"
#include "unit/env.h"

enum { SPAN = 300, STEPS = 20000, MANY = 1000 };

struct fix {
	struct mem mem;
	struct cv_env env;
	struct cv_ranges s;
	bool in[SPAN];
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	assert_non_null(f);
	f->env = mem_env(&f->mem, 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	cv_ranges_clear(&f->s, &f->env);
	size_t left = f->mem.blocks;
	free(f);
	return left ? -1 : 0;
}

static void paint(struct fix *f, uint64_t lo, uint64_t hi, bool in)
{
	for (; lo < hi; lo++)
		f->in[lo] = in;
}

/* how many ranges the bits make */
static uint32_t islands(const struct fix *f)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < SPAN; i++)
		n += f->in[i] && (!i || !f->in[i - 1]);
	return n;
}

static void same(const struct fix *f)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < SPAN; i++) {
		assert_int_equal(cv_ranges_has(&f->s, i), f->in[i]);
		n += f->in[i];
	}
	assert_int_equal(cv_ranges_bytes(&f->s), n);
	assert_int_equal(f->s.count, islands(f));
	for (uint32_t i = 0; i < f->s.count; i++) {
		assert_true(f->s.r[i].lo < f->s.r[i].hi);
		assert_true(!i || f->s.r[i - 1].hi < f->s.r[i].lo);
	}
}

/* one random change; what does not fit changes nothing */
static void step(struct fix *f, uint64_t *seed, uint32_t max)
{
	uint64_t lo = rnd_below(seed, SPAN);
	uint64_t hi = lo + rnd_below(seed, 12);
	uint64_t what = rnd_below(seed, 21);
	struct fix was = *f;
	bool more = what < 10;
	int err = 0;
	hi = hi < SPAN ? hi : SPAN;
	if (what == 20) {
		cv_ranges_below(&f->s, lo / 4);
		paint(f, 0, lo / 4, false);
		same(f);
		return;
	}
	paint(f, lo, hi, more);
	err = more ? cv_ranges_add(&f->s, &f->env, lo, hi, max)
		   : cv_ranges_del(&f->s, &f->env, lo, hi, max);
	if (islands(f) > max && islands(f) > islands(&was)) {
		assert_int_equal(err, CULVERT_EFULL);
		memcpy(f->in, was.in, sizeof was.in);
	} else {
		assert_int_equal(err, 0);
	}
	same(f);
}

static void test_model(void **state)
{
	struct fix *f = *state;
	for (uint64_t seed = 1; seed < 4; seed++) {
		uint64_t s = seed;
		for (int i = 0; i < STEPS; i++)
			step(f, &s, (uint32_t)(6 + 12 * (seed - 1)));
		cv_ranges_clear(&f->s, &f->env);
		assert_int_equal(f->mem.blocks, 0);
		memset(f->in, 0, sizeof f->in);
	}
}

static void test_cover(void **state)
{
	struct fix *f = *state;
	uint64_t seed = 9;
	for (int i = 0; i < STEPS; i++) {
		uint64_t lo = rnd_below(&seed, SPAN - 8);
		uint64_t hi = lo + 1 + rnd_below(&seed, 7);
		assert_int_equal(cv_ranges_cover(&f->s, &f->env, lo, hi, 4), 0);
		paint(f, lo, hi, true);
		assert_true(f->s.count <= 4);
		for (uint32_t n = 0; n < SPAN; n++)
			assert_true(!f->in[n] || cv_ranges_has(&f->s, n));
		if (i % 40 == 39) {
			cv_ranges_clear(&f->s, &f->env);
			memset(f->in, 0, sizeof f->in);
		}
	}
}

static void test_cover_takes_the_nearest(void **state)
{
	struct fix *f = *state;
	struct cv_ranges *s = &f->s;
	assert_int_equal(cv_ranges_add(s, &f->env, 10, 20, 2), 0);
	assert_int_equal(cv_ranges_add(s, &f->env, 50, 60, 2), 0);
	assert_int_equal(cv_ranges_cover(s, &f->env, 24, 26, 2), 0);
	assert_true(s->r[0].lo == 10 && s->r[0].hi == 26);
	assert_int_equal(cv_ranges_cover(s, &f->env, 46, 47, 2), 0);
	assert_true(s->r[1].lo == 46 && s->r[1].hi == 60);
	assert_int_equal(cv_ranges_cover(s, &f->env, 70, 72, 2), 0);
	assert_true(s->r[1].lo == 46 && s->r[1].hi == 72);
	assert_int_equal(cv_ranges_cover(s, &f->env, 2, 3, 2), 0);
	assert_true(s->r[0].lo == 2 && s->r[0].hi == 26);
	assert_int_equal(s->count, 2);
}

/* without memory nothing changes, or the nearest grows */
static void test_memory(void **state)
{
	struct fix *f = *state;
	struct cv_ranges *s = &f->s;
	f->mem.fail_all = true;
	assert_int_equal(cv_ranges_add(s, &f->env, 5, 6, MANY), CULVERT_ENOMEM);
	assert_int_equal(
		cv_ranges_cover(s, &f->env, 5, 6, MANY), CULVERT_ENOMEM);
	assert_int_equal(s->count, 0);
	f->mem.fail_all = false;
	for (uint64_t n = 0; n < 8; n++)
		assert_int_equal(
			cv_ranges_add(s, &f->env, n * 10, n * 10 + 5, MANY), 0);
	f->mem.fail_all = true;
	assert_int_equal(s->count, s->size);
	assert_int_equal(
		cv_ranges_add(s, &f->env, 100, 101, MANY), CULVERT_ENOMEM);
	assert_int_equal(cv_ranges_del(s, &f->env, 2, 3, MANY), CULVERT_ENOMEM);
	assert_int_equal(cv_ranges_bytes(s), 40);
	assert_true(cv_ranges_has(s, 2));
	assert_int_equal(cv_ranges_cover(s, &f->env, 80, 81, MANY), 0);
	assert_int_equal(cv_ranges_bytes(s), 46);
	assert_int_equal(cv_ranges_add(s, &f->env, 5, 10, MANY), 0);
	assert_int_equal(s->count, 7);
}

static void test_many(void **state)
{
	struct fix *f = *state;
	for (uint64_t n = 0; n < MANY; n++)
		assert_int_equal(
			cv_ranges_add(&f->s, &f->env, n * 3, n * 3 + 2, MANY),
			0);
	assert_int_equal(
		cv_ranges_add(&f->s, &f->env, MANY * 3, MANY * 3 + 1, MANY),
		CULVERT_EFULL);
	for (uint64_t n = 0; n < 3 * MANY; n++)
		assert_int_equal(cv_ranges_has(&f->s, n), n % 3 != 2);
	/* memory doubles: it is not asked for each time */
	assert_true(f->mem.calls < 12);
	cv_ranges_below(&f->s, 3 * MANY);
	assert_int_equal(f->s.count, 0);
}

static void test_top(void **state)
{
	struct fix *f = *state;
	uint64_t top = UINT64_MAX;
	assert_int_equal(cv_ranges_add(&f->s, &f->env, top - 2, top, 4), 0);
	assert_true(cv_ranges_has(&f->s, top - 1));
	assert_false(cv_ranges_has(&f->s, top));
	assert_false(cv_ranges_has(&f->s, top - 3));
	assert_int_equal(cv_ranges_del(&f->s, &f->env, top - 1, top, 4), 0);
	assert_false(cv_ranges_has(&f->s, top - 1));
	assert_int_equal(cv_ranges_add(&f->s, &f->env, 7, 7, 4), 0);
	assert_int_equal(cv_ranges_del(&f->s, &f->env, top - 2, 5, 4), 0);
	assert_int_equal(f->s.count, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_model),
		TEST(test_cover),
		TEST(test_cover_takes_the_nearest),
		TEST(test_memory),
		TEST(test_many),
		TEST(test_top),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
