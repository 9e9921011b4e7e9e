/* SPDX-License-Identifier: MIT */
/* test_rtt.c - round trip times, by the formulas of RFC 9002 */
#include "unit/check.h"

#include "core/rtt.h"

static void test_unknown(void **state)
{
	struct cv_rtt r = { 0 };
	(void)state;
	assert_int_equal(cv_rtt_smoothed(&r), CV_MS(333));
	/* section 6.2.2: about a second */
	assert_int_equal(cv_rtt_pto(&r, 0), CV_MS(333) * 3);
	assert_int_equal(cv_rtt_pto(&r, CV_MS(25)), CV_MS(333 * 3 + 25));
}

static void test_first(void **state)
{
	struct cv_rtt r = { 0 };
	(void)state;
	/* section 5.3: the delay is not taken off the first one */
	cv_rtt_sample(&r, CV_MS(40), CV_MS(10));
	assert_int_equal(r.latest, CV_MS(40));
	assert_int_equal(r.min, CV_MS(40));
	assert_int_equal(cv_rtt_smoothed(&r), CV_MS(40));
	assert_int_equal(r.var, CV_MS(20));
	assert_int_equal(cv_rtt_pto(&r, CV_MS(5)), CV_MS(40 + 80 + 5));
}

static void test_smooth(void **state)
{
	struct cv_rtt r = { 0 };
	(void)state;
	cv_rtt_sample(&r, CV_MS(40), 0);
	cv_rtt_sample(&r, CV_MS(90), CV_MS(10));
	assert_int_equal(r.latest, CV_MS(90));
	assert_int_equal(r.min, CV_MS(40));
	assert_int_equal(r.smoothed, CV_MS(45)); /* 7/8 40 + 1/8 80 */
	assert_int_equal(r.var, CV_MS(25));      /* 3/4 20 + 1/4 40 */
	/* a shorter one: the minimum follows, the distance is no negative */
	cv_rtt_sample(&r, CV_MS(29), 0);
	assert_int_equal(r.min, CV_MS(29));
	assert_int_equal(r.smoothed, CV_MS(43));
	assert_int_equal(r.var, 22750); /* 3/4 25 + 1/4 16 */
}

/* a delay that would bring the sample below the minimum is not believed */
static void test_delay(void **state)
{
	struct cv_rtt r = { 0 };
	(void)state;
	cv_rtt_sample(&r, CV_MS(40), 0);
	cv_rtt_sample(&r, CV_MS(48), CV_MS(8) + 1);
	assert_int_equal(r.smoothed, CV_MS(41));
	cv_rtt_sample(&r, CV_MS(49), CV_MS(9));
	assert_int_equal(r.smoothed, 40875);
	cv_rtt_sample(&r, 40875, UINT64_MAX);
	assert_int_equal(r.smoothed, 40875);
}

static void test_short(void **state)
{
	struct cv_rtt r = { 0 };
	(void)state;
	cv_rtt_sample(&r, 0, 0);
	assert_int_equal(cv_rtt_smoothed(&r), 1);
	for (int i = 0; i < 100; i++)
		cv_rtt_sample(&r, 60, 0);
	assert_true(r.smoothed >= 56 && r.smoothed <= 60);
	assert_true(r.var <= 6);
	/* granularity is a quarter here, not 1 ms */
	r.var = 0;
	assert_int_equal(
		cv_rtt_pto(&r, 100), r.smoothed + r.smoothed / 4 + 100);
	r.smoothed = CV_MS(20);
	assert_int_equal(cv_rtt_pto(&r, 0), CV_MS(21));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_smooth),
		cmocka_unit_test(test_delay),
		cmocka_unit_test(test_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
