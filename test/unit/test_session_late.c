/* SPDX-License-Identifier: MIT */
/* test_session_late.c - datagrams that come too late; protocol.md, section 8 */
#include "unit/check.h"
#include "unit/pair.h"

#define TARGET "udp://127.0.0.1:5"

/* one datagram that has been under way for @delay */
static uint64_t after(struct pair *p, struct cv_flow *f, cv_time delay)
{
	uint64_t late = pair_drop(p, B, CV_DROP_LATE);
	p->delay = delay;
	pair_say(p, f, 10);
	pair_run(p, p->now + delay);
	return pair_drop(p, B, CV_DROP_LATE) - late;
}

static struct pair *pair_late(struct cv_flow **f)
{
	struct pair *p = pair_new(false);
	p->delay = CV_MS(10);
	pair_wire(p, p->side[A].s);
	pair_run(p, p->now + CV_MS(100));
	*f = pair_open(p, 1, TARGET);
	assert_int_equal(after(p, *f, CV_MS(10)), 0);
	return p;
}

static void test_late(void **state)
{
	struct cv_flow *f;
	struct pair *p = pair_late(&f);
	cv_time limit = CV_MAX_AGE * CV_LATE_FACTOR;
	(void)state;
	/* the limit counts from the least delay that was seen */
	assert_int_equal(after(p, f, CV_MS(10) + limit), 0);
	assert_int_equal(after(p, f, CV_MS(10) + limit + 1), 1);
	assert_int_equal(after(p, f, CV_MS(4)), 0);
	assert_int_equal(after(p, f, CV_MS(4) + limit + 1), 1);
	assert_int_equal(after(p, f, CV_MS(4) + limit), 0);
	pair_free(p);
}

/* the measure comes with the handshake: the first datagram may be late */
static void test_first_is_late(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	p->delay = CV_MS(10);
	pair_wire(p, p->side[A].s);
	pair_run(p, p->now + CV_MS(100));
	assert_int_equal(after(p, pair_open(p, 1, TARGET), CV_MS(600)), 1);
	pair_free(p);
}

static void test_late_off(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	p->side[A].node.max_age = 0;
	pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	assert_int_equal(after(p, f, CV_MS(10)), 0);
	assert_int_equal(after(p, f, CV_SEC(3)), 0);
	pair_free(p);
}

/* all late for two seconds: the path has become slower */
static void test_slower_path(void **state)
{
	struct cv_flow *f;
	struct pair *p = pair_late(&f);
	unsigned late = 0;
	(void)state;
	p->delay = CV_SEC(1);
	cv_time began = p->now;
	pair_run(p, p->now + CV_MS(1));
	for (int i = 0; i < 40; i++) {
		pair_say(p, f, 10);
		pair_run(p, p->now + CV_MS(100));
	}
	pair_run(p, p->now + CV_SEC(1));
	late = (unsigned)pair_drop(p, B, CV_DROP_LATE);
	/* two seconds of ten a second, and the one that ends them */
	assert_in_range(late, 20, 22);
	assert_int_equal(p->side[B].edge.dgrams, 41 - late);
	assert_true(p->now - began < CV_SEC(6));
	pair_free(p);
}

/* one that is in time interrupts the two seconds */
static void test_stall_is_no_slower_path(void **state)
{
	struct cv_flow *f;
	struct pair *p = pair_late(&f);
	unsigned sent = 0;
	(void)state;
	for (int i = 0; i < 10; i++) {
		for (int k = 0; k < 2; k++, sent++)
			assert_int_equal(after(p, f, CV_MS(900)), 1);
		assert_int_equal(after(p, f, CV_MS(10)), 0);
	}
	assert_int_equal(pair_drop(p, B, CV_DROP_LATE), sent);
	pair_free(p);
}

/* clocks drift: the minimum is forgotten within two minutes */
static void test_window_moves(void **state)
{
	struct cv_flow *f;
	struct pair *p = pair_late(&f);
	(void)state;
	for (cv_time d = CV_MS(10); d < CV_SEC(2); d += CV_MS(100)) {
		for (int i = 0; i < 3; i++) {
			assert_int_equal(after(p, f, d), 0);
			pair_run(p, p->now + CV_SEC(41));
		}
	}
	pair_free(p);
}

/* what is said in the same packet is heard nevertheless */
static void test_late_packet_still_controls(void **state)
{
	struct cv_flow *f;
	struct pair *p = pair_late(&f);
	(void)state;
	struct cv_flow *g = pair_open(p, 2, TARGET);
	unsigned opens = p->side[B].edge.opens;
	p->delay = CV_SEC(1);
	pair_say(p, g, 10);
	pair_run(p, p->now + CV_SEC(1));
	assert_int_equal(pair_drop(p, B, CV_DROP_LATE), 1);
	assert_int_equal(p->side[B].edge.opens, opens + 1);
	pair_free(p);
}

/* the clock's 32 bits wrap every 72 minutes */
static void test_stamp_wraps(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	p->now = (UINT64_C(7) << 32) - CV_SEC(2);
	pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	assert_int_equal(after(p, f, CV_MS(20)), 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(after(p, f, CV_MS(600)), 1);
		assert_int_equal(after(p, f, CV_MS(20)), 0);
	}
	assert_true(p->now >> 32 == 7);
	pair_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_first_is_late),
		cmocka_unit_test(test_late_off),
		cmocka_unit_test(test_slower_path),
		cmocka_unit_test(test_stall_is_no_slower_path),
		cmocka_unit_test(test_window_moves),
		cmocka_unit_test(test_late_packet_still_controls),
		cmocka_unit_test(test_stamp_wraps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
