/* SPDX-License-Identifier: MIT */
/* test_acks.c - when acknowledgements are due, and what is in them */
#include "unit/check.h"

#include "core/acks.h"
#include "core/frame.h"
#include "unit/env.h"

#define RTT CV_MS(40)

struct fix {
	struct mem mem;
	struct cv_env env;
	struct cv_acks a;
	uint8_t out[CV_ACK_SIZE];
	cv_time now;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	assert_non_null(f);
	f->env = mem_env(&f->mem, 1);
	cv_acks_init(&f->a, &f->env);
	f->now = CV_SEC(7);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	cv_acks_clear(&f->a);
	size_t left = f->mem.blocks;
	free(f);
	return left ? -1 : 0;
}

static void got(struct fix *f, uint64_t number, bool asks)
{
	cv_acks_got(&f->a, number, asks, RTT, f->now);
}

static size_t put(struct fix *f, size_t room)
{
	size_t n = cv_acks_put(&f->a, f->out, room, f->now);
	assert_true(n <= room);
	return n;
}

/* what was just written, read again; the walk stands before its ranges */
static struct cv_ack_walk reread(struct fix *f, size_t n)
{
	struct cv_ack_walk w;
	uint8_t *p = f->out + 1;
	assert_int_equal(f->out[0], CV_ACK_TYPE);
	assert_int_equal(cv_ack_read(&p, f->out + n, &w), 0);
	assert_ptr_equal(p, f->out + n);
	return w;
}

static void test_due(void **state)
{
	struct fix *f = *state;
	assert_true(cv_acks_due(&f->a) == CV_NEVER);
	assert_int_equal(put(f, sizeof f->out), 0);
	got(f, 5, true); /* the first one: no gap before it is known */
	assert_true(cv_acks_pending(&f->a));
	assert_int_equal(cv_acks_due(&f->a), f->now + RTT / 4);
	f->now += CV_MS(3);
	got(f, 6, true);
	assert_int_equal(cv_acks_due(&f->a), f->now);
	assert_true(put(f, sizeof f->out) > 0);
	assert_false(cv_acks_pending(&f->a));
	assert_true(cv_acks_due(&f->a) == CV_NEVER);
}

static void test_delays(void **state)
{
	struct fix *f = *state;
	static const cv_time want[][2] = { { 0, CV_ACK_DELAY },
		{ CV_MS(400), CV_ACK_DELAY }, { CV_MS(8), CV_MS(2) },
		{ 100, CV_ACK_FLOOR } };
	for (size_t i = 0; i < CV_COUNT(want); i++) {
		cv_acks_got(&f->a, i, true, want[i][0], f->now);
		assert_int_equal(cv_acks_due(&f->a), f->now + want[i][1]);
		put(f, sizeof f->out);
	}
}

static void test_gaps(void **state)
{
	struct fix *f = *state;
	got(f, 0, true);
	put(f, sizeof f->out);
	f->a.every = 100;
	got(f, 5, true); /* appears */
	assert_int_equal(cv_acks_due(&f->a), f->now);
	put(f, sizeof f->out);
	got(f, 4, true); /* neither appears nor closes */
	assert_true(cv_acks_due(&f->a) > f->now);
	put(f, sizeof f->out);
	got(f, 2, true); /* one becomes two */
	assert_int_equal(cv_acks_due(&f->a), f->now);
	put(f, sizeof f->out);
	got(f, 3, true); /* closes */
	assert_int_equal(cv_acks_due(&f->a), f->now);
	put(f, sizeof f->out);
	got(f, 1, true);
	assert_int_equal(cv_acks_due(&f->a), f->now);
	assert_int_equal(f->a.got.count, 1);
}

/* packets that do not ask: never due, but a gap they made is told later */
static void test_silent(void **state)
{
	struct fix *f = *state;
	got(f, 0, true);
	put(f, sizeof f->out);
	f->a.every = 100;
	for (uint64_t n = 2; n < 50; n += 2)
		got(f, n, false);
	assert_true(cv_acks_due(&f->a) == CV_NEVER);
	assert_false(cv_acks_pending(&f->a));
	got(f, 49, true);
	assert_int_equal(cv_acks_due(&f->a), f->now);
	struct cv_ack_walk w = reread(f, put(f, sizeof f->out));
	assert_int_equal(w.largest, 49);
}

/* how many are told at a time, at @gap µs between packets */
static uint32_t every(struct fix *f, cv_time rtt, cv_time gap)
{
	cv_acks_clear(&f->a);
	for (uint64_t n = 0; n < 20000; n++) {
		f->now += gap;
		cv_acks_got(&f->a, n, true, rtt, f->now);
	}
	return f->a.every;
}

static void test_pace(void **state)
{
	struct fix *f = *state;
	assert_int_equal(every(f, RTT, CV_MS(10)), CV_ACK_EVERY_MIN);
	assert_int_equal(every(f, RTT, 10), CV_ACK_EVERY_MAX);
	assert_int_equal(every(f, RTT, 250), 10); /* 160 in a round trip */
	assert_int_equal(every(f, 100, 2), CV_ACK_EVERY_MAX);
	assert_int_equal(every(f, 100, 10), 6);
	assert_int_equal(every(f, 0, 2), CV_ACK_EVERY_MIN);
	/* after silence it begins anew */
	assert_int_equal(every(f, RTT, 10), CV_ACK_EVERY_MAX);
	f->now += CV_SEC(10);
	cv_acks_got(&f->a, 50000, true, RTT, f->now);
	assert_int_equal(f->a.every, CV_ACK_EVERY_MIN);
}

static void test_bytes(void **state)
{
	struct fix *f = *state;
	static const uint8_t want[] = { CV_ACK_TYPE, 20, 7, 2, 2, 3, 0, 4, 4 };
	/* 3..7, 13, 18..20 */
	for (uint64_t n = 3; n <= 20; n++)
		if (n < 8 || n == 13 || n > 17)
			got(f, n, true);
	f->now += 7;
	assert_int_equal(put(f, sizeof f->out), sizeof want);
	assert_memory_equal(f->out, want, sizeof want);
	struct cv_ack_walk w = reread(f, sizeof want);
	struct cv_range r;
	assert_int_equal(w.largest, 20);
	assert_int_equal(w.delay, 7);
	assert_true(cv_ack_range(&w, &r) && r.lo == 18 && r.hi == 21);
	assert_true(cv_ack_range(&w, &r) && r.lo == 13 && r.hi == 14);
	assert_true(cv_ack_range(&w, &r) && r.lo == 3 && r.hi == 8);
	assert_false(cv_ack_range(&w, &r));
}

/* more gaps than are kept, than are told, than there is room for */
static void test_many(void **state)
{
	struct fix *f = *state;
	const uint64_t base = UINT64_C(1) << 61;
	struct cv_range r;
	for (uint64_t n = 0; n < 1000; n++)
		got(f, base + 3 * n, true);
	assert_int_equal(f->a.got.count, CV_ACK_KEPT);
	/* older than all that is kept: nobody's loss */
	got(f, base + 1, true);
	assert_int_equal(f->a.got.count, CV_ACK_KEPT);
	assert_false(cv_ranges_has(&f->a.got, base + 1));
	for (size_t room = 0; room < sizeof f->out; room++) {
		size_t n = put(f, room);
		assert_int_equal(n > 0, room >= 32);
		if (!n)
			continue;
		struct cv_ack_walk w = reread(f, n);
		uint64_t k = 0;
		for (; cv_ack_range(&w, &r); k++)
			assert_true(r.lo == base + 3 * (999 - k) &&
				    r.hi == r.lo + 1);
		assert_true(k >= 1 && k <= CV_ACK_RANGES);
	}
	struct cv_ack_walk w = reread(f, put(f, sizeof f->out));
	assert_int_equal(w.left, CV_ACK_RANGES);
}

static void test_told(void **state)
{
	struct fix *f = *state;
	cv_acks_told(&f->a, 100);
	for (uint64_t n = 0; n < 30; n += 3)
		got(f, n, true);
	cv_acks_told(&f->a, 9);
	assert_int_equal(f->a.got.r[0].lo, 9);
	cv_acks_told(&f->a, 1000);
	assert_int_equal(f->a.got.count, 1);
	assert_true(put(f, sizeof f->out) > 0);
}

static void test_memory(void **state)
{
	struct fix *f = *state;
	f->mem.fail_all = true;
	got(f, 1, true);
	assert_false(cv_acks_pending(&f->a));
	assert_int_equal(put(f, sizeof f->out), 0);
	f->mem.fail_all = false;
	for (uint64_t n = 0; n < 8; n++)
		got(f, 3 * n, true);
	f->mem.fail_all = true;
	for (uint64_t n = 8; n < 20; n++)
		got(f, 3 * n, true);
	assert_true(cv_ranges_has(&f->a.got, 57));
	assert_int_equal(f->a.largest, 58);
}

static void check_bad(const uint8_t *bytes, size_t n)
{
	uint8_t copy[16];
	struct cv_ack_walk w = { .largest = 77 };
	memcpy(copy, bytes, n);
	uint8_t *p = copy;
	assert_int_equal(cv_ack_read(&p, copy + n, &w), CULVERT_EPROTO);
	assert_ptr_equal(p, copy);
	assert_int_equal(w.largest, 77);
}

static void test_bad(void **state)
{
	(void)state;
	static const uint8_t whole[] = { 9, 0, 1, 2, 3, 2 }; /* 7-9, 0-2 */
	uint8_t bad[sizeof whole], *p = bad;
	struct cv_ack_walk w;
	struct cv_range r;
	memcpy(bad, whole, sizeof bad);
	assert_int_equal(cv_ack_read(&p, bad + sizeof bad, &w), 0);
	assert_true(cv_ack_range(&w, &r) && r.lo == 7 && r.hi == 10);
	assert_true(cv_ack_range(&w, &r) && r.lo == 0 && r.hi == 3);
	for (size_t n = 0; n < sizeof whole; n++)
		check_bad(whole, n);
	bad[5] = 3; /* one below zero */
	check_bad(bad, sizeof bad);
	bad[5] = 0, bad[4] = 6; /* the gap leaves no number */
	check_bad(bad, sizeof bad);
	memcpy(bad, whole, sizeof bad);
	bad[3] = 10; /* longer than there are numbers */
	check_bad(bad, sizeof bad);
	memcpy(bad, whole, sizeof bad);
	bad[2] = 63; /* ranges that are not there */
	check_bad(bad, sizeof bad);
}

/* any bytes: either refused, or ranges that fall and do not touch */
static void test_noise(void **state)
{
	uint64_t seed = 5;
	unsigned good = 0;
	(void)state;
	for (int i = 0; i < 200000; i++) {
		uint8_t b[24], *p = b;
		struct cv_ack_walk w;
		struct cv_range r;
		uint64_t last = UINT64_MAX;
		rnd_fill(&seed, b, sizeof b);
		for (size_t k = 0; k < sizeof b; k++)
			b[k] &= k ? 0x47 : 0x7f;
		if (cv_ack_read(&p, b + sizeof b, &w))
			continue;
		good++;
		for (; cv_ack_range(&w, &r); last = r.lo)
			assert_true(r.lo < r.hi && r.hi < last);
		assert_true(w.left == 0 && w.p == p);
	}
	assert_true(good > 1000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_due),
		TEST(test_delays),
		TEST(test_gaps),
		TEST(test_silent),
		TEST(test_pace),
		TEST(test_bytes),
		TEST(test_many),
		TEST(test_told),
		TEST(test_memory),
		TEST(test_bad),
		TEST(test_noise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
