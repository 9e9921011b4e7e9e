/* SPDX-License-Identifier: MIT */
/* test_cc_cubic.c - CUBIC against its RFC's formulas, and on simulated paths */
#include "unit/check.h"

#include "core/cc.h"
#include "unit/cc_path.h"

enum { MSS = 1500 };

static struct cv_rtt rtt;
static uint64_t delivered;

/* an ACK of @acked bytes; the rest as in the middle of a transfer */
static struct cv_cc_ack ack_at(cv_time now, uint64_t acked, cv_time sample)
{
	struct cv_cc_ack ack = {
		.now = now, .rtt = &rtt, .acked = acked, .inflight = 10 * MSS
	};
	delivered += acked;
	ack.delivered = delivered;
	ack.sample.rtt = sample;
	ack.sample.interval = sample;
	return ack;
}

static void begin(struct cv_cc *cc, cv_time path)
{
	memset(&rtt, 0, sizeof rtt);
	cv_rtt_sample(&rtt, path, 0);
	delivered = 0;
	cv_cc_init(cc, CV_CC_CUBIC, MSS, path, 0);
}

static void lose(struct cv_cc *cc, cv_time now, cv_time sent_at)
{
	struct cv_cc_ack ack = {
		.now = now, .rtt = &rtt, .lost = MSS, .lost_sent_at = sent_at
	};
	cv_cc_lost(cc, &ack);
}

static void test_slow_start(void **state)
{
	struct cv_cc cc;
	struct cv_cc_ack ack;
	(void)state;
	begin(&cc, CV_MS(50));
	ack = ack_at(CV_MS(50), 10 * MSS, CV_MS(50));
	cv_cc_acked(&cc, &ack);
	assert_int_equal(cc.cwnd, 20 * MSS);
	/* paced at twice the window in a round trip */
	assert_int_equal(cc.rate, 2 * cc.cwnd * 20);
	/* a window that was not used says nothing */
	ack = ack_at(CV_MS(60), 5 * MSS, CV_MS(50));
	ack.limited = true;
	cv_cc_acked(&cc, &ack);
	assert_int_equal(cc.cwnd, 20 * MSS);
}

static void test_reduce(void **state)
{
	struct cv_cc cc;
	(void)state;
	begin(&cc, CV_MS(50));
	cc.cwnd = 100 * MSS;
	lose(&cc, CV_MS(500), CV_MS(450));
	assert_int_equal(cc.cwnd, 70 * MSS);
	assert_string_equal(cv_cc_state(&cc), "avoid");
	assert_int_equal(cc.rate, cc.cwnd * 120 / 100 * 20);
	/* what left before that belongs to it */
	lose(&cc, CV_MS(510), CV_MS(500));
	assert_int_equal(cc.cwnd, 70 * MSS);
	/* the next: less than before, so the top is lower still */
	lose(&cc, CV_MS(600), CV_MS(501));
	assert_int_equal(cc.cwnd, 49 * MSS);
	assert_int_equal(cc.cubic.curve.top, 70 * MSS * 85 / 100);
	/* never below two packets */
	for (unsigned i = 1; i < 20; i++)
		lose(&cc, CV_SEC(i), CV_SEC(i) - 1);
	assert_int_equal(cc.cwnd, 2 * MSS);
}

static void test_spurious(void **state)
{
	struct cv_cc cc;
	(void)state;
	begin(&cc, CV_MS(50));
	cc.cwnd = 100 * MSS;
	lose(&cc, CV_MS(500), CV_MS(450));
	cv_cc_spurious(&cc, CV_MS(520));
	assert_int_equal(cc.cwnd, 100 * MSS);
	assert_string_equal(cv_cc_state(&cc), "start-up");
	assert_int_equal(cc.cubic.curve.top, 0);
	/* once only */
	cc.cwnd = 50 * MSS;
	cv_cc_spurious(&cc, CV_MS(530));
	assert_int_equal(cc.cwnd, 50 * MSS);
}

/* the curve: W(t) = 0.4 (t - K)^3 + Wmax, with K = cbrt(0.3 Wmax / 0.4) */
static void test_curve(void **state)
{
	struct cv_cc cc;
	double top = 1000, k = 9.0856; /* cbrt(750) */
	(void)state;
	begin(&cc, CV_MS(100));
	cc.cwnd = 1000 * MSS;
	lose(&cc, CV_SEC(1), CV_MS(950));
	assert_int_equal(cc.cwnd, 700 * MSS);
	for (unsigned n = 0; n < 150; n++) {
		cv_time now = CV_SEC(1) + n * CV_MS(100);
		struct cv_cc_ack ack = ack_at(now, cc.cwnd, CV_MS(100));
		double t = n / 10.0 + 0.1 - k, want;
		cv_cc_acked(&cc, &ack);
		want = (0.4 * t * t * t + top) * MSS;
		/* Reno's line is below it here */
		assert_true((double)cc.cwnd > want * 0.995);
		assert_true((double)cc.cwnd < want * 1.005);
	}
}

/* long after: no more than half as much again in a round trip, no overflow */
static void test_far(void **state)
{
	struct cv_cc cc;
	struct cv_cc_ack ack;
	(void)state;
	begin(&cc, CV_MS(100));
	cc.cwnd = 1000 * MSS;
	lose(&cc, CV_SEC(1), CV_MS(950));
	ack = ack_at(CV_SEC(1), MSS, CV_MS(100));
	cv_cc_acked(&cc, &ack);
	for (unsigned n = 1; n <= 3; n++) {
		uint64_t before = cc.cwnd;
		ack = ack_at(CV_SEC(n * 100), before, CV_MS(100));
		cv_cc_acked(&cc, &ack);
		assert_in_range(
			cc.cwnd, before + before / 2 - 1, before + before / 2);
	}
}

/* short and slow: as fast as Reno, one packet in a round trip in the end */
static void test_friendly(void **state)
{
	struct cv_cc cc;
	uint64_t before;
	(void)state;
	begin(&cc, CV_MS(10));
	cc.cwnd = 20 * MSS;
	lose(&cc, CV_SEC(1), CV_MS(999));
	assert_int_equal(cc.cwnd, 14 * MSS);
	for (unsigned n = 0; n < 12; n++) {
		struct cv_cc_ack ack =
			ack_at(CV_SEC(1) + n * CV_MS(10), cc.cwnd, CV_MS(10));
		cv_cc_acked(&cc, &ack);
	}
	/* 0.53 packets each */
	assert_in_range(cc.cwnd, 19 * MSS, 21 * MSS);
	before = cc.cwnd;
	for (unsigned n = 12; n < 22; n++) {
		struct cv_cc_ack ack =
			ack_at(CV_SEC(1) + n * CV_MS(10), cc.cwnd, CV_MS(10));
		cv_cc_acked(&cc, &ack);
	}
	assert_in_range(cc.cwnd - before, 8 * MSS, 11 * MSS);
}

/* idle time is no time to grow in */
static void test_idle(void **state)
{
	struct cv_cc cc;
	struct cv_cc_ack ack;
	uint64_t before;
	(void)state;
	begin(&cc, CV_MS(50));
	cc.cwnd = 100 * MSS;
	lose(&cc, CV_SEC(1), CV_MS(999));
	ack = ack_at(CV_MS(1050), MSS, CV_MS(50));
	cv_cc_acked(&cc, &ack);
	before = cc.cwnd;
	cv_cc_sent(&cc, MSS, MSS, CV_SEC(60));
	ack = ack_at(CV_MS(60050), MSS, CV_MS(50));
	cv_cc_acked(&cc, &ack);
	assert_in_range(cc.cwnd, before, before + 100);
	/* nor is time in which the application had no more */
	ack = ack_at(CV_SEC(90), MSS, CV_MS(50));
	ack.limited = true;
	cv_cc_acked(&cc, &ack);
	ack = ack_at(CV_SEC(120), MSS, CV_MS(50));
	cv_cc_acked(&cc, &ack);
	assert_in_range(cc.cwnd, before, before + 200);
}

/* a round of @n ACKs, all of one RTT */
static void round_of(struct cv_cc *cc, unsigned n, cv_time sample)
{
	uint64_t from = delivered;
	for (unsigned i = 0; i < n; i++) {
		struct cv_cc_ack ack = ack_at(CV_SEC(1), MSS, sample);
		ack.sample.before = i ? 0 : from;
		cv_cc_acked(cc, &ack);
	}
}

static void test_hystart(void **state)
{
	struct cv_cc cc;
	uint64_t before;
	(void)state;
	begin(&cc, CV_MS(50));
	round_of(&cc, 10, CV_MS(50));
	round_of(&cc, 10, CV_MS(50));
	assert_string_equal(cv_cc_state(&cc), "start-up");
	/* 1/8 later: a quarter of the growth */
	round_of(&cc, 10, CV_MS(57));
	assert_string_equal(cv_cc_state(&cc), "late-start");
	before = cc.cwnd;
	round_of(&cc, 8, CV_MS(58));
	assert_int_equal(cc.cwnd, before + 2 * MSS);
	/* it was nothing: on as before */
	round_of(&cc, 10, CV_MS(50));
	assert_string_equal(cv_cc_state(&cc), "start-up");
	/* it is something: five rounds, then no more */
	round_of(&cc, 10, CV_MS(57));
	for (unsigned i = 0; i < 4; i++)
		round_of(&cc, 10, CV_MS(58));
	assert_string_equal(cv_cc_state(&cc), "late-start");
	round_of(&cc, 10, CV_MS(58));
	assert_string_equal(cv_cc_state(&cc), "avoid");
	/* 4 ms at least: 1 ms more on a short path is noise */
	begin(&cc, CV_MS(2));
	round_of(&cc, 10, CV_MS(2));
	round_of(&cc, 10, CV_MS(5));
	assert_string_equal(cv_cc_state(&cc), "start-up");
	/* losses alone say nothing of delay */
	cc.cubic.reduced = CV_SEC(1);
	lose(&cc, CV_SEC(1), CV_MS(900));
	assert_string_equal(cv_cc_state(&cc), "start-up");
	/* 16 ms at most */
	begin(&cc, CV_MS(400));
	round_of(&cc, 10, CV_MS(400));
	round_of(&cc, 10, CV_MS(417));
	assert_string_equal(cv_cc_state(&cc), "late-start");
}

/* as any CUBIC: fills a path without loss, and shares it in the end */
static void test_path(void **state)
{
	struct path_cfg cfg = { .rate = 50, .rtt = CV_MS(20), .jitter = 1000 };
	struct path *p = path_new(&cfg, 1);
	(void)state;
	path_flow(p, PATH_CUBIC, 0);
	path_run(p, CV_SEC(5));
	assert_true(path_payload(p, 0) > 46);
	path_flow(p, PATH_CUBIC, 0);
	path_run(p, CV_SEC(20));
	path_mark(p);
	path_run(p, CV_SEC(60));
	assert_true(path_payload(p, 0) > 15);
	assert_true(path_payload(p, 1) > 15);
	assert_true(path_lost(p) < 0.01);
	path_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_start),
		cmocka_unit_test(test_reduce),
		cmocka_unit_test(test_spurious),
		cmocka_unit_test(test_curve),
		cmocka_unit_test(test_far),
		cmocka_unit_test(test_friendly),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_hystart),
		cmocka_unit_test(test_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
