/* SPDX-License-Identifier: MIT */
/* test_pacer.c - trains, and the time between them */
#include "unit/check.h"

#include "core/pacer.h"

static void test_quantum(void **state)
{
	(void)state;
	/* nothing known: whatever the window allows */
	assert_int_equal(cv_pacer_quantum(0, 1500), CV_TRAIN);
	/* slow: two packets; then 1 ms; then what one send takes */
	assert_int_equal(cv_pacer_quantum(1, 1500), 3000);
	assert_int_equal(cv_pacer_quantum(3000000, 1500), 3000);
	assert_int_equal(cv_pacer_quantum(12500000, 1500), 12500);
	assert_int_equal(cv_pacer_quantum(65000000, 1500), 65000);
	assert_int_equal(cv_pacer_quantum(750000000, 1500), CV_TRAIN);
}

static void test_rate(void **state)
{
	struct cv_pacer p = { 0 };
	cv_time now = CV_SEC(1);
	uint64_t sent = 0;
	(void)state;
	cv_pacer_reset(&p, now);
	/* a second of trains at 10 MB/s, each as soon as it may */
	while (now < CV_SEC(2)) {
		now = cv_pacer_when(&p) > now ? cv_pacer_when(&p) : now;
		cv_pacer_sent(&p, 10000, 10000000, now);
		sent += 10000;
	}
	assert_in_range(sent, 9990000, 10010000);
}

static void test_sleepy(void **state)
{
	struct cv_pacer p = { 0 };
	cv_time now = CV_SEC(1);
	uint64_t sent = 0;
	(void)state;
	cv_pacer_reset(&p, now);
	/* the timer comes 0.7 ms late each time: nothing is missing */
	while (now < CV_SEC(2)) {
		now = cv_pacer_when(&p) + 700;
		cv_pacer_sent(&p, 10000, 10000000, now);
		sent += 10000;
	}
	assert_in_range(sent, 9970000, 10030000);
	/* a long sleep is not made up for: two trains at once, then not */
	now += CV_MS(500);
	cv_pacer_sent(&p, 10000, 10000000, now);
	assert_true(cv_pacer_when(&p) <= now);
	cv_pacer_sent(&p, 10000, 10000000, now);
	assert_true(cv_pacer_when(&p) <= now);
	cv_pacer_sent(&p, 10000, 10000000, now);
	assert_int_equal(cv_pacer_when(&p), now + 1000);
}

static void test_fast(void **state)
{
	struct cv_pacer p = { 0 };
	(void)state;
	/* two trains of the longest kind, not 2 ms */
	cv_pacer_reset(&p, 0);
	cv_pacer_sent(&p, CV_TRAIN, 650000000, CV_SEC(1));
	cv_pacer_sent(&p, CV_TRAIN, 650000000, CV_SEC(1));
	assert_int_equal(cv_pacer_when(&p), CV_SEC(1));
	cv_pacer_sent(&p, CV_TRAIN, 650000000, CV_SEC(1));
	assert_int_equal(cv_pacer_when(&p), CV_SEC(1) + 100);
}

static void test_reset(void **state)
{
	struct cv_pacer p = { 0 };
	(void)state;
	/* no rate: at once */
	cv_pacer_sent(&p, 15000, 0, 5000);
	assert_int_equal(cv_pacer_when(&p), 5000);
	/* no credit from before, no debt forgiven */
	cv_pacer_reset(&p, 9000);
	assert_int_equal(cv_pacer_when(&p), 9000);
	cv_pacer_sent(&p, 1000, 1000000, 9000);
	cv_pacer_reset(&p, 9500);
	assert_int_equal(cv_pacer_when(&p), 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantum),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_sleepy),
		cmocka_unit_test(test_fast),
		cmocka_unit_test(test_reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
