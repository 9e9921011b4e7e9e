/* SPDX-License-Identifier: MIT */
/* test_loss.c - losses, real and only feared, and the probe timer */
#include "unit/check.h"

#include "core/loss.h"
#include "unit/env.h"

#define RTT CV_MS(40)
#define WAIT CV_MS(45) /* 9/8 of it */

struct fix {
	struct mem mem;
	struct cv_env env;
	struct cv_pool pool;
	struct cv_flights f;
	struct cv_loss l;
	struct cv_rtt rtt;
	cv_time now;
	uint64_t lost;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	assert_non_null(f);
	f->env = mem_env(&f->mem, 1);
	cv_pool_init(&f->pool, &f->env, 1 << 20);
	cv_flights_init(&f->f, &f->env, 0);
	cv_loss_init(&f->l);
	f->rtt = (struct cv_rtt){ RTT, RTT, CV_MS(5), RTT };
	f->now = CV_SEC(9);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	cv_flights_clear(&f->f, &f->pool);
	cv_pool_clear(&f->pool);
	size_t left = f->mem.blocks;
	free(f);
	return left ? -1 : 0;
}

static void emit(struct fix *f)
{
	assert_int_equal(cv_flights_reserve(&f->f, 0), 0);
	assert_non_null(cv_flights_sent(&f->f, f->f.next, 1000, f->now));
}

static void find(struct fix *f)
{
	struct cv_sent *s;
	uint64_t from = 0;
	while ((s = cv_loss_next(&f->l, &f->f, &f->rtt, &from, f->now))) {
		assert_int_equal(s->state, CV_SENT_FLYING);
		assert_ptr_equal(s, cv_flights_at(&f->f, from - 1));
		cv_flights_set(&f->f, s, CV_SENT_LOST);
		f->lost++;
	}
}

/* an ACK for @n alone */
static void ack(struct fix *f, uint64_t n)
{
	struct cv_sent *s = cv_flights_at(&f->f, n);
	assert_non_null(s);
	if (s->state == CV_SENT_LOST)
		cv_loss_spurious(&f->l, &f->rtt, n, f->now - s->at);
	cv_loss_acked(&f->l, n, s->at);
	cv_flights_set(&f->f, s, CV_SENT_SETTLED);
	find(f);
	cv_flights_trim(&f->f, f->now - CV_MS(300));
}

static void test_packets(void **state)
{
	struct fix *f = *state;
	for (int i = 0; i < 8; i++)
		emit(f);
	ack(f, 2);
	assert_int_equal(f->lost, 0);
	assert_int_equal(f->l.deadline, f->now + WAIT);
	ack(f, 3);
	assert_int_equal(f->lost, 1); /* 0 is three behind */
	ack(f, 7);
	assert_int_equal(f->lost, 3); /* 1 and 4 */
	assert_int_equal(f->f.flying, 2);
	assert_int_equal(f->l.largest, 8);
}

/* @from alone leads on, past what is no longer FLYING */
static void test_from(void **state)
{
	struct fix *f = *state;
	uint64_t from = 0;
	for (int i = 0; i < 10; i++)
		emit(f);
	cv_flights_set(&f->f, cv_flights_at(&f->f, 1), CV_SENT_SETTLED);
	cv_loss_acked(&f->l, 6, f->now);
	for (uint64_t n = 0; n < 4; n += n ? 1 : 2)
		assert_ptr_equal(
			cv_loss_next(&f->l, &f->f, &f->rtt, &from, f->now),
			cv_flights_at(&f->f, n));
	assert_null(cv_loss_next(&f->l, &f->f, &f->rtt, &from, f->now));
}

static void test_time(void **state)
{
	struct fix *f = *state;
	emit(f);
	f->now += 100;
	emit(f);
	emit(f);
	f->now += RTT;
	ack(f, 1);
	assert_int_equal(f->l.deadline, f->now - RTT - 100 + WAIT);
	f->now = f->l.deadline - 1;
	find(f);
	assert_int_equal(f->lost, 0);
	f->now++;
	find(f);
	assert_int_equal(f->lost, 1);
	/* what left after the one acknowledged is the probe timer's */
	assert_true(f->l.deadline == CV_NEVER);
	f->now += CV_SEC(1);
	find(f);
	assert_int_equal(f->lost, 1);
}

static void test_latest(void **state)
{
	struct fix *f = *state;
	emit(f);
	emit(f);
	f->rtt.latest = CV_MS(80);
	ack(f, 1);
	assert_int_equal(f->l.deadline, f->now + CV_MS(90));
}

static void test_tolerance(void **state)
{
	struct fix *f = *state;
	for (int i = 0; i < 20; i++)
		emit(f);
	ack(f, 4); /* 0 and 1 are given up */
	assert_int_equal(f->lost, 2);
	ack(f, 0);
	assert_true(f->l.reorders);
	assert_int_equal(f->l.extra, RTT / 4);
	assert_int_equal(f->l.spurious, 1);
	ack(f, 10); /* counting is over */
	assert_int_equal(f->lost, 2);
	assert_int_equal(f->l.deadline, f->now + WAIT + RTT / 4);
	/* as late as it was, and a quarter */
	cv_loss_spurious(&f->l, &f->rtt, 1, WAIT + CV_MS(16));
	assert_int_equal(f->l.extra, CV_MS(20));
	/* late by less than what is tolerated now: a step, but one a round */
	cv_loss_spurious(&f->l, &f->rtt, 15, WAIT);
	assert_int_equal(f->l.extra, CV_MS(30));
	cv_loss_spurious(&f->l, &f->rtt, 9, WAIT);
	assert_int_equal(f->l.extra, CV_MS(30));
	cv_loss_spurious(&f->l, &f->rtt, 16, CV_SEC(1));
	assert_int_equal(f->l.extra, RTT);
}

/* @n rounds of one packet each; of eight where @over is overtaken by seven */
static void rounds(struct fix *f, unsigned n, bool over)
{
	for (; n; n--) {
		uint64_t first = f->f.next;
		for (int i = 0; i < (over ? 8 : 1); i++)
			emit(f);
		f->now += RTT;
		for (uint64_t k = first + over; k < f->f.next; k++)
			ack(f, k);
		if (over)
			ack(f, first);
	}
}

static void test_calm(void **state)
{
	struct fix *f = *state;
	rounds(f, 1, true); /* spurious */
	assert_int_equal(f->l.spurious, 1);
	f->l.extra = RTT;
	rounds(f, CV_LOSS_CALM + 1, false);
	assert_int_equal(f->l.extra, RTT / 2);
	rounds(f, CV_LOSS_CALM, false);
	assert_int_equal(f->l.extra, RTT / 4);
	rounds(f, CV_LOSS_CALM, false);
	assert_int_equal(f->l.extra, RTT / 4);
	/* as long as packets are overtaken nobody counts them */
	rounds(f, 3 * CV_LOSS_QUIET, true);
	assert_int_equal(f->l.spurious, 1);
	assert_true(f->l.reorders);
	rounds(f, CV_LOSS_QUIET - 2, false);
	assert_true(f->l.reorders);
	rounds(f, 3, false);
	assert_false(f->l.reorders);
	assert_int_equal(f->l.extra, 0);
	rounds(f, 1, true);
	assert_int_equal(f->l.spurious, 2);
}

/* overtaken is who arrives when three later ones were told of; two are none */
static void test_overtaken(void **state)
{
	struct fix *f = *state;
	for (int i = 0; i < 10; i++)
		emit(f);
	cv_loss_acked(&f->l, 5, f->now);
	f->l.quiet = 9;
	cv_loss_acked(&f->l, 1, f->now); /* in the same ACK */
	assert_int_equal(f->l.quiet, 9);
	f->l.before = f->l.largest;
	cv_loss_acked(&f->l, 3, f->now);
	assert_int_equal(f->l.quiet, 9);
	cv_loss_acked(&f->l, 2, f->now);
	assert_int_equal(f->l.quiet, 0);
	assert_int_equal(f->l.largest, 6);
}

enum { GAP = 240, PATH = 30000, LATE = 2000, PACKETS = 100000 };

/* 50 Mbit/s, 30 ms, an ACK for each; of a thousand packets @drop are lost and
   @hold late by 2 ms.  Return: how many were dropped */
static uint64_t drive(struct fix *f, uint64_t drop, uint64_t hold)
{
	/* acknowledgements by the slot they come in: on time, or late */
	static uint64_t come[PACKETS + (PATH + LATE) / GAP + 2][2];
	const uint64_t slots[] = { PATH / GAP, (PATH + LATE) / GAP };
	uint64_t seed = 3, dropped = 0;
	memset(come, 0, sizeof come);
	f->rtt = (struct cv_rtt){ PATH, PATH, 500, PATH };
	for (uint64_t n = 0; n < PACKETS; n++, f->now += GAP) {
		uint64_t luck = rnd_below(&seed, 1000);
		bool late = luck >= drop && luck < drop + hold;
		emit(f);
		if (luck >= drop)
			come[n + slots[late]][late] = n + 1;
		else
			dropped++;
		for (int i = 0; i < 2; i++)
			if (come[n][i])
				ack(f, come[n][i] - 1);
		if (f->now >= f->l.deadline)
			find(f);
	}
	return dropped;
}

static void test_held_back(void **state)
{
	struct fix *f = *state;
	drive(f, 0, 10);
	assert_true(f->l.spurious >= 1 && f->l.spurious <= 2);
	assert_int_equal(f->lost, f->l.spurious);
}

/* real losses are all found, and nothing else but at first */
static void test_mixed(void **state)
{
	struct fix *f = *state;
	uint64_t dropped = drive(f, 20, 10);
	assert_true(dropped > 1500);
	assert_true(f->l.spurious <= 2);
	/* the last are still on their way */
	assert_true(f->lost >= dropped - 10 && f->lost <= dropped + 2);
	/* nothing stays behind */
	assert_true(f->f.next - f->f.first < 2000);
}

static void test_probe(void **state)
{
	struct fix *f = *state;
	cv_time last = f->now, delay = CV_MS(25), pto;
#define AT(limited)                                                            \
	(cv_loss_probe_at(&f->l, &f->f, &f->rtt, delay, limited) - last)
	f->l.asked = last;
	assert_true(cv_loss_probe_at(&f->l, &f->f, &f->rtt, delay, true) ==
		    CV_NEVER);
	emit(f);
	/* early: 1/4 round trip, the delay, which is no more than that, 1 ms */
	assert_int_equal(AT(true), CV_MS(21));
	pto = CV_MS(40 + 20 + 10);
	assert_int_equal(AT(false), pto);
	cv_loss_probed(&f->l, true);
	assert_int_equal(AT(true), pto);
	assert_int_equal(f->l.probes, 0);
	for (unsigned i = 1; i <= 10; i++) {
		cv_loss_probed(&f->l, i % 2);
		assert_int_equal(f->l.probes, i);
		assert_int_equal(AT(true),
			pto << i < CV_PROBE_MAX ? pto << i : CV_PROBE_MAX);
		assert_int_equal(cv_loss_persistent(&f->l), i >= 3);
	}
	cv_loss_progress(&f->l);
	assert_false(cv_loss_persistent(&f->l));
	assert_int_equal(AT(true), CV_MS(21));
	/* not early in the middle of a back-off */
	cv_loss_probed(&f->l, false);
	assert_int_equal(AT(true), 2 * pto);
}

static void test_probe_floors(void **state)
{
	struct fix *f = *state;
	cv_time last = f->now, delay = CV_MS(25);
	f->l.asked = last;
	emit(f);
	f->rtt = (struct cv_rtt){ 100, 100, 10, 100 };
	assert_int_equal(AT(true), CV_PROBE_MIN);
	assert_int_equal(AT(false), CV_PROBE_MIN);
	f->rtt = (struct cv_rtt){ CV_MS(200), CV_MS(200), 0, CV_MS(200) };
	assert_int_equal(AT(true), CV_MS(50 + 25 + 1));
	assert_int_equal(AT(false), CV_MS(200 + 1 + 25));
	/* a path longer than the longest wait */
	f->rtt.smoothed = CV_SEC(5);
	cv_loss_probed(&f->l, false);
	assert_int_equal(AT(false), CV_MS(5000 + 1 + 25));
	f->rtt = (struct cv_rtt){ 0 };
	f->l.probes = 0;
	assert_int_equal(AT(false), CV_MS(999 + 25));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_packets),
		TEST(test_from),
		TEST(test_time),
		TEST(test_latest),
		TEST(test_tolerance),
		TEST(test_calm),
		TEST(test_overtaken),
		TEST(test_held_back),
		TEST(test_mixed),
		TEST(test_probe),
		TEST(test_probe_floors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
