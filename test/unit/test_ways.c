/* SPDX-License-Identifier: MIT */
/* test_ways.c - which way to a peer of the LAN is used, and when others are
 * tried */
#include "unit/check.h"

#include "link/ways.h"

struct fix {
	struct cv_ways w;
	cv_time now;
	uint64_t token; /* of the last challenge */
	unsigned asked;
	uint32_t gone; /* the interface that is not usable any more */
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	assert_non_null(f);
	cv_ways_init(&f->w);
	f->now = CV_SEC(100);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static struct cv_lan_way way(enum cv_lan_kind kind, const char *ip)
{
	struct cv_lan_way x = { .ifindex = 2, .kind = (uint8_t)kind };
	assert_int_equal(cv_addr_parse_ip(ip, &x.addr), 0);
	x.addr.port = 17238;
	return x;
}

static struct cv_lan_way unicast(const char *ip)
{
	return way(CV_LAN_UNICAST, ip);
}

static struct cv_lan_way broadcast(uint32_t ifindex)
{
	struct cv_lan_way x = way(CV_LAN_BROADCAST, "255.255.255.255");
	x.ifindex = ifindex;
	return x;
}

static struct cv_lan_way frame(uint8_t mac)
{
	struct cv_lan_way x = way(CV_LAN_FRAME, "0.0.0.0");
	x.mac[5] = mac;
	return x;
}

static struct cv_way *add(struct fix *f, struct cv_lan_way x)
{
	return cv_ways_add(&f->w, &x);
}

static void heard(struct fix *f, struct cv_lan_way x)
{
	cv_ways_heard(&f->w, &x, f->now);
}

/* every challenge that is due now is sent */
static unsigned challenge(struct fix *f)
{
	struct cv_way *x;
	unsigned n = 0;
	while ((x = cv_ways_due(&f->w, f->now))) {
		cv_ways_asked(x, ++f->token, f->now);
		assert_true(++n <= CV_WAYS);
	}
	f->asked += n;
	return n;
}

/* the challenge of a way is sent and comes back after 1 ms */
static bool prove(struct fix *f, struct cv_lan_way x)
{
	cv_ways_asked(add(f, x), ++f->token, f->now);
	f->now += CV_MS(1);
	return cv_ways_echoed(&f->w, f->token, f->now);
}

static enum cv_lan_kind used(struct fix *f)
{
	assert_true(f->w.used >= 0 && f->w.used < (int)f->w.n);
	return f->w.way[f->w.used].way.kind;
}

/* challenges that fall due are sent, for that long */
static unsigned run(struct fix *f, cv_time time)
{
	cv_time end = f->now + time, at;
	unsigned before = f->asked;
	while ((at = cv_ways_deadline(&f->w)) <= end) {
		if (at > f->now)
			f->now = at;
		if (!challenge(f))
			f->now++;
	}
	f->now = end;
	return f->asked - before;
}

static bool usable(void *user, const struct cv_lan_way *x)
{
	const struct fix *f = user;
	return x->ifindex != f->gone;
}

static bool sweep(struct fix *f)
{
	return cv_ways_sweep(&f->w, usable, f, f->now);
}

/* --- what is known --- */

static void each_is_known_once(void **state)
{
	struct fix *f = *state;
	struct cv_way *a = add(f, unicast("10.0.0.1"));
	assert_ptr_equal(add(f, unicast("10.0.0.1")), a);
	assert_int_equal(f->w.n, 1);
	add(f, unicast("10.0.0.2"));
	add(f, broadcast(2));
	add(f, broadcast(3));
	assert_int_equal(f->w.n, 4);
	add(f, frame(1));
	add(f, frame(2));
	assert_int_equal(f->w.n, 6);
}

/* a station is its hardware address, whatever address it has at the time */
static void a_frame_is_to_a_station(void **state)
{
	struct fix *f = *state;
	struct cv_lan_way x = frame(1);
	add(f, x);
	cv_addr_parse_ip("10.9.9.9", &x.addr);
	add(f, x);
	assert_int_equal(f->w.n, 1);
}

static void those_heard_longest_ago_give_way(void **state)
{
	struct fix *f = *state;
	char ip[16];
	assert_true(prove(f, unicast("10.0.0.1")));
	for (unsigned i = 2; i < 1000; i++) {
		snprintf(ip, sizeof ip, "10.0.%u.%u", i / 250, i % 250);
		f->now += CV_MS(1);
		heard(f, unicast(ip));
		assert_true(f->w.n <= CV_WAYS);
	}
	assert_int_equal(f->w.n, CV_WAYS);
	assert_int_equal(used(f), CV_LAN_UNICAST);
	assert_int_equal(cv_ways_best(&f->w)->way.addr.ip[3], 1);
	/* the newest are there */
	unsigned n = f->w.n;
	heard(f, unicast(ip));
	assert_int_equal(f->w.n, n);
	for (unsigned i = 0; i < f->w.n; i++)
		assert_true(f->w.used == (int)i ||
			    f->now - f->w.way[i].heard < CV_MS(CV_WAYS));
}

static void the_one_in_use_stays_wherever_it_is(void **state)
{
	struct fix *f = *state;
	char ip[16];
	for (unsigned i = 1; i <= CV_WAYS; i++) {
		snprintf(ip, sizeof ip, "10.0.0.%u", i);
		add(f, unicast(ip));
	}
	f->w.used = CV_WAYS - 1; /* moves into the place of the worst */
	f->now += CV_MS(1);
	heard(f, frame(7));
	assert_int_equal(cv_ways_best(&f->w)->way.addr.ip[3], CV_WAYS);
}

/* --- which is used --- */

static void nothing_is_known(void **state)
{
	struct fix *f = *state;
	assert_null(cv_ways_best(&f->w));
	assert_null(cv_ways_due(&f->w, f->now));
	assert_true(cv_ways_deadline(&f->w) == CV_NEVER);
	assert_false(sweep(f));
	assert_false(cv_ways_echoed(&f->w, 0, f->now));
}

static void what_was_heard_is_presumed_good(void **state)
{
	struct fix *f = *state;
	add(f, broadcast(2));
	heard(f, broadcast(3));
	assert_null(cv_ways_best(&f->w));
	heard(f, unicast("10.0.0.1"));
	f->now += CV_MS(1);
	heard(f, unicast("10.0.0.2"));
	assert_int_equal(cv_ways_best(&f->w)->way.addr.ip[3], 2);
	f->now += CV_MS(1);
	heard(f, unicast("10.0.0.1"));
	assert_int_equal(cv_ways_best(&f->w)->way.addr.ip[3], 1);
	/* until it was asked in vain, however often it is heard */
	run(f, CV_WAYS_DOUBT);
	assert_non_null(cv_ways_best(&f->w));
	run(f, 2 * CV_WAYS_DOUBT);
	assert_null(cv_ways_best(&f->w));
	heard(f, unicast("10.0.0.1"));
	assert_null(cv_ways_best(&f->w));
}

static void the_best_that_is_proven_is_used(void **state)
{
	struct fix *f = *state;
	assert_true(prove(f, way(CV_LAN_FRAMECAST, "255.255.255.255")));
	assert_true(prove(f, broadcast(2)));
	assert_true(cv_ways_flooding(cv_ways_best(&f->w)));
	assert_true(prove(f, way(CV_LAN_MULTICAST6, "ff12::1")));
	assert_true(prove(f, frame(1)));
	assert_false(cv_ways_flooding(cv_ways_best(&f->w)));
	assert_true(prove(f, unicast("10.0.0.1")));
	assert_true(prove(f, unicast("fe80::1")));
	assert_int_equal(f->w.switches, 6);
	/* no worse one, nor an equal one */
	assert_false(prove(f, broadcast(2)));
	assert_false(prove(f, unicast("10.0.0.1")));
	assert_false(prove(f, unicast("fe80::2")));
	assert_false(prove(f, unicast("fe80::1")));
	assert_int_equal(cv_ways_best(&f->w)->way.addr.ip[15], 1);
	assert_int_equal(cv_ways_best(&f->w)->rtt, CV_MS(1));
	assert_int_equal(f->w.switches, 6);
}

static void only_the_last_challenge_counts(void **state)
{
	struct fix *f = *state;
	struct cv_way *x = add(f, unicast("10.0.0.1"));
	assert_false(cv_ways_echoed(&f->w, 0, f->now)); /* never asked */
	cv_ways_asked(x, 5, f->now);
	cv_ways_asked(x, 6, f->now + 1);
	assert_false(cv_ways_echoed(&f->w, 5, f->now + 2));
	assert_int_equal(f->w.used, -1);
	assert_true(cv_ways_echoed(&f->w, 6, f->now + 2));
	/* a second time it says nothing */
	f->w.used = -1;
	assert_false(cv_ways_echoed(&f->w, 6, f->now + 3));
}

/* --- challenges --- */

static void all_are_asked_at_first(void **state)
{
	struct fix *f = *state;
	add(f, broadcast(2));
	add(f, broadcast(3));
	add(f, unicast("10.0.0.1"));
	assert_true(cv_ways_deadline(&f->w) <= f->now);
	assert_int_equal(challenge(f), 3);
	assert_true(cv_ways_deadline(&f->w) > f->now);
	/* less and less often */
	unsigned first = run(f, CV_SEC(1)), later;
	assert_true(first >= 3 && first <= 15);
	run(f, CV_SEC(30));
	later = run(f, CV_SEC(32));
	assert_true(later > 0 && later <= 3 * 32 / 3);
}

static void better_ones_are_looked_for(void **state)
{
	struct fix *f = *state;
	prove(f, broadcast(2));
	add(f, way(CV_LAN_FRAMECAST, "255.255.255.255"));
	assert_true(cv_ways_deadline(&f->w) == CV_NEVER);
	heard(f, unicast("fe80::1"));
	assert_int_equal(run(f, CV_MS(1)), 1);
	assert_int_equal(run(f, CV_MS(100)), 0);
	unsigned n = run(f, CV_SEC(60));
	assert_true(n >= 4 && n <= 8);
	assert_true(cv_ways_echoed(&f->w, f->token, f->now));
	assert_int_equal(used(f), CV_LAN_UNICAST);
	assert_true(cv_ways_deadline(&f->w) == CV_NEVER);
}

/* who was silent and speaks is asked soon */
static void first_heard_begins_anew(void **state)
{
	struct fix *f = *state;
	prove(f, broadcast(2));
	add(f, unicast("fe80::1"));
	run(f, CV_SEC(600));
	assert_int_equal(add(f, unicast("fe80::1"))->tries, CV_WAYS_TRIES);
	heard(f, unicast("fe80::1"));
	assert_int_equal(add(f, unicast("fe80::1"))->tries, 0);
	assert_true(cv_ways_deadline(&f->w) <= f->now + CV_WAYS_SEARCH);
	challenge(f);
	heard(f, unicast("fe80::1"));
	assert_int_equal(add(f, unicast("fe80::1"))->tries, 1);
}

/* --- doubt --- */

static void its_echo_ends_the_doubt(void **state)
{
	struct fix *f = *state;
	add(f, broadcast(2));
	prove(f, unicast("10.0.0.1"));
	assert_int_equal(challenge(f), 0);
	f->now += CV_SEC(1);
	cv_ways_doubt(&f->w, f->now);
	/* that in use is asked first */
	assert_ptr_equal(cv_ways_due(&f->w, f->now), cv_ways_best(&f->w));
	cv_ways_asked(cv_ways_due(&f->w, f->now), ++f->token, f->now);
	uint64_t mine = f->token;
	assert_int_equal(challenge(f), 1);
	assert_int_equal(used(f), CV_LAN_UNICAST);
	f->now += CV_MS(2);
	assert_false(cv_ways_echoed(&f->w, mine, f->now));
	assert_true(cv_ways_deadline(&f->w) == CV_NEVER);
	assert_false(cv_ways_echoed(&f->w, f->token, f->now));
	assert_int_equal(used(f), CV_LAN_UNICAST);
}

static void another_takes_over_in_doubt(void **state)
{
	struct fix *f = *state;
	add(f, broadcast(2));
	prove(f, unicast("10.0.0.1"));
	f->now += CV_SEC(1);
	cv_ways_doubt(&f->w, f->now);
	assert_int_equal(run(f, CV_MS(400)) > 4, 1);
	/* a worse one, but it is known to lead there; that in use is asked
	   once more */
	assert_false(prove(f, broadcast(2)));
	assert_ptr_equal(cv_ways_due(&f->w, f->now), cv_ways_best(&f->w));
	assert_int_equal(challenge(f), 1);
	f->now += CV_WAYS_GRACE;
	assert_true(cv_ways_settle(&f->w, f->now));
	assert_int_equal(used(f), CV_LAN_BROADCAST);
	assert_int_equal(f->w.doubt, 0);
	/* and the other one is looked for again, soon */
	assert_int_equal(run(f, CV_WAYS_SEARCH * 2), 1);
	assert_true(prove(f, unicast("10.0.0.1")));
}

/* in doubt, and the first echo is of a lesser way */
static uint64_t lesser_echoes(struct fix *f)
{
	add(f, broadcast(2));
	add(f, broadcast(3));
	prove(f, unicast("10.0.0.1"));
	f->now += CV_SEC(1);
	cv_ways_doubt(&f->w, f->now);
	cv_ways_asked(cv_ways_due(&f->w, f->now), ++f->token, f->now);
	uint64_t mine = f->token;
	assert_int_equal(challenge(f), 2);
	f->now += CV_MS(1);
	assert_false(cv_ways_echoed(&f->w, f->token, f->now));
	assert_int_equal(used(f), CV_LAN_UNICAST);
	assert_true(f->w.doubt != 0);
	assert_int_equal(cv_ways_deadline(&f->w), f->now + CV_WAYS_GRACE);
	assert_int_equal(challenge(f), 0);
	return mine;
}

static void a_lesser_one_waits_for_it(void **state)
{
	struct fix *f = *state;
	uint64_t mine = lesser_echoes(f);
	unsigned before = f->w.switches;
	f->now += CV_MS(15);
	assert_false(cv_ways_settle(&f->w, f->now));
	assert_false(cv_ways_echoed(&f->w, mine, f->now));
	assert_int_equal(f->w.doubt, 0);
	f->now += CV_MS(15);
	assert_false(cv_ways_settle(&f->w, f->now));
	assert_int_equal(f->w.switches, before);
}

static void a_lesser_one_waits_no_longer(void **state)
{
	struct fix *f = *state;
	lesser_echoes(f);
	f->now += CV_WAYS_GRACE - 1;
	cv_ways_doubt(&f->w, f->now);
	assert_false(cv_ways_settle(&f->w, f->now++));
	assert_true(cv_ways_settle(&f->w, f->now));
	assert_int_equal(f->w.doubt, 0);
	assert_int_equal(f->w.way[f->w.used].way.kind, CV_LAN_BROADCAST);
	assert_false(cv_ways_settle(&f->w, f->now));
}

/* nothing is waited for any more: all are asked anew */
static void one_that_is_gone_is_not_waited_for(void **state)
{
	struct fix *f = *state;
	lesser_echoes(f);
	f->w.way[f->w.used].way.ifindex = 9;
	f->gone = 9;
	assert_true(sweep(f));
	f->now += CV_MS(1);
	cv_ways_doubt(&f->w, f->now);
	assert_int_equal(f->w.settle, 0);
	assert_int_equal(challenge(f), 2);
	assert_true(cv_ways_echoed(&f->w, f->token, f->now));
}

/* --- what is gone --- */

static void ways_of_a_lost_interface_are_forgotten(void **state)
{
	struct fix *f = *state;
	add(f, broadcast(3));
	add(f, broadcast(2));
	prove(f, unicast("10.0.0.1"));
	heard(f, unicast("10.0.0.2"));
	f->gone = 3;
	assert_false(sweep(f));
	assert_int_equal(f->w.n, 3);
	assert_int_equal(used(f), CV_LAN_UNICAST);
	f->gone = 2;
	assert_true(sweep(f));
	assert_int_equal(f->w.n, 0);
	assert_null(cv_ways_best(&f->w));
	assert_false(sweep(f));
}

static void old_ones_are_forgotten(void **state)
{
	struct fix *f = *state;
	add(f, broadcast(2));
	heard(f, unicast("10.0.0.2"));
	prove(f, unicast("10.0.0.3"));
	prove(f, unicast("fe80::1"));
	heard(f, unicast("10.0.0.4"));
	f->now += CV_WAYS_OLD + CV_MS(2);
	heard(f, unicast("10.0.0.4"));
	assert_false(sweep(f));
	assert_int_equal(f->w.n, 3); /* broadcast, in use, just heard */
	assert_int_equal(cv_ways_best(&f->w)->way.addr.family, CV_AF_INET6);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_is_known_once),
		TEST(a_frame_is_to_a_station),
		TEST(those_heard_longest_ago_give_way),
		TEST(the_one_in_use_stays_wherever_it_is),
		TEST(nothing_is_known),
		TEST(what_was_heard_is_presumed_good),
		TEST(the_best_that_is_proven_is_used),
		TEST(only_the_last_challenge_counts),
		TEST(all_are_asked_at_first),
		TEST(better_ones_are_looked_for),
		TEST(first_heard_begins_anew),
		TEST(its_echo_ends_the_doubt),
		TEST(another_takes_over_in_doubt),
		TEST(a_lesser_one_waits_for_it),
		TEST(a_lesser_one_waits_no_longer),
		TEST(one_that_is_gone_is_not_waited_for),
		TEST(ways_of_a_lost_interface_are_forgotten),
		TEST(old_ones_are_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
