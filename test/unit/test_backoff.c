/* SPDX-License-Identifier: MIT */
/* test_backoff.c - the wait between two attempts, by hand */
#include "unit/check.h"

#include "core/backoff.h"

static void test_grows(void **state)
{
	struct cv_backoff b = { 0 };
	cv_time want = CV_MS(100);
	(void)state;
	for (int i = 0; i < 12; i++) {
		struct cv_backoff twin = b;
		cv_backoff_began(&b, CV_SEC(1));
		assert_int_equal(cv_backoff_failed(&twin, 0), want / 2);
		assert_int_equal(cv_backoff_failed(&b, 255),
			want / 2 + want * 255 / 512);
		assert_int_equal(b.wait, want);
		want = want * 2 < CV_SEC(10) ? want * 2 : CV_SEC(10);
	}
	assert_int_equal(want, CV_SEC(10));
}

static void test_kicked_at_once(void **state)
{
	struct cv_backoff b = { 0 };
	(void)state;
	assert_int_equal(cv_backoff_kicked(&b, 0, 1), 0);
	/* the machine may have been up for no time at all */
	assert_int_equal(cv_backoff_kicked(&b, 9, 0), 0);
	cv_backoff_began(&b, CV_SEC(1));
	assert_int_equal(cv_backoff_kicked(&b, 0, CV_MS(1100)), 0);
	assert_int_equal(cv_backoff_kicked(&b, 0, CV_MS(1200)), 0);
}

static void test_least_wait(void **state)
{
	static const cv_time want[] = { CV_MS(100), CV_MS(200), CV_MS(400),
		CV_MS(800), CV_MS(1600), CV_SEC(2), CV_SEC(2), CV_SEC(2) };
	struct cv_backoff b = { 0 };
	(void)state;
	cv_backoff_began(&b, CV_SEC(1));
	for (unsigned n = 0; n < CV_COUNT(want); n++) {
		assert_int_equal(cv_backoff_kicked(&b, n, CV_SEC(1)), want[n]);
		assert_int_equal(
			cv_backoff_kicked(&b, n, CV_SEC(1) + 1), want[n] - 1);
	}
	assert_int_equal(
		cv_backoff_kicked(&b, UINT32_MAX, CV_SEC(1)), CV_SEC(2));
}

/* a connection that lived for a while: growing starts anew */
static void test_starts_anew(void **state)
{
	struct cv_backoff b = { 0 };
	(void)state;
	cv_backoff_began(&b, CV_SEC(1));
	for (int i = 0; i < 5; i++)
		cv_backoff_failed(&b, 0);
	cv_backoff_kicked(&b, 0, CV_SEC(11));
	assert_int_equal(b.wait, CV_MS(1600));
	cv_backoff_kicked(&b, 0, CV_SEC(11) + 1);
	assert_int_equal(cv_backoff_failed(&b, 0), CV_MS(50));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_kicked_at_once),
		cmocka_unit_test(test_least_wait),
		cmocka_unit_test(test_starts_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
