/* SPDX-License-Identifier: MIT */
/* test_iproxy_table.c - a full table, and who gives way */
#include "unit/check.h"

#include "core/iproxy_table.h"

static int setup(void **state)
{
	struct cv_iproxy_table *t = calloc(1, sizeof *t);
	assert_non_null(t);
	t->server = 67;
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void fill(struct cv_iproxy_table *t)
{
	for (uint32_t i = 1; i <= CV_IPROXY_TABLE; i++)
		assert_non_null(cv_iproxy_add(t, i, CV_SEC(1)));
}

static void a_new_one_is_found(void **state)
{
	struct cv_iproxy_table *t = *state;
	assert_null(cv_iproxy_find(t, 0));
	struct cv_iproxy_entry *e = cv_iproxy_add(t, 5, CV_SEC(1));
	assert_ptr_equal(cv_iproxy_find(t, 5), e);
	assert_null(cv_iproxy_find(t, 6));
	assert_int_equal(e->conn.client, 5);
	assert_int_equal(e->conn.server, 67);
	assert_false(e->conn.opening);
	cv_iproxy_close(e, true, CV_SEC(2));
	/* it is known to be over, for a while */
	assert_ptr_equal(cv_iproxy_find(t, 5), e);
	assert_true(e->gone);
	cv_iproxy_sweep(t, CV_SEC(32));
	assert_null(cv_iproxy_find(t, 5));
}

static void the_closed_give_way_in_order(void **state)
{
	struct cv_iproxy_table *t = *state;
	fill(t);
	assert_null(cv_iproxy_add(t, 100, CV_SEC(1)));
	cv_iproxy_close(cv_iproxy_find(t, 9), false, CV_SEC(2));
	cv_iproxy_close(cv_iproxy_find(t, 4), false, CV_SEC(3));
	assert_non_null(cv_iproxy_find(t, 9));
	assert_non_null(cv_iproxy_add(t, 100, CV_SEC(4)));
	assert_null(cv_iproxy_find(t, 9));
	assert_non_null(cv_iproxy_find(t, 4));
	assert_non_null(cv_iproxy_add(t, 101, CV_SEC(4)));
	assert_null(cv_iproxy_find(t, 4));
	assert_null(cv_iproxy_add(t, 102, CV_SEC(4)));
	assert_non_null(cv_iproxy_find(t, 100));
}

/* while there is another place they stay */
static void the_closed_stay_until_they_expire(void **state)
{
	struct cv_iproxy_table *t = *state;
	cv_iproxy_close(cv_iproxy_add(t, 5, CV_SEC(1)), false, CV_SEC(2));
	assert_non_null(cv_iproxy_add(t, 6, CV_SEC(1)));
	cv_iproxy_sweep(t, CV_SEC(31) - 1);
	assert_non_null(cv_iproxy_find(t, 5));
	cv_iproxy_sweep(t, CV_SEC(31));
	assert_null(cv_iproxy_find(t, 5));
	assert_non_null(cv_iproxy_find(t, 6));
}

static bool opens(uint32_t flags, uint32_t client, uint32_t offset)
{
	return cv_iproxy_opens(&(struct cv_iproxy_packet){
		.flags = flags, .client = client, .offset = offset });
}

static void a_connection_has_a_beginning(void **state)
{
	(void)state;
	assert_true(opens(CV_IPROXY_ALIVE, 1, 0));
	assert_false(opens(CV_IPROXY_PLAIN, 1, 0));
	assert_false(opens(CV_IPROXY_ALIVE, 0, 0));
	assert_false(opens(CV_IPROXY_ALIVE, 1, 1));
	assert_false(opens(CV_IPROXY_PLAIN, 1, 1048));
	assert_false(opens(CV_IPROXY_FIN, 1, 0));
	assert_false(opens(CV_IPROXY_ACK, 1, 0));
	assert_false(opens(CV_IPROXY_GONE, 1, 0));
	assert_false(opens(CV_IPROXY_HELLO, 1, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_new_one_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_closed_give_way_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_closed_stay_until_they_expire, setup, teardown),
		cmocka_unit_test(a_connection_has_a_beginning),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
