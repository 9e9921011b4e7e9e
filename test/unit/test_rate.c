/* SPDX-License-Identifier: MIT */
/* test_rate.c - delivery rate samples, on paths whose rate is known */
#include "unit/check.h"

#include "core/rate.h"

enum { SIZE = 1000, MANY = 4096 };
#define RTT CV_MS(20)

struct fix {
	struct cv_rate r;
	struct cv_sent p[MANY];
	uint64_t inflight;
};

static struct fix f;

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof f);
	return 0;
}

static void send_at(unsigned i, cv_time now)
{
	f.p[i] = (struct cv_sent){ .at = now, .size = SIZE };
	cv_rate_sent(&f.r, &f.p[i], f.inflight, now);
	f.inflight += SIZE;
}

static struct cv_sample ack(unsigned from, unsigned to, cv_time now)
{
	struct cv_sample s = { 0 };
	for (; from < to; from++) {
		cv_rate_acked(&f.r, &s, &f.p[from], now);
		f.inflight -= SIZE;
	}
	cv_rate_sample(&f.r, &s, RTT, now);
	return s;
}

static uint64_t rate(const struct cv_sample *s)
{
	return s->interval ? s->delivered * CV_SEC(1) / s->interval : 0;
}

/* a packet every 100 µs is 10 Mbyte/s, however acknowledgements come */
static void steady(unsigned batch)
{
	unsigned acked = 0;
	setup(NULL);
	for (unsigned i = 0; i < MANY; i++) {
		cv_time now = CV_SEC(1) + i * 100u;
		send_at(i, now);
		if (i < 200 + acked + batch)
			continue;
		struct cv_sample s = ack(acked, acked + batch, now);
		acked += batch;
		if (acked < 1000)
			continue;
		assert_in_range(rate(&s), 9900000, 10100000);
		assert_false(s.limited);
		assert_int_equal(s.lost, 0);
	}
	assert_true(acked > MANY / 2);
}

static void test_steady(void **state)
{
	(void)state;
	steady(1);
	steady(10);
	steady(150);
}

/* sent slowly, acknowledged in a burst: the sending was the slower one */
static void test_compressed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		send_at(i, CV_SEC(1) + i * CV_MS(10));
	struct cv_sample first = ack(0, 1, CV_SEC(1) + CV_MS(91));
	struct cv_sample s = ack(1, 10, CV_SEC(1) + CV_MS(92));
	assert_int_equal(first.interval, CV_MS(91));
	assert_int_equal(s.interval, CV_MS(92));
	for (unsigned i = 10; i < 20; i++)
		send_at(i, CV_SEC(2) + i * CV_MS(10));
	ack(10, 11, CV_SEC(3) + CV_MS(1));
	s = ack(11, 20, CV_SEC(3) + CV_MS(2));
	/* 90 ms of sending; the acknowledgements began before that */
	assert_true(s.interval >= CV_MS(90));
	assert_int_equal(s.delivered, 10 * SIZE);
}

static void test_fields(void **state)
{
	(void)state;
	f.r.lost = UINT32_MAX - 100;
	send_at(0, CV_SEC(1));
	send_at(1, CV_SEC(1) + 10);
	cv_rate_lost(&f.r, 5000);
	struct cv_sample s = ack(0, 2, CV_SEC(1) + RTT + 10);
	assert_int_equal(s.before, 0);
	assert_int_equal(s.delivered, 2 * SIZE);
	assert_int_equal(s.inflight, 2 * SIZE);
	assert_int_equal(s.rtt, RTT);
	assert_int_equal(s.interval, RTT + 10);
	assert_int_equal(s.lost, 5000);
	assert_int_equal(f.r.delivered, 2 * SIZE);
	s = ack(2, 2, CV_SEC(2)); /* an ACK of nothing */
	assert_true(!s.rtt && !s.interval && !s.delivered);
}

/* the newest packet of an ACK is the one that counts, in any order */
static void test_order(void **state)
{
	struct cv_sample up = { 0 }, down = { 0 };
	struct cv_rate r;
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		send_at(i, CV_SEC(1) + i / 2 * CV_MS(1));
	ack(0, 1, CV_SEC(1) + RTT);
	for (unsigned i = 5; i < 9; i++)
		send_at(i, CV_SEC(1) + RTT + i / 2);
	r = f.r;
	for (unsigned i = 1; i < 9; i++)
		cv_rate_acked(&r, &up, &f.p[i], CV_SEC(2));
	r = f.r;
	for (unsigned i = 8; i > 0; i--)
		cv_rate_acked(&r, &down, &f.p[i], CV_SEC(2));
	assert_memory_equal(&up, &down, sizeof up);
	assert_int_equal(up.before, SIZE);
	assert_int_equal(r.first_at, f.p[8].at);
	/* a late one leaves the present flight alone */
	up = (struct cv_sample){ 0 };
	cv_rate_acked(&r, &up, &f.p[1], CV_SEC(2) + 1);
	assert_int_equal(r.first_at, f.p[8].at);
}

static void test_short_interval(void **state)
{
	(void)state;
	send_at(0, CV_SEC(1));
	struct cv_sample s = ack(0, 1, CV_SEC(1) + RTT - 1);
	assert_int_equal(s.interval, 0);
	assert_int_equal(s.rtt, RTT - 1);
	assert_int_equal(s.delivered, SIZE);
	send_at(1, CV_SEC(2));
	s = ack(1, 2, CV_SEC(2)); /* in no time */
	assert_int_equal(s.rtt, 1);
}

static void test_idle(void **state)
{
	(void)state;
	send_at(0, CV_SEC(1));
	ack(0, 1, CV_SEC(1) + RTT);
	send_at(1, CV_SEC(50));
	struct cv_sample s = ack(1, 2, CV_SEC(50) + RTT);
	assert_int_equal(s.interval, RTT);
	assert_int_equal(s.before, SIZE);
}

static void test_limited(void **state)
{
	(void)state;
	cv_rate_limited(&f.r, 0);
	assert_true(f.r.limited != 0);
	send_at(0, CV_SEC(1));
	send_at(1, CV_SEC(1));
	cv_rate_limited(&f.r, f.inflight);
	send_at(2, CV_SEC(1));
	send_at(3, CV_SEC(1) + 1);
	struct cv_sample s = ack(0, 2, CV_SEC(1) + RTT);
	assert_true(s.limited);
	assert_true(f.r.limited != 0); /* not yet beyond it */
	send_at(4, CV_SEC(1) + RTT);
	s = ack(2, 3, CV_SEC(1) + RTT + 1);
	assert_true(s.limited);
	assert_int_equal(f.r.limited, 0);
	send_at(5, CV_SEC(1) + RTT + 2);
	s = ack(3, 5, CV_SEC(1) + 2 * RTT);
	assert_true(s.limited); /* it left before */
	s = ack(5, 6, CV_SEC(1) + 2 * RTT + 2);
	assert_false(s.limited);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_steady),
		TEST(test_compressed),
		TEST(test_fields),
		TEST(test_order),
		TEST(test_short_interval),
		TEST(test_idle),
		TEST(test_limited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
