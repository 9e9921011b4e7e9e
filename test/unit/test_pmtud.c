/* SPDX-License-Identifier: MIT */
/* test_pmtud.c - what a path takes is found, and found again when it changes */
#include "unit/check.h"

#include "core/pmtud.h"
#include "unit/env.h"

enum { START = 5000000 };

/* probe until there is nothing to be tried; a probe arrives if the path takes
   it and, of @loss in 100, it is not lost for another reason.
   Return: how many probes went out */
static unsigned probe_all(struct cv_pmtud *p, uint32_t path, uint64_t *seed,
	unsigned loss, cv_time *now)
{
	unsigned n = 0;
	uint32_t size;
	while ((size = cv_pmtud_want(p, *now))) {
		uint32_t mtu = p->mtu;
		assert_true(size > mtu && size <= p->device);
		cv_pmtud_sent(p, size);
		assert_int_equal(cv_pmtud_want(p, *now), 0);
		assert_true(cv_pmtud_deadline(p) == CV_NEVER);
		*now += 1000;
		bool lost = size > path || rnd_below(seed, 100) < loss;
		if (lost) {
			cv_pmtud_probe_lost(p, size, *now);
			assert_int_equal(p->mtu, mtu);
		} else {
			assert_true(cv_pmtud_probe_acked(p, size, *now));
			assert_int_equal(p->mtu, size);
		}
		assert_true(++n < 100);
	}
	assert_true(cv_pmtud_deadline(p) > *now);
	return n;
}

static void assert_found(const struct cv_pmtud *p, uint32_t path)
{
	if (path > p->device)
		path = p->device;
	assert_true(p->mtu <= path);
	assert_true(p->mtu + CV_MTU_STEP > path);
}

static void test_usual(void **state)
{
	uint64_t seed = 5;
	struct cv_pmtud p;
	cv_time now = START;
	(void)state;
	cv_pmtud_init(&p, 1500, now);
	assert_int_equal(p.mtu, CV_MTU_BASE);
	assert_true(cv_pmtud_deadline(&p) <= now);
	assert_int_equal(cv_pmtud_want(&p, now), 1500);
	assert_int_equal(probe_all(&p, 1500, &seed, 0, &now), 1);
	assert_int_equal(p.mtu, 1500);
	assert_true(cv_pmtud_deadline(&p) == CV_NEVER);
	assert_int_equal(cv_pmtud_want(&p, now + 2 * CV_MTU_AGAIN), 0);
}

static void test_devices(void **state)
{
	struct cv_pmtud p;
	(void)state;
	cv_pmtud_init(&p, 0, START);
	assert_int_equal(cv_pmtud_want(&p, START), CV_MTU_USUAL);
	cv_pmtud_init(&p, 65536, START);
	assert_int_equal(cv_pmtud_want(&p, START), CV_MTU_MAX);
	cv_pmtud_init(&p, 1281, START); /* a byte is worth one probe */
	assert_int_equal(cv_pmtud_want(&p, START), 1281);
	cv_pmtud_init(&p, CV_MTU_BASE, START);
	assert_int_equal(cv_pmtud_want(&p, START), 0);
	assert_true(cv_pmtud_deadline(&p) == CV_NEVER);
	cv_pmtud_init(&p, 576, START);
	assert_int_equal(p.mtu, 576);
	assert_int_equal(cv_pmtud_want(&p, START), 0);
	for (int i = 0; i < 10; i++)
		assert_false(cv_pmtud_lost(&p, 576, START + CV_SEC(i)));
	assert_false(cv_pmtud_refused(&p, 576, START));
	assert_int_equal(p.mtu, 576);
}

/* any path behind any interface, with and without loss */
static void test_any_path(void **state)
{
	uint64_t seed = 6;
	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct cv_pmtud p;
		cv_time now = START;
		uint32_t path = 1280 + (uint32_t)rnd_below(&seed, 8000);
		uint32_t device = 1280 + (uint32_t)rnd_below(&seed, 8000);
		cv_pmtud_init(&p, device, now);
		unsigned n = probe_all(&p, path, &seed, 0, &now);
		assert_found(&p, path);
		assert_true(n <= 3 * 11);
		/* loss may stop the search early, but not mislead it */
		cv_pmtud_init(&p, device, now);
		probe_all(&p, path, &seed, 20, &now);
		assert_true(p.mtu <= path && p.mtu >= CV_MTU_BASE);
	}
}

/* the path gets better: it is noticed at the next search, from there on up */
static void test_search_again(void **state)
{
	uint64_t seed = 7;
	struct cv_pmtud p;
	cv_time now = START;
	(void)state;
	cv_pmtud_init(&p, 1500, now);
	probe_all(&p, 1400, &seed, 0, &now);
	assert_found(&p, 1400);
	cv_time at = cv_pmtud_deadline(&p);
	assert_true(at == now + CV_MTU_AGAIN);
	assert_int_equal(cv_pmtud_want(&p, at - 1), 0);
	now = at;
	assert_int_equal(cv_pmtud_want(&p, now), 1500);
	probe_all(&p, 1460, &seed, 0, &now);
	assert_found(&p, 1460);
	now = cv_pmtud_deadline(&p);
	probe_all(&p, 9000, &seed, 0, &now);
	assert_int_equal(p.mtu, 1500);
}

static void test_three_tries(void **state)
{
	struct cv_pmtud p;
	(void)state;
	cv_pmtud_init(&p, 1500, START);
	for (int i = 0; i < CV_MTU_TRIES; i++) {
		assert_int_equal(cv_pmtud_want(&p, START), 1500);
		cv_pmtud_sent(&p, 1500);
		cv_pmtud_probe_lost(&p, 1499, START); /* an older one */
		assert_true(cv_pmtud_deadline(&p) == CV_NEVER);
		cv_pmtud_probe_lost(&p, 1500, START);
		assert_true(cv_pmtud_deadline(&p) <= START);
	}
	uint32_t size = cv_pmtud_want(&p, START);
	assert_true(size > CV_MTU_BASE && size < 1500);
	/* it was only late */
	cv_pmtud_sent(&p, size);
	assert_true(cv_pmtud_probe_acked(&p, 1500, START));
	assert_int_equal(p.mtu, 1500);
	assert_false(cv_pmtud_probe_acked(&p, size, START));
	assert_int_equal(p.mtu, 1500);
	assert_int_equal(cv_pmtud_want(&p, START), 0);
	assert_true(cv_pmtud_deadline(&p) == CV_NEVER);
}

/* late, and after the search went on below: what is between is not lost */
static void test_late_one_in_between(void **state)
{
	uint64_t seed = 8;
	struct cv_pmtud p;
	cv_time now = START;
	(void)state;
	cv_pmtud_init(&p, 9000, now);
	probe_all(&p, 1280, &seed, 0, &now);
	assert_int_equal(p.mtu, 1280);
	assert_true(cv_pmtud_probe_acked(&p, 5140, now));
	assert_int_equal(p.mtu, 5140);
	assert_int_equal(cv_pmtud_want(&p, now), 0);
	struct cv_pmtud q = p;
	assert_true(cv_pmtud_refused(&q, 5140, now));
	assert_int_equal(q.mtu, CV_MTU_BASE);
	now = cv_pmtud_deadline(&p);
	probe_all(&p, 9000, &seed, 0, &now);
	assert_int_equal(p.mtu, 9000);
}

static void test_refused(void **state)
{
	uint64_t seed = 9;
	struct cv_pmtud p;
	cv_time now = START;
	(void)state;
	cv_pmtud_init(&p, 9000, now);
	while (cv_pmtud_want(&p, now) > 1500) {
		uint32_t size = cv_pmtud_want(&p, now);
		cv_pmtud_sent(&p, size);
		assert_false(cv_pmtud_refused(&p, size, now));
		assert_int_equal(p.top, size - 1);
	}
	probe_all(&p, 1500, &seed, 0, &now);
	assert_found(&p, 1500);
	uint32_t top = p.top; /* what is known does no harm */
	assert_false(cv_pmtud_refused(&p, 8000, now));
	assert_int_equal(p.top, top);
	/* the interface has a smaller MTU now */
	assert_true(cv_pmtud_refused(&p, p.mtu, now));
	assert_int_equal(p.mtu, CV_MTU_BASE);
	probe_all(&p, 1400, &seed, 0, &now);
	assert_found(&p, 1400);
	/* not even that: base is taken for granted all the same */
	assert_true(cv_pmtud_refused(&p, CV_MTU_BASE, now));
	assert_int_equal(p.mtu, CV_MTU_BASE);
	assert_int_equal(cv_pmtud_want(&p, now), 0);
	assert_true(cv_pmtud_deadline(&p) == now + CV_MTU_AGAIN);
}

static struct cv_pmtud found(uint32_t mtu)
{
	struct cv_pmtud p;
	cv_pmtud_init(&p, mtu, START);
	cv_pmtud_sent(&p, mtu);
	assert_true(cv_pmtud_probe_acked(&p, mtu, START));
	return p;
}

static void test_black_hole(void **state)
{
	uint64_t seed = 10;
	struct cv_pmtud p = found(1500);
	cv_time now = START;
	(void)state;
	assert_false(cv_pmtud_lost(&p, 1500, now));
	cv_pmtud_acked(&p, 1280);
	assert_false(cv_pmtud_lost(&p, 1450, now));
	assert_true(cv_pmtud_lost(&p, 1500, now));
	assert_int_equal(p.mtu, CV_MTU_BASE);
	/* those sent before do not count any more */
	for (int i = 0; i < 9; i++)
		assert_false(cv_pmtud_lost(&p, 1500, now + CV_SEC(i)));
	assert_int_equal(p.black, 0);
	assert_int_equal(cv_pmtud_want(&p, now), 1500);
	probe_all(&p, 1420, &seed, 0, &now);
	assert_found(&p, 1420);
}

/* a burst is told at once, by an acknowledgement that came before */
static void test_burst_is_no_hole(void **state)
{
	struct cv_pmtud p = found(1500);
	(void)state;
	cv_pmtud_acked(&p, 100);
	for (int i = 0; i < 50; i++)
		assert_false(cv_pmtud_lost(&p, 1500, START));
	cv_pmtud_acked(&p, 1500);
	cv_pmtud_acked(&p, 100);
	assert_false(cv_pmtud_lost(&p, 1500, START));
	cv_pmtud_acked(&p, 100);
	assert_false(cv_pmtud_lost(&p, 1500, START));
	assert_int_equal(p.mtu, 1500);
	cv_pmtud_acked(&p, 1499);
	cv_pmtud_acked(&p, 1500);
	for (int i = 0; i < 50; i++) /* what was small is long past */
		assert_false(cv_pmtud_lost(&p, 1500, START));
	cv_pmtud_acked(&p, 1499);
	assert_true(cv_pmtud_lost(&p, 1500, START));
}

/* the row is ended by what is as large as the smallest in it, not by less */
static void test_what_ends_a_row(void **state)
{
	struct cv_pmtud p = found(1500);
	(void)state;
	assert_false(cv_pmtud_lost(&p, 1500, START));
	assert_false(cv_pmtud_lost(&p, 1400, START));
	cv_pmtud_acked(&p, 1400);
	assert_int_equal(p.black, 0);
	assert_false(cv_pmtud_lost(&p, CV_MTU_BASE, START));
	assert_int_equal(p.black, 0);
	assert_false(cv_pmtud_lost(&p, 1281, START));
	assert_int_equal(p.black, 1);
	cv_pmtud_acked(&p, CV_MTU_BASE);
	assert_int_equal(p.black, 1);
}

/* nothing small was sent at all */
static void test_long_row(void **state)
{
	struct cv_pmtud p = found(1500);
	cv_time end = START + CV_MTU_PATIENCE;
	(void)state;
	assert_false(cv_pmtud_lost(&p, 1500, START));
	assert_false(cv_pmtud_lost(&p, 1500, START + 1));
	assert_false(cv_pmtud_lost(&p, 1500, end - 1));
	assert_true(cv_pmtud_lost(&p, 1500, end));
	p = found(1500);
	assert_false(cv_pmtud_lost(&p, 1500, START));
	assert_false(cv_pmtud_lost(&p, 1500, end)); /* only two */
	assert_int_equal(p.mtu, 1500);
}

/* a probe that is lost is none of them; one under way is let go */
static void test_hole_while_probing(void **state)
{
	struct cv_pmtud p;
	uint64_t seed = 11;
	cv_time now = START;
	(void)state;
	cv_pmtud_init(&p, 9000, now);
	probe_all(&p, 4000, &seed, 0, &now);
	now = cv_pmtud_deadline(&p);
	uint32_t mtu = p.mtu;
	assert_int_equal(cv_pmtud_want(&p, now), 9000);
	cv_pmtud_sent(&p, 9000);
	assert_false(cv_pmtud_lost(&p, mtu, now));
	cv_pmtud_acked(&p, 64);
	assert_false(cv_pmtud_lost(&p, mtu, now));
	assert_true(cv_pmtud_lost(&p, mtu, now));
	assert_int_equal(cv_pmtud_want(&p, now), 9000);
	cv_pmtud_probe_lost(&p, 9000, now);
	assert_int_equal(p.tries, 0);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_usual),
		T(test_devices),
		T(test_any_path),
		T(test_search_again),
		T(test_three_tries),
		T(test_late_one_in_between),
		T(test_refused),
		T(test_black_hole),
		T(test_burst_is_no_hole),
		T(test_what_ends_a_row),
		T(test_long_row),
		T(test_hole_while_probing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
