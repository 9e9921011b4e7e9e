/* SPDX-License-Identifier: MIT */
/* test_stats.c - every drop has one name of its own */
#include "unit/check.h"

#include "core/stats.h"

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < CV_DROP_N; i++) {
		const char *a = cv_drop_name((enum cv_drop)i);
		assert_non_null(a);
		/* fit for a metric's label and a key of JSON */
		assert_int_equal(
			strspn(a, "abcdefghijklmnopqrstuvwxyz_"), strlen(a));
		assert_true(*a);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(
				a, cv_drop_name((enum cv_drop)k));
	}
	assert_string_equal(cv_drop_name(CV_DROP_AGED), "aged");
	assert_string_equal(cv_drop_name(CV_DROP_OPENING), "opening");
}

/* the first and the last of the packets, and their neighbours */
static void test_packets(void **state)
{
	(void)state;
	assert_false(cv_drop_packets(CV_DROP_FLOW_LIMIT));
	assert_true(cv_drop_packets(CV_DROP_MALFORMED));
	assert_true(cv_drop_packets(CV_DROP_FORGED));
	assert_true(cv_drop_packets(CV_DROP_FLOOD));
	assert_false(cv_drop_packets(CV_DROP_LATE));
	assert_false(cv_drop_packets(CV_DROP_AGED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_packets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
