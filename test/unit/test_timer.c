/* SPDX-License-Identifier: MIT */
/* test_timer.c - the heap, against a walk through all timers */
#include "unit/check.h"

#include "core/timer.h"
#include "unit/env.h"

enum { N = 200 };

struct one {
	struct cv_timer timer;
	cv_time want; /* CV_NEVER: not set */
	unsigned fired;
};

static cv_time last; /* order of firing */

static void fire(struct cv_timer *t, cv_time now)
{
	struct one *x = CV_CONTAINER(t, struct one, timer);
	assert_true(x->want <= now);
	assert_true(x->want >= last);
	last = x->want;
	x->want = CV_NEVER;
	x->fired++;
}

static cv_time earliest(const struct one *x)
{
	cv_time t = CV_NEVER;
	for (int i = 0; i < N; i++)
		t = x[i].want < t ? x[i].want : t;
	return t;
}

static void test_model(void **state)
{
	struct mem mem;
	struct cv_env env = mem_env(&mem, 1);
	struct cv_timers t;
	static struct one x[N];
	uint64_t seed = 6;
	cv_time now = 0;
	(void)state;
	cv_timers_init(&t, &env);
	assert_int_equal(cv_timers_next(&t), CV_NEVER);
	assert_int_equal(cv_timers_reserve(&t, N), 0);
	for (int i = 0; i < N; i++)
		x[i] = (struct one){ .timer.fire = fire, .want = CV_NEVER };
	for (int i = 0; i < 200000; i++) {
		struct one *y = &x[rnd_below(&seed, N)];
		if (rnd_below(&seed, 8)) {
			y->want = rnd_below(&seed, 5)
					  ? now + rnd_below(&seed, 1000)
					  : CV_NEVER;
			cv_timer_set(&t, &y->timer, y->want);
		} else {
			now += rnd_below(&seed, 300);
			last = 0;
			cv_timers_run(&t, now);
			assert_true(earliest(x) > now);
		}
		assert_int_equal(cv_timers_next(&t), earliest(x));
		assert_int_equal(y->timer.place != 0, y->want != CV_NEVER);
	}
	cv_timers_clear(&t);
	assert_int_equal(mem.blocks, 0);
}

static struct cv_timers *again;

static void set_again(struct cv_timer *t, cv_time now)
{
	CV_CONTAINER(t, struct one, timer)->fired++;
	cv_timer_set(again, t, now);
}

static void test_set_again_waits_for_the_next_run(void **state)
{
	struct mem mem;
	struct cv_env env = mem_env(&mem, 1);
	struct cv_timers t;
	struct one x[3] = { 0 };
	(void)state;
	cv_timers_init(&t, &env);
	assert_int_equal(cv_timers_reserve(&t, 3), 0);
	again = &t;
	for (int i = 0; i < 3; i++) {
		x[i].timer.fire = set_again;
		cv_timer_set(&t, &x[i].timer, i ? 1000 : 5);
	}
	cv_timers_run(&t, 4);
	assert_int_equal(x[0].fired, 0);
	cv_timers_run(&t, 5);
	assert_int_equal(x[0].fired, 1);
	cv_timers_run(&t, 6);
	assert_int_equal(x[0].fired, 2);
	assert_int_equal(x[1].fired + x[2].fired, 0);
	cv_timers_clear(&t);
}

static struct one *other;

static void unset_other(struct cv_timer *t, cv_time now)
{
	(void)now;
	CV_CONTAINER(t, struct one, timer)->fired++;
	cv_timer_set(again, &other->timer, CV_NEVER);
}

/* what one callback unsets does not fire, though it was due */
static void test_unset_while_running(void **state)
{
	struct mem mem;
	struct cv_env env = mem_env(&mem, 1);
	struct cv_timers t;
	struct one x[2] = { 0 };
	(void)state;
	cv_timers_init(&t, &env);
	assert_int_equal(cv_timers_reserve(&t, 2), 0);
	again = &t;
	other = &x[1];
	x[0].timer.fire = x[1].timer.fire = unset_other;
	cv_timer_set(&t, &x[0].timer, 1);
	cv_timer_set(&t, &x[1].timer, 2);
	cv_timers_run(&t, 3);
	assert_int_equal(x[0].fired, 1);
	assert_int_equal(x[1].fired, 0);
	cv_timers_clear(&t);
}

static void test_reserve(void **state)
{
	struct mem mem;
	struct cv_env env = mem_env(&mem, 1);
	struct cv_timers t;
	struct one x[20] = { 0 };
	(void)state;
	cv_timers_init(&t, &env);
	mem.fail_at = 1;
	assert_int_equal(cv_timers_reserve(&t, 1), CULVERT_ENOMEM);
	assert_int_equal(cv_timers_reserve(&t, 1), 0);
	for (int i = 0; i < 16; i++) {
		x[i].timer.fire = fire;
		x[i].want = (cv_time)i + 1;
		cv_timer_set(&t, &x[i].timer, x[i].want);
	}
	mem.fail_all = true;
	assert_int_equal(cv_timers_reserve(&t, 17), CULVERT_ENOMEM);
	assert_int_equal(cv_timers_next(&t), 1); /* as before */
	mem.fail_all = false;
	assert_int_equal(cv_timers_reserve(&t, 100), 0);
	assert_int_equal(t.size, 128);
	last = 0;
	cv_timers_run(&t, 20);
	for (int i = 0; i < 16; i++)
		assert_int_equal(x[i].fired, 1);
	cv_timers_clear(&t);
	assert_int_equal(mem.blocks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_set_again_waits_for_the_next_run),
		cmocka_unit_test(test_unset_while_running),
		cmocka_unit_test(test_reserve),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
