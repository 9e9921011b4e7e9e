/* SPDX-License-Identifier: MIT */
/* test_cc.c - what both models have in common */
#include "unit/check.h"

#include "core/cc.h"

static const enum cv_cc_kind kinds[] = { CV_CC_RATE, CV_CC_CUBIC };

/* one round trip of 50 ms in which a window is acknowledged */
static struct cv_cc_ack ack_of(const struct cv_rtt *rtt, cv_time now)
{
	return (struct cv_cc_ack){ .now = now,
		.rtt = rtt,
		.acked = 15000,
		.inflight = 15000,
		.delivered = 15000,
		.sample = { .delivered = 15000,
			.interval = CV_MS(50),
			.rtt = CV_MS(50) } };
}

static void test_initial(void **state)
{
	struct cv_cc cc;
	(void)state;
	assert_true(sizeof cc <= 700);
	for (unsigned i = 0; i < CV_COUNT(kinds); i++) {
		memset(&cc, 0xff, sizeof cc);
		cv_cc_init(&cc, kinds[i], 1500, 0, CV_SEC(1));
		assert_int_equal(cc.cwnd, 15000);
		assert_int_equal(cc.rate, 0);
		assert_int_equal(cc.kind, kinds[i]);
		assert_string_equal(cv_cc_state(&cc), "start-up");
		/* the handshake's RTT spreads the first flight over less
		   than one round trip */
		cv_cc_init(&cc, kinds[i], 1500, CV_MS(100), CV_SEC(1));
		assert_in_range(cc.rate, 150000, 600000);
	}
}

static void test_mss(void **state)
{
	struct cv_cc cc;
	struct cv_rtt rtt = { 0 };
	(void)state;
	cv_rtt_sample(&rtt, CV_MS(50), 0);
	for (unsigned i = 0; i < CV_COUNT(kinds); i++) {
		struct cv_cc_ack ack = ack_of(&rtt, CV_MS(50));
		uint64_t cwnd;
		cv_cc_init(&cc, kinds[i], 1280, 0, 0);
		cv_cc_mss(&cc, 1500);
		assert_int_equal(cc.cwnd, 15000);
		cv_cc_acked(&cc, &ack);
		cwnd = cc.cwnd;
		assert_true(cwnd > 15000);
		cv_cc_mss(&cc, 9000);
		assert_int_equal(cc.cwnd, cwnd);
		assert_int_equal(cc.mss, 9000);
	}
}

static void test_reset(void **state)
{
	struct cv_cc cc;
	struct cv_rtt rtt = { 0 };
	(void)state;
	cv_rtt_sample(&rtt, CV_MS(50), 0);
	for (unsigned i = 0; i < CV_COUNT(kinds); i++) {
		cv_cc_init(&cc, kinds[i], 1500, 0, 0);
		for (unsigned n = 1; n <= 20; n++) {
			struct cv_cc_ack ack = ack_of(&rtt, n * CV_MS(50));
			ack.acked = ack.sample.delivered = cc.cwnd;
			ack.delivered = ack.sample.before = n * 1000000;
			cv_cc_sent(&cc, 1500, cc.cwnd, n * CV_MS(50));
			cv_cc_acked(&cc, &ack);
		}
		assert_true(cc.cwnd > 100000);
		cv_cc_reset(&cc, CV_SEC(9));
		assert_in_range(cc.cwnd, 2 * 1500, 10 * 1500);
		assert_string_equal(cv_cc_state(&cc), "start-up");
		assert_int_equal(cc.mss, 1500);
	}
	/* nothing was ever heard: no pace either */
	cv_cc_init(&cc, CV_CC_RATE, 1500, 0, 0);
	cv_cc_reset(&cc, CV_SEC(9));
	assert_int_equal(cc.rate, 0);
}

/* losses found by the clock alone bring neither sample nor growth */
static void test_lost(void **state)
{
	struct cv_cc cc;
	struct cv_rtt rtt = { 0 };
	(void)state;
	cv_rtt_sample(&rtt, CV_MS(50), 0);
	for (unsigned i = 0; i < CV_COUNT(kinds); i++) {
		struct cv_cc_ack ack = { .now = CV_MS(300),
			.rtt = &rtt,
			.lost = 3000,
			.lost_sent_at = CV_MS(10),
			.inflight = 12000 };
		uint64_t cwnd;
		cv_cc_init(&cc, kinds[i], 1500, CV_MS(50), 0);
		cwnd = cc.cwnd;
		cv_cc_lost(&cc, &ack);
		assert_true(cc.cwnd <= cwnd);
		assert_true(cc.cwnd >= 2 * 1500);
		cv_cc_spurious(&cc, CV_MS(301));
		assert_int_equal(cc.cwnd, cwnd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_initial),
		cmocka_unit_test(test_mss),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
