/* SPDX-License-Identifier: MIT */
/* test_responder.c - who is answered, when, and how often */
#include "unit/check.h"

#include "core/responder.h"
#include "unit/env.h"

enum { ID = 67, TAG = 0x01020304 };

struct fix {
	struct mem mem;
	struct cv_env env;
	struct cv_responder r;
	cv_time now;
	uint8_t packet[CV_QUESTION];
	struct cv_waiting got; /* of answer() */
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	assert_non_null(f);
	f->env = mem_env(&f->mem, 3);
	f->now = CV_SEC(7);
	cv_responder_init(&f->r, &f->env, ID, TAG);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static enum cv_drop ask(
	struct fix *f, struct cv_question q, uint32_t ifindex, int *slot)
{
	return cv_responder_asked(&f->r, &q, ifindex, f->now, slot);
}

/* it is let wait: its slot */
static int waits(struct fix *f, uint64_t nonce, uint32_t ifindex)
{
	int slot = -2;
	struct cv_question q = { .nonce = nonce, .window = 500 };
	assert_int_equal(ask(f, q, ifindex, &slot), CV_DROP_NONE);
	return slot;
}

/* the time of the next answer has come */
static enum cv_drop answer(struct fix *f, int *slot)
{
	enum cv_drop drop = CV_DROP_NONE;
	assert_true(cv_responder_deadline(&f->r) != CV_NEVER);
	if (f->now < cv_responder_deadline(&f->r))
		f->now = cv_responder_deadline(&f->r);
	*slot = cv_responder_due(&f->r, f->now, &f->got, &drop);
	return drop;
}

static void a_question_waits_and_is_answered(void **state)
{
	struct fix *f = *state;
	int slot, due;
	enum cv_drop drop;
	assert_true(cv_responder_deadline(&f->r) == CV_NEVER);
	assert_int_equal(cv_responder_due(&f->r, f->now, &f->got, &drop), -1);
	struct cv_question q = { .nonce = 9, .window = 500, .round = 2 };
	assert_int_equal(ask(f, q, 4, &slot), CV_DROP_NONE);
	assert_true(slot >= 0);
	cv_time at = cv_responder_deadline(&f->r), heard = f->now;
	assert_true(at >= f->now && at < f->now + CV_MS(500));
	f->now = at - 1;
	assert_int_equal(cv_responder_due(&f->r, f->now, &f->got, &drop), -1);
	assert_int_equal(answer(f, &due), CV_DROP_NONE);
	assert_int_equal(due, slot);
	assert_true(f->got.nonce == 9 && f->got.heard == heard);
	assert_int_equal(f->got.round, 2);
	assert_int_equal(f->got.ifindex, 4);
	assert_true(cv_responder_deadline(&f->r) == CV_NEVER);
}

static void copies_are_one_question(void **state)
{
	struct fix *f = *state;
	int slot = waits(f, 9, 4), due;
	assert_int_equal(waits(f, 9, 4), slot);
	answer(f, &due);
	assert_int_equal(waits(f, 9, 4), -1);
	assert_true(cv_responder_deadline(&f->r) == CV_NEVER);
}

static void interfaces_are_answered_each(void **state)
{
	struct fix *f = *state;
	int a = waits(f, 9, 4), b = waits(f, 9, 5);
	assert_true(a >= 0 && b >= 0 && a != b);
}

static void who_is_not_meant_is_silent(void **state)
{
	struct fix *f = *state;
	int slot = 5;
	struct cv_question q = { .nonce = 1, .wanted = ID + 1 };
	assert_int_equal(ask(f, q, 1, &slot), CV_DROP_NONE);
	assert_int_equal(slot, -1);
	q.wanted = ID;
	assert_int_equal(ask(f, q, 1, &slot), CV_DROP_NONE);
	assert_true(slot >= 0);
}

static void who_is_known_is_silent(void **state)
{
	struct fix *f = *state;
	uint32_t tags[] = { 1, TAG, 2 };
	struct cv_question q = { .nonce = 1, .knowns = 3 }, r;
	int slot = 5;
	cv_question_put(f->packet, &q, tags);
	assert_int_equal(cv_question_get(&r, f->packet, CV_QUESTION), 0);
	assert_int_equal(ask(f, r, 1, &slot), CV_DROP_NONE);
	assert_int_equal(slot, -1);
}

static void answers_are_spread_over_the_window(void **state)
{
	struct fix *f = *state;
	unsigned tenth[10] = { 0 };
	int slot, due;
	for (uint64_t n = 0; n < 2000; n++) {
		struct cv_question q = { .nonce = n, .window = 1000 };
		cv_time asked = f->now;
		assert_int_equal(ask(f, q, 1, &slot), CV_DROP_NONE);
		answer(f, &due);
		assert_true(f->now - asked < CV_MS(1000));
		tenth[(f->now - asked) / CV_MS(100)]++;
		f->now = asked + CV_SEC(1);
	}
	for (unsigned i = 0; i < 10; i++)
		assert_in_range(tenth[i], 150, 250);
}

static void copies_have_time_to_arrive(void **state)
{
	struct fix *f = *state;
	cv_time latest = 0;
	int slot, due;
	for (uint64_t n = 0; n < 200; n++) {
		struct cv_question q = { .nonce = n };
		cv_time asked = f->now;
		assert_int_equal(ask(f, q, 1, &slot), CV_DROP_NONE);
		answer(f, &due);
		if (f->now - asked > latest)
			latest = f->now - asked;
		f->now = asked + CV_SEC(1);
	}
	assert_in_range(latest, CV_MS(15), CV_MS(20));
}

static void nobody_gets_more_than_20_a_second(void **state)
{
	struct fix *f = *state;
	cv_time sent[500];
	unsigned n = 0, dropped = 0;
	int slot;
	for (uint64_t i = 0; i < 1000; i++) {
		struct cv_question q = { .nonce = i };
		ask(f, q, 1, &slot);
		f->now += CV_MS(25);
		assert_int_equal(slot < 0, 0);
		enum cv_drop drop = CV_DROP_NONE;
		while (cv_responder_due(&f->r, f->now, &f->got, &drop) >= 0) {
			if (drop == CV_DROP_NONE)
				sent[n++] = f->now;
			else
				dropped++;
		}
	}
	assert_int_equal(n + dropped, 1000);
	assert_in_range(n, 490, 500);
	for (unsigned i = 20; i < n; i++)
		assert_true(sent[i] - sent[i - 20] >= CV_SEC(1));
}

static void slots_that_are_taken_are_a_flood(void **state)
{
	struct fix *f = *state;
	struct cv_question q = { .window = CV_WINDOW_MAX };
	int slot;
	bool used[CV_RESPONDER_SLOTS] = { false };
	for (q.nonce = 1; q.nonce <= CV_RESPONDER_SLOTS; q.nonce++) {
		assert_int_equal(ask(f, q, 1, &slot), CV_DROP_NONE);
		assert_true(slot >= 0 && !used[slot]);
		used[slot] = true;
	}
	/* who is in a hurry takes the place of the last; the others do not */
	int last = 0;
	for (int i = 0; i < CV_RESPONDER_SLOTS; i++)
		if (f->r.wait[i].due > f->r.wait[last].due)
			last = i;
	q.window = 0;
	assert_int_equal(ask(f, q, 1, &slot), CV_DROP_FLOOD);
	assert_int_equal(slot, last);
	f->now += CV_SEC(20);
	q.nonce++;
	q.window = CV_WINDOW_MAX;
	assert_int_equal(ask(f, q, 1, &slot), CV_DROP_FLOOD);
	assert_int_equal(slot, -1);
	/* refused, not remembered */
	answer(f, &slot);
	assert_int_equal(ask(f, q, 1, &slot), CV_DROP_NONE);
	assert_true(slot >= 0);
}

static void who_is_due_first_is_answered_first(void **state)
{
	struct fix *f = *state;
	cv_time before = 0;
	int slot;
	for (uint64_t n = 0; n < CV_RESPONDER_SLOTS; n++)
		waits(f, n, 1);
	for (int n = 0; n < CV_RESPONDER_SLOTS; n++) {
		answer(f, &slot);
		assert_int_equal(f->got.due, f->now);
		assert_true(f->now >= before);
		before = f->now;
	}
	assert_true(cv_responder_deadline(&f->r) == CV_NEVER);
}

static void old_questions_are_forgotten(void **state)
{
	struct fix *f = *state;
	int slot;
	for (uint64_t n = 0; n <= CV_RESPONDER_SEEN; n++) {
		waits(f, n, 1);
		answer(f, &slot);
	}
	assert_true(waits(f, 0, 1) >= 0);
	assert_int_equal(waits(f, CV_RESPONDER_SEEN, 1), -1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_question_waits_and_is_answered),
		T(copies_are_one_question),
		T(interfaces_are_answered_each),
		T(who_is_not_meant_is_silent),
		T(who_is_known_is_silent),
		T(answers_are_spread_over_the_window),
		T(copies_have_time_to_arrive),
		T(nobody_gets_more_than_20_a_second),
		T(slots_that_are_taken_are_a_flood),
		T(who_is_due_first_is_answered_first),
		T(old_questions_are_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
