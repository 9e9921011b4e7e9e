/* SPDX-License-Identifier: MIT */
#include "unit/check.h"

#include "core/iproxy_table.h"

static void test_full(void **state)
{
	static struct cv_iproxy_table t = { .server = 67 };
	(void)state;
	for (uint32_t i = 1; i <= CV_IPROXY_TABLE; i++)
		assert_int_equal(cv_iproxy_add(&t, i, i)->conn.client, i);
	assert_null(cv_iproxy_add(&t, 100, 100));
	assert_null(cv_iproxy_find(&t, 100));
	assert_int_equal(cv_iproxy_find(&t, 7)->conn.server, 67);
	/* who was closed first gives way first */
	cv_iproxy_close(cv_iproxy_find(&t, 9), false, 200);
	cv_iproxy_close(cv_iproxy_find(&t, 5), false, 100);
	assert_non_null(cv_iproxy_find(&t, 5)); /* still answers */
	assert_non_null(cv_iproxy_add(&t, 100, 300));
	assert_null(cv_iproxy_find(&t, 5));
	assert_non_null(cv_iproxy_find(&t, 9));
	assert_non_null(cv_iproxy_add(&t, 101, 300));
	assert_null(cv_iproxy_find(&t, 9));
	assert_null(cv_iproxy_add(&t, 102, 300));
	cv_iproxy_close(cv_iproxy_find(&t, 3), true, 400);
	assert_null(cv_iproxy_find(&t, 3));
	assert_non_null(cv_iproxy_add(&t, 102, 400));
}

static void test_sweep(void **state)
{
	static struct cv_iproxy_table t = { .server = 67 };
	(void)state;
	cv_iproxy_add(&t, 1, CV_SEC(1));
	cv_iproxy_add(&t, 2, CV_SEC(1));
	cv_iproxy_close(cv_iproxy_find(&t, 2), false, CV_SEC(2));
	cv_iproxy_sweep(&t, CV_SEC(20));
	assert_non_null(cv_iproxy_find(&t, 2));
	cv_iproxy_sweep(&t, CV_SEC(40));
	assert_null(cv_iproxy_find(&t, 2));
	assert_non_null(cv_iproxy_find(&t, 1)); /* its pipe sees to that */
}

static void test_opens(void **state)
{
	struct cv_iproxy_packet x = { .client = 1 };
	(void)state;
	assert_true(cv_iproxy_opens(&x));
	x.flags = CV_IPROXY_ALIVE;
	assert_true(cv_iproxy_opens(&x));
	x.offset = 1;
	assert_false(cv_iproxy_opens(&x));
	x = (struct cv_iproxy_packet){ .flags = CV_IPROXY_FIN, .client = 1 };
	assert_false(cv_iproxy_opens(&x));
	x = (struct cv_iproxy_packet){ .flags = CV_IPROXY_ALIVE };
	assert_false(cv_iproxy_opens(&x));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_opens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
