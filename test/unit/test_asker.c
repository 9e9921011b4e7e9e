/* SPDX-License-Identifier: MIT */
/* test_asker.c - when to ask, whose answers count, when it is over */
#include "unit/check.h"

#include "core/asker.h"
#include "core/responder.h"
#include "unit/env.h"

struct fix {
	struct mem mem;
	struct cv_env env;
	struct cv_asker a;
	cv_time now;
	uint8_t packet[CV_QUESTION];
	struct cv_question q; /* the last */
	struct cv_found *got;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	assert_non_null(f);
	f->env = mem_env(&f->mem, 3);
	f->now = CV_SEC(7);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	cv_asker_clear(&f->a);
	size_t left = f->mem.blocks;
	free(f);
	return left ? -1 : 0;
}

static void begin(struct fix *f, enum cv_search kind, uint32_t wanted)
{
	cv_asker_init(&f->a, &f->env, kind, wanted, f->now);
}

/* the next question; false: it is over */
static bool ask(struct fix *f)
{
	while (!cv_asker_done(&f->a, f->now)) {
		if (cv_asker_next(&f->a, f->now, f->packet)) {
			assert_int_equal(
				cv_question_get(&f->q, f->packet, CV_QUESTION),
				0);
			return true;
		}
		cv_time at = cv_asker_deadline(&f->a);
		assert_true(at > f->now && at != CV_NEVER);
		f->now = at;
	}
	return false;
}

static struct cv_answer says(const struct fix *f, uint32_t id, uint8_t key)
{
	struct cv_answer a = { .nonce = f->q.nonce, .id = id, .keyed = true };
	memset(a.key, key, CV_KEY);
	return a;
}

static struct cv_found_way from(const char *ip, uint32_t ifindex)
{
	struct cv_found_way w = { .ifindex = ifindex };
	cv_addr_parse_ip(ip, &w.from);
	return w;
}

static int hear(struct fix *f, uint32_t id, uint8_t key, const char *ip)
{
	struct cv_answer a = says(f, id, key);
	struct cv_found_way w = from(ip, 1);
	return cv_asker_heard(&f->a, &a, &w, f->now, &f->got);
}

static void it_asks_four_times(void **state)
{
	struct fix *f = *state;
	static const unsigned at[] = { 0, 700, 1300, 2100 };
	cv_time start = f->now;
	uint64_t nonce = 0;
	begin(f, CV_SEARCH_QUICK, 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(ask(f));
		assert_int_equal(f->now - start, CV_MS(at[i]));
		assert_int_equal(f->q.round, i);
		assert_int_equal(f->q.wanted, 0);
		assert_true(f->q.nonce != nonce);
		/* answers are in before the next question */
		assert_in_range(f->q.window, 400, 500);
		nonce = f->q.nonce;
	}
	assert_false(ask(f));
	assert_int_equal(f->now - start, CV_MS(2900));
}

static void nobody_new_ends_it_early(void **state)
{
	struct fix *f = *state;
	cv_time start = f->now;
	begin(f, CV_SEARCH_QUICK, 0);
	assert_true(ask(f));
	f->now += CV_MS(499);
	assert_int_equal(hear(f, 1, 1, "10.0.0.1"), 2);
	assert_true(ask(f) && ask(f));
	assert_false(ask(f));
	assert_int_equal(f->now - start, CV_MS(1800));
}

static void somebody_new_lets_it_go_on(void **state)
{
	struct fix *f = *state;
	cv_time start = f->now;
	begin(f, CV_SEARCH_QUICK, 0);
	assert_true(ask(f));
	assert_int_equal(hear(f, 1, 1, "10.0.0.1"), 2);
	assert_true(ask(f));
	assert_int_equal(hear(f, 2, 2, "10.0.0.2"), 2);
	while (ask(f))
		;
	assert_int_equal(f->now - start, CV_MS(2900));
}

static void a_wanted_one_is_enough(void **state)
{
	struct fix *f = *state;
	begin(f, CV_SEARCH_QUICK, 67);
	assert_true(ask(f));
	assert_int_equal(f->q.wanted, 67);
	assert_int_equal(f->q.window, 0);
	f->now += CV_MS(3);
	cv_time first = f->now;
	assert_int_equal(hear(f, 66, 1, "10.0.0.1"), CULVERT_EPROTO);
	assert_int_equal(hear(f, 67, 1, "10.0.0.1"), 2);
	assert_false(ask(f));
	/* time for a second one with that id */
	assert_int_equal(f->now - first, CV_MS(250));
}

static void who_was_heard_is_told(void **state)
{
	struct fix *f = *state;
	begin(f, CV_SEARCH_QUICK, 0);
	assert_true(ask(f));
	assert_int_equal(f->q.knowns, 0);
	hear(f, 1, 0x11, "10.0.0.1");
	hear(f, 2, 0x22, "10.0.0.2");
	assert_true(ask(f));
	assert_int_equal(f->q.knowns, 2);
	assert_true(cv_question_knows(&f->q, 0x11111111));
	assert_true(cv_question_knows(&f->q, 0x22222222));
}

static void more_than_a_question_holds_are_cut(void **state)
{
	struct fix *f = *state;
	begin(f, CV_SEARCH_QUICK, 0);
	assert_true(ask(f));
	for (uint32_t i = 1; i <= 300; i++) {
		struct cv_answer a = says(f, i, 0);
		struct cv_found_way w = from("10.0.0.1", 1);
		cv_put32(a.key, i);
		assert_int_equal(
			cv_asker_heard(&f->a, &a, &w, f->now, &f->got), 2);
	}
	assert_true(ask(f));
	assert_int_equal(f->q.knowns, CV_KNOWN_MAX);
	assert_true(cv_question_knows(&f->q, 300));
	assert_false(cv_question_knows(&f->q, 1));
}

static void answers_are_merged(void **state)
{
	struct fix *f = *state;
	begin(f, CV_SEARCH_QUICK, 0);
	assert_true(ask(f));
	assert_int_equal(hear(f, 1, 1, "10.0.0.1"), 2);
	assert_int_equal(hear(f, 1, 1, "10.0.0.1"), 0);
	assert_int_equal(hear(f, 1, 1, "fe80::1"), 1);
	struct cv_answer a = says(f, 1, 1);
	struct cv_found_way w = from("fe80::1", 2);
	assert_int_equal(cv_asker_heard(&f->a, &a, &w, f->now, &f->got), 1);
	w.frame = true;
	assert_int_equal(cv_asker_heard(&f->a, &a, &w, f->now, &f->got), 1);
	assert_int_equal(f->got->ways, 4);
	/* one id, two keys: two servers */
	assert_int_equal(hear(f, 1, 2, "10.0.0.1"), 2);
	assert_int_equal(f->a.n, 2);
}

static void ways_are_bounded(void **state)
{
	struct fix *f = *state;
	begin(f, CV_SEARCH_QUICK, 0);
	assert_true(ask(f));
	for (uint32_t i = 0; i < 20; i++) {
		struct cv_answer a = says(f, 1, 1);
		struct cv_found_way w = from("10.0.0.1", i);
		int n = cv_asker_heard(&f->a, &a, &w, f->now, &f->got);
		assert_int_equal(n, !i ? 2 : i < CV_ASKER_WAYS);
	}
	assert_int_equal(f->got->ways, CV_ASKER_WAYS);
}

static void round_trips_are_without_the_wait(void **state)
{
	struct fix *f = *state;
	begin(f, CV_SEARCH_QUICK, 0);
	assert_true(ask(f));
	struct cv_found_way w = from("10.0.0.1", 1);
	struct cv_answer a = says(f, 1, 1);
	a.held = 400000;
	cv_asker_heard(&f->a, &a, &w, f->now + 402000, &f->got);
	assert_int_equal(f->got->way[0].rtt, 2000);
	a.held = 400500;
	cv_asker_heard(&f->a, &a, &w, f->now + 402000, &f->got);
	assert_int_equal(f->got->way[0].rtt, 1500);
	a.held = 1;
	cv_asker_heard(&f->a, &a, &w, f->now + 402000, &f->got);
	assert_int_equal(f->got->way[0].rtt, 1500);
	a.held = UINT32_MAX; /* a liar */
	cv_asker_heard(&f->a, &a, &w, f->now + 402000, &f->got);
	assert_int_equal(f->got->way[0].rtt, 0);
}

static void what_nobody_asked_is_refused(void **state)
{
	struct fix *f = *state;
	begin(f, CV_SEARCH_LONG, 0);
	struct cv_answer zero = { .id = 1 };
	struct cv_found_way w = from("10.0.0.1", 1);
	assert_int_equal(cv_asker_heard(&f->a, &zero, &w, f->now, &f->got),
		CULVERT_EPROTO);
	assert_true(ask(f));
	uint64_t old = f->q.nonce;
	f->q.nonce++;
	assert_int_equal(hear(f, 1, 1, "10.0.0.1"), CULVERT_EPROTO);
	for (unsigned i = 0; i < CV_ASKER_SENT - 1; i++)
		assert_true(ask(f));
	f->q.nonce = old;
	assert_int_equal(hear(f, 1, 1, "10.0.0.1"), 2);
	assert_true(ask(f));
	f->q.nonce = old;
	assert_int_equal(hear(f, 2, 2, "10.0.0.1"), CULVERT_EPROTO);
}

static void a_long_search_goes_on(void **state)
{
	struct fix *f = *state;
	cv_time start = f->now;
	begin(f, CV_SEARCH_LONG, 0);
	for (unsigned i = 0; i < 10; i++)
		assert_true(ask(f));
	hear(f, 1, 1, "10.0.0.1");
	assert_int_equal(f->now - start, CV_MS(2100 + 6 * 2000));
	assert_int_equal(f->q.round, 3);
	f->now += CV_SEC(100);
	assert_null(cv_asker_gone(&f->a, f->now));
	assert_true(ask(f));
	assert_int_equal(f->q.knowns, 1);
}

static void an_interface_that_comes_is_asked(void **state)
{
	struct fix *f = *state;
	cv_time start = f->now;
	begin(f, CV_SEARCH_QUICK, 0);
	cv_asker_again(&f->a, f->now); /* the first is due anyway */
	assert_true(ask(f));
	uint64_t first = f->q.nonce;
	cv_asker_again(&f->a, f->now + CV_MS(30));
	assert_true(ask(f));
	assert_int_equal(f->now - start, CV_MS(100));
	assert_int_equal(f->q.round, 0);
	assert_true(f->q.nonce != first);
	cv_asker_again(&f->a, f->now + CV_MS(150));
	assert_true(ask(f));
	assert_int_equal(f->now - start, CV_MS(250));
	/* the answers to all of them count, and the schedule goes on */
	assert_int_equal(hear(f, 1, 1, "10.0.0.1"), 2);
	f->q.nonce = first;
	assert_int_equal(hear(f, 2, 2, "10.0.0.2"), 2);
	assert_true(ask(f));
	assert_int_equal(f->now - start, CV_MS(700));
	assert_int_equal(f->q.round, 1);
	/* what is due before is not put off */
	cv_asker_again(&f->a, start + CV_MS(1299));
	cv_asker_again(&f->a, start + CV_MS(1299) + CV_MS(50));
	assert_true(ask(f));
	assert_int_equal(f->now - start, CV_MS(1299));
	assert_true(ask(f));
	assert_int_equal(f->now - start, CV_MS(1300));
	cv_asker_again(&f->a, f->now + CV_MS(799));
	assert_true(cv_asker_deadline(&f->a) == start + CV_MS(1800));
}

static void who_falls_silent_is_gone(void **state)
{
	struct fix *f = *state;
	begin(f, CV_SEARCH_WATCH, 0);
	assert_true(ask(f));
	hear(f, 1, 1, "10.0.0.1");
	hear(f, 2, 2, "10.0.0.2");
	cv_time last = f->now;
	while (f->now < last + CV_SEC(16)) {
		assert_true(ask(f));
		assert_null(cv_asker_gone(&f->a, last + CV_SEC(16)));
		/* everybody is asked again and again, once it watches */
		if (f->a.round > 4) {
			assert_int_equal(f->q.knowns, 0);
			assert_true(
				cv_asker_deadline(&f->a) == f->now + CV_SEC(5));
		}
		hear(f, 2, 2, "10.0.0.2");
	}
	struct cv_found *gone = cv_asker_gone(&f->a, f->now);
	assert_non_null(gone);
	assert_int_equal(gone->says.id, 1);
	cv_asker_free(&f->a, gone);
	assert_null(cv_asker_gone(&f->a, f->now));
	assert_int_equal(f->a.n, 1);
}

static void no_memory_is_an_error(void **state)
{
	struct fix *f = *state;
	begin(f, CV_SEARCH_QUICK, 0);
	assert_true(ask(f));
	f->mem.fail_all = true;
	assert_int_equal(hear(f, 1, 1, "10.0.0.1"), CULVERT_ENOMEM);
	f->mem.fail_all = false;
	f->mem.fail_at = f->mem.calls + 2;
	assert_int_equal(hear(f, 1, 1, "10.0.0.1"), CULVERT_ENOMEM);
	assert_int_equal(f->a.n, 0);
	assert_int_equal(hear(f, 1, 1, "10.0.0.1"), 2);
}

static void there_is_an_end_of_the_list(void **state)
{
	struct fix *f = *state;
	begin(f, CV_SEARCH_QUICK, 0);
	assert_true(ask(f));
	for (uint32_t i = 1; i <= CV_ASKER_SERVERS; i++)
		assert_int_equal(hear(f, i, 1, "10.0.0.1"), 2);
	assert_int_equal(
		hear(f, CV_ASKER_SERVERS + 1, 1, "10.0.0.1"), CULVERT_EFULL);
}

/* --- 200 of them --- */

enum { BOXES = 200, TICKS = 3000 };

struct lan {
	struct fix *f;
	struct mem mem[BOXES];
	struct cv_env env[BOXES];
	struct cv_responder box[BOXES];
	unsigned busy[TICKS]; /* answers in each ms */
	uint64_t seed;
	unsigned loss; /* percent */
};

static bool lost(struct lan *l)
{
	return rnd_below(&l->seed, 100) < l->loss;
}

static void box_answers(struct lan *l, uint32_t i, cv_time start)
{
	struct fix *f = l->f;
	struct cv_waiting w;
	enum cv_drop drop;
	while (cv_responder_due(&l->box[i], f->now, &w, &drop) >= 0) {
		assert_int_equal(drop, CV_DROP_NONE);
		l->busy[(f->now - start) / 1000]++;
		struct cv_answer a = {
			.id = i + 1, .nonce = w.nonce, .keyed = true
		};
		struct cv_found_way way = from("10.0.0.1", 1);
		cv_put32(a.key, l->box[i].tag);
		if (!lost(l))
			cv_asker_heard(&f->a, &a, &way, f->now, &f->got);
	}
}

static void turn(struct lan *l, cv_time start)
{
	struct fix *f = l->f;
	int slot;
	bool asks = cv_asker_next(&f->a, f->now, f->packet);
	if (asks)
		cv_question_get(&f->q, f->packet, CV_QUESTION);
	for (uint32_t i = 0; i < BOXES; i++) {
		if (asks && !lost(l))
			cv_responder_asked(&l->box[i], &f->q, 1, f->now, &slot);
		box_answers(l, i, start);
	}
}

static unsigned busiest(const struct lan *l)
{
	unsigned most = 0, now = 0;
	for (unsigned i = 0; i < TICKS; i++) {
		now += l->busy[i];
		if (i >= 100)
			now -= l->busy[i - 100];
		if (now > most)
			most = now;
	}
	return most;
}

/* how many of 200 are found; the busiest 100 ms */
static unsigned search(struct fix *f, uint64_t seed, unsigned loss, unsigned *n)
{
	struct lan *l = calloc(1, sizeof *l);
	assert_non_null(l);
	l->f = f;
	l->seed = seed + 1;
	l->loss = loss;
	for (uint32_t i = 0; i < BOXES; i++) {
		l->env[i] = mem_env(&l->mem[i], seed * BOXES + i + 1);
		cv_responder_init(&l->box[i], &l->env[i], i + 1, i * 77 + 5);
	}
	cv_time start = f->now;
	begin(f, CV_SEARCH_QUICK, 0);
	for (; !cv_asker_done(&f->a, f->now); f->now += CV_MS(1))
		turn(l, start);
	*n = f->a.n;
	unsigned most = busiest(l);
	cv_asker_clear(&f->a);
	free(l);
	return most;
}

static void a_full_lan_is_found_and_not_flooded(void **state)
{
	struct fix *f = *state;
	unsigned n, most = 0;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		unsigned now = search(f, seed, 0, &n);
		assert_int_equal(n, BOXES);
		most = now > most ? now : most;
	}
	assert_in_range(most, 40, 100);
}

static void losses_are_made_up_for(void **state)
{
	struct fix *f = *state;
	unsigned n, missing = 0;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		assert_in_range(search(f, seed, 10, &n), 20, 100);
		missing += BOXES - n;
	}
	/* 0.19^4 of 4,000 are 5 */
	assert_in_range(missing, 0, 15);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(it_asks_four_times),
		T(nobody_new_ends_it_early),
		T(somebody_new_lets_it_go_on),
		T(a_wanted_one_is_enough),
		T(who_was_heard_is_told),
		T(more_than_a_question_holds_are_cut),
		T(answers_are_merged),
		T(ways_are_bounded),
		T(round_trips_are_without_the_wait),
		T(what_nobody_asked_is_refused),
		T(a_long_search_goes_on),
		T(an_interface_that_comes_is_asked),
		T(who_falls_silent_is_gone),
		T(no_memory_is_an_error),
		T(there_is_an_end_of_the_list),
		T(a_full_lan_is_found_and_not_flooded),
		T(losses_are_made_up_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
