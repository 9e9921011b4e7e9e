/* SPDX-License-Identifier: MIT */
/* test_cc_rate.c - the rate model on simulated paths: what it reaches, what it
 * leaves to others, how it gets over changes */
#include "unit/check.h"

#include "unit/cc_path.h"

/* least and mean of what one of several seeds reached */
struct figures {
	double least, mean, warm, delay;
};

static struct figures reach(const struct path_cfg *cfg, unsigned seeds)
{
	struct figures f = { .least = 1e9, .warm = 1e9 };
	for (unsigned seed = 1; seed <= seeds; seed++) {
		struct path *p = path_new(cfg, seed);
		double mean;
		path_flow(p, PATH_RATE, 0);
		path_run(p, CV_SEC(4));
		mean = path_payload(p, 0) * 4;
		path_mark(p);
		path_run(p, CV_SEC(13));
		mean = (mean + path_payload(p, 0) * 9) / 13;
		f.mean += mean / seeds;
		if (mean < f.least)
			f.least = mean;
		if (path_payload(p, 0) < f.warm)
			f.warm = path_payload(p, 0);
		if (path_delay(p, 0.95) > f.delay)
			f.delay = path_delay(p, 0.95);
		path_free(p);
	}
	return f;
}

#define ABOVE(what, least)                                                     \
	do {                                                                   \
		double got_ = (what);                                          \
		if (!(got_ >= (least)))                                        \
			fail_msg("%s is %.2f, not %.2f", #what, got_,          \
				(double)(least));                              \
	} while (0)
#define BELOW(what, most) ABOVE(-(what), -(most))

static void test_clean(void **state)
{
	struct path_cfg cfg = { .rate = 200, .rtt = CV_MS(20) };
	struct figures f = reach(&cfg, 1);
	(void)state;
	/* 189.4 is what fits */
	ABOVE(f.mean, 187.5);
	ABOVE(f.warm, 189);
	BELOW(f.delay, 10);
}

static void test_lossy(void **state)
{
	struct path_cfg c = { .rate = 100, .rtt = CV_MS(100), .loss = 0.01 };
	struct path_cfg d = { .rate = 20, .rtt = CV_MS(200), .loss = 0.05 };
	struct figures f = reach(&c, 4);
	(void)state;
	/* 93.8 */
	ABOVE(f.mean, 88.5);
	ABOVE(f.least, 88);
	ABOVE(f.warm, 92);
	/* 18.0 */
	f = reach(&d, 8);
	ABOVE(f.mean, 16.2);
	ABOVE(f.least, 15.5);
	ABOVE(f.warm, 17);
}

static void test_bursts(void **state)
{
	struct path_cfg cfg = { .rate = 50,
		.rtt = CV_MS(30),
		.loss = 0.02,
		.burst = 5,
		.late = 0.01 };
	struct figures f = reach(&cfg, 4);
	(void)state;
	/* 46.4 */
	ABOVE(f.mean, 45.7);
	ABOVE(f.warm, 46);
	BELOW(f.delay, 25);
}

static void test_odd_paths(void **state)
{
	struct path_cfg jitter = {
		.rate = 50, .rtt = CV_MS(40), .jitter = CV_MS(10)
	};
	struct path_cfg gaps = {
		.rate = 50, .rtt = CV_MS(40), .ack_gap = CV_MS(10)
	};
	struct path_cfg shallow = {
		.rate = 50, .rtt = CV_MS(40), .queue_ms = 10
	};
	struct path_cfg slow = { .rate = 1, .rtt = CV_MS(50), .queue_ms = 300 };
	struct figures f = reach(&jitter, 2);
	(void)state;
	/* 47.4 each; jitter is no queue */
	ABOVE(f.mean, 46);
	BELOW(f.delay, 35);
	f = reach(&gaps, 1);
	ABOVE(f.mean, 46);
	BELOW(f.delay, 30);
	f = reach(&shallow, 1);
	ABOVE(f.mean, 45.5);
	/* 0.947; four packets are the least window */
	f = reach(&slow, 1);
	ABOVE(f.mean, 0.92);
	BELOW(f.delay, 70);
}

/* much loss, or much jitter, from the first packet on: neither ends start-up
 * before the path is full */
static void test_rough_start(void **state)
{
	struct path_cfg loss = { .rate = 100, .rtt = CV_MS(100), .loss = 0.1 };
	struct path_cfg jitter = {
		.rate = 100, .rtt = CV_MS(100), .jitter = CV_MS(30)
	};
	(void)state;
	for (unsigned seed = 1; seed <= 4; seed++) {
		struct path *p = path_new(&loss, seed);
		path_flow(p, PATH_RATE, 0);
		path_run(p, CV_SEC(3));
		ABOVE(path_payload(p, 0), 55);
		path_free(p);
		p = path_new(&jitter, seed);
		path_flow(p, PATH_RATE, 0);
		path_run(p, CV_SEC(3));
		ABOVE(path_payload(p, 0), 60);
		path_free(p);
	}
}

/* as many trains as it takes to keep two processes busy, if not the path */
static void test_least_window(void **state)
{
	struct cv_rtt rtt = { 0 };
	struct cv_cc_ack ack = { .now = CV_SEC(1) + 20,
		.rtt = &rtt,
		.acked = 15000,
		.delivered = 15000,
		.sample = { .delivered = 15000, .interval = 20, .rtt = 20 } };
	struct cv_cc cc;
	(void)state;
	cv_rtt_sample(&rtt, 20, 0);
	cv_cc_init(&cc, CV_CC_RATE, 1500, 20, CV_SEC(1));
	cv_cc_acked(&cc, &ack);
	assert_int_equal(cc.model.bw, 750000000);
	assert_true(cc.cwnd >= 3 * CV_TRAIN);
	/* and at 2 Mbit/s over 1 ms: four packets */
	cv_cc_init(&cc, CV_CC_RATE, 1500, CV_MS(1), CV_SEC(1));
	cc.model.state = 2; /* cruise */
	ack.sample.interval = CV_MS(60);
	ack.sample.rtt = CV_MS(1);
	ack.acked = 1500;
	for (unsigned i = 0; i < 30; i++) {
		ack.now += CV_MS(6);
		ack.delivered += 1500;
		cv_cc_acked(&cc, &ack);
	}
	assert_in_range(cc.cwnd, 4 * 1500, 7 * 1500);
}

/* 6 Gbit/s, and processes that wake up late: no window as small as the path */
static void test_bare(void **state)
{
	const cv_time noise[] = { 50, 300, 1000 };
	(void)state;
	for (unsigned i = 0; i < CV_COUNT(noise); i++) {
		struct path_cfg cfg = { .rate = 6000,
			.rtt = 50,
			.queue_ms = 5,
			.noise = noise[i] };
		struct path *p = path_new(&cfg, 1);
		path_flow(p, PATH_RATE, 0);
		path_run(p, CV_MS(500));
		ABOVE(path_payload(p, 0), 5500);
		path_free(p);
	}
}

/* what drops all above its rate: no more is sent for long */
static void test_policer(void **state)
{
	struct path_cfg cfg = {
		.rate = 200, .rtt = CV_MS(40), .police = 20, .bucket_ms = 50
	};
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct path *p = path_new(&cfg, 1);
		path_flow(p, PATH_RATE, 0);
		path_run(p, CV_SEC(5));
		path_mark(p);
		path_run(p, CV_SEC(15));
		ABOVE(path_payload(p, 0), 18);
		BELOW(path_lost(p), 0.1);
		path_free(p);
		cfg.loss = 0.02;
	}
}

/* share of the second of two flows, between 8 and 28 s */
static double share(enum path_kind first, enum path_kind second, cv_time at)
{
	struct path_cfg cfg = { .rate = 50, .rtt = CV_MS(40) };
	struct path *p = path_new(&cfg, 1);
	double got[2];
	path_flow(p, first, 0);
	path_flow(p, second, at);
	path_run(p, at + CV_SEC(5));
	path_mark(p);
	path_run(p, CV_SEC(28));
	got[0] = path_payload(p, 0);
	got[1] = path_payload(p, 1);
	path_free(p);
	ABOVE(got[0] + got[1], 44);
	return got[1] / (got[0] + got[1]);
}

static void test_share(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		cv_time at = CV_MS(3000 + 137 * i);
		double own = share(PATH_RATE, PATH_RATE, at);
		double bbr = share(PATH_RATE, PATH_BBR1, at);
		double late = share(PATH_BBR1, PATH_RATE, at);
		double cubic = share(PATH_RATE, PATH_CUBIC, at);
		ABOVE(own, 0.4);
		BELOW(own, 0.6);
		ABOVE(bbr, 0.35);
		BELOW(bbr, 0.65);
		ABOVE(late, 0.35);
		BELOW(late, 0.65);
		ABOVE(cubic, 0.3);
		BELOW(cubic, 0.7);
	}
}

/* whom a newcomer's start-up costs packets comes back, in the mean */
static void test_cubic_joined(void **state)
{
	double mean = 0;
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		cv_time at = CV_MS(3000 + 137 * i);
		double own = share(PATH_CUBIC, PATH_RATE, at);
		ABOVE(own, 0.2);
		mean += (1 - own) / 8;
	}
	ABOVE(mean, 0.25);
}

static void test_crowd(void **state)
{
	struct path_cfg cfg = { .rate = 50, .rtt = CV_MS(40) };
	struct path *p = path_new(&cfg, 1);
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		path_flow(p, PATH_RATE, CV_SEC(2 * i));
	path_run(p, CV_SEC(12));
	path_mark(p);
	path_run(p, CV_SEC(32));
	/* 11.8 each would be fair */
	for (unsigned i = 0; i < 4; i++)
		ABOVE(path_payload(p, i), 4);
	path_free(p);
}

/* a path that was used for 6 s, to be changed */
static struct path *warm(void)
{
	struct path_cfg cfg = { .rate = 60, .rtt = CV_MS(40) };
	struct path *p = path_new(&cfg, 1);
	path_flow(p, PATH_RATE, 0);
	path_run(p, CV_SEC(6));
	return p;
}

static double between(struct path *p, unsigned from_ms, unsigned to_ms)
{
	path_run(p, CV_MS(from_ms));
	path_mark(p);
	path_run(p, CV_MS(to_ms));
	return path_payload(p, 0);
}

static void test_rate_falls(void **state)
{
	struct path *p = warm();
	(void)state;
	path_cfg(p)->rate = 20;
	between(p, 7400, 10000);
	BELOW(path_delay(p, 0.95), 20);
	ABOVE(path_payload(p, 0), 18);
	path_free(p);
}

static void test_rate_rises(void **state)
{
	struct path *p = warm();
	(void)state;
	path_cfg(p)->rate = 180;
	ABOVE(between(p, 7000, 9000), 168);
	path_free(p);
}

static void test_rtt_rises(void **state)
{
	struct path *p = warm();
	(void)state;
	path_cfg(p)->rtt += CV_MS(100);
	ABOVE(between(p, 6000, 8000), 25);
	ABOVE(between(p, 8000, 16000), 55);
	path_free(p);
}

static void test_blackout(void **state)
{
	struct path *p = warm();
	(void)state;
	path_cfg(p)->dark = true;
	path_run(p, CV_SEC(9));
	path_cfg(p)->dark = false;
	/* what was lost in the dark is not what the path loses */
	ABOVE(between(p, 11000, 11500), 50);
	assert_in_range(path_cc(p, 0)->model.floor, 0, 10000);
	ABOVE(between(p, 12000, 15000), 54);
	assert_int_equal(path_resets(p, 0), 1);
	BELOW(path_delay(p, 0.95), 25);
	path_free(p);
}

/* requests first: they say nothing of the path, and forget nothing */
static void test_limited(void **state)
{
	struct path_cfg cfg = { .rate = 60, .rtt = CV_MS(40) };
	struct path *p = path_new(&cfg, 1);
	(void)state;
	path_flow(p, PATH_RATE, 0);
	path_run(p, CV_MS(50));
	path_talk(p, 0, 3000, CV_MS(100));
	path_run(p, CV_SEC(6));
	path_talk(p, 0, 0, 0);
	ABOVE(between(p, 6500, 10000), 56);
	path_talk(p, 0, 3000, CV_MS(100));
	path_run(p, CV_SEC(25));
	ABOVE((double)path_cc(p, 0)->rate * 8e-6, 40);
	path_talk(p, 0, 0, 0);
	ABOVE(between(p, 25100, 26000), 54);
	path_free(p);
}

/* each state is come to, and has a word */
static void test_states(void **state)
{
	static const char *const words[] = { "start-up", "drain", "cruise",
		"probe", "yield", "look", "deep-look" };
	struct path_cfg cfg = { .rate = 50, .rtt = CV_MS(40) };
	struct path *p = path_new(&cfg, 1);
	bool seen[CV_COUNT(words)] = { false };
	(void)state;
	path_flow(p, PATH_RATE, 0);
	for (unsigned ms = 50; ms < 60000; ms++) {
		const char *now;
		if (ms == 30000)
			path_flow(p, PATH_CUBIC, 0);
		path_run(p, CV_MS(ms));
		now = cv_cc_state(path_cc(p, 0));
		for (unsigned i = 0; i < CV_COUNT(words); i++)
			seen[i] |= !strcmp(now, words[i]);
	}
	for (unsigned i = 0; i < CV_COUNT(words); i++)
		if (!seen[i])
			fail_msg("never %s", words[i]);
	path_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_lossy),
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_odd_paths),
		cmocka_unit_test(test_rough_start),
		cmocka_unit_test(test_least_window),
		cmocka_unit_test(test_bare),
		cmocka_unit_test(test_policer),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_cubic_joined),
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_rate_falls),
		cmocka_unit_test(test_rate_rises),
		cmocka_unit_test(test_rtt_rises),
		cmocka_unit_test(test_blackout),
		cmocka_unit_test(test_limited),
		cmocka_unit_test(test_states),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
