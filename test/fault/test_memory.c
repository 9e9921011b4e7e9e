/* SPDX-License-Identifier: MIT */
/**
 * test_memory.c - every allocation of two nodes fails once
 *
 * A whole life - keys, flows, traffic, a blocked link, a rekey, a lost link,
 * a restart, goodbye - is run again and again, and each time the next
 * allocation fails.  Nothing may crash, leak or get stuck: what is lost is
 * counted, and in the end datagrams pass again.
 */
#include "unit/check.h"
#include "unit/pair.h"

#define TARGET "udp://127.0.0.1:5"

enum { FLOWS = 6 };

struct life {
	struct pair pair;
	uint64_t sent, refused; /* datagrams taken, flows that were not */
};

/* as the shell does: what has no link is dialled again */
static void live(struct life *l, cv_time span)
{
	struct pair *p = &l->pair;
	for (cv_time end = p->now + span; p->now < end;) {
		if (!p->side[A].s->path->link)
			pair_wire(p, p->side[A].s);
		pair_run(
			p, end - p->now > CV_SEC(1) ? p->now + CV_SEC(1) : end);
	}
}

static void talk(struct life *l)
{
	struct pair *p = &l->pair;
	struct edge *b = &p->side[B].edge;
	for (unsigned i = 0; i < FLOWS; i++) {
		struct cv_flow *f = pair_open(p, i << 16, TARGET);
		l->refused += !f;
		if (!f)
			continue;
		for (size_t len = 0; len < 3000; len += 997, l->sent++)
			pair_say(p, f, len);
		pair_settle(p);
		if (b->last)
			pair_send(p, b->last, "answer", 6, 6);
		pair_settle(p);
	}
}

static void push_into_blocked(struct life *l)
{
	struct pair *p = &l->pair;
	struct cv_link *link = p->side[A].s->path->link;
	struct cv_flow *f = pair_open(p, 1, TARGET);
	if (!link || !f)
		return;
	struct end *e = CV_CONTAINER(link, struct end, link);
	pair_block(e);
	for (int i = 0; i < 300; i++, l->sent++)
		pair_say(p, f, 60000);
	pair_run(p, p->now + CV_MS(20));
	if (e->open)
		pair_unblock(e);
	pair_settle(p);
}

static void cut(struct life *l)
{
	struct pair *p = &l->pair;
	pair_settle(p);
	for (int i = 0; i < WIRES; i++)
		pair_cut(p, &p->wire[i]);
}

/* datagrams of A are at B, or counted where they were lost */
static void check_account(const struct life *l)
{
	const struct pair *p = &l->pair;
	static const enum cv_drop at_a[] = { CV_DROP_AGED, CV_DROP_QUEUE_FULL,
		CV_DROP_NO_SESSION, CV_DROP_LINK_LOST, CV_DROP_NO_BUFFER },
				  at_b[] = { CV_DROP_LATE,
					  CV_DROP_UNKNOWN_FLOW };
	uint64_t n = p->side[B].edge.dgrams;
	for (size_t i = 0; i < CV_COUNT(at_a); i++)
		n += p->side[A].s->stats.drop[at_a[i]];
	for (size_t i = 0; i < CV_COUNT(at_b); i++)
		n += p->side[B].node.stats.drop[at_b[i]];
	assert_int_equal(n, l->sent);
}

/* the failure may fall to the first of these, so there are three */
static void check_alive(struct life *l)
{
	struct pair *p = &l->pair;
	live(l, CV_SEC(30));
	uint64_t was = p->side[B].edge.dgrams;
	for (int i = 0; i < 3; i++) {
		struct cv_flow *f = pair_open(p, 77, TARGET);
		l->refused += !f;
		if (f) {
			pair_say(p, f, 10);
			l->sent++;
		}
		pair_settle(p);
	}
	assert_true(cv_session_up(p->side[A].s));
	assert_in_range(p->side[B].edge.dgrams - was, 1, 3);
}

static void whole_life(struct life *l)
{
	struct pair *p = &l->pair;
	live(l, CV_MS(10));
	talk(l);
	push_into_blocked(l);
	live(l, CV_REKEY_AFTER_TIME + CV_SEC(1));
	talk(l);
	cut(l);
	talk(l); /* held */
	live(l, CV_SEC(70));
	talk(l);
	check_alive(l);
	check_account(l);
	live(l, CV_FLOW_IDLE + CV_SEC(1));
	cv_node_drain(&p->side[B].node);
	pair_settle(p);
	assert_true(cv_node_drained(&p->side[B].node));
}

/* true if the allocation of @side that was to fail was ever asked for */
static bool run(bool plain, int side, uint64_t at)
{
	static struct life l;
	uint64_t fail_at[2] = { side == A ? at : 0, side == B ? at : 0 };
	l.sent = l.refused = 0;
	int err = pair_init(&l.pair, plain, fail_at);
	if (err)
		assert_int_equal(err, CULVERT_ENOMEM);
	else
		whole_life(&l);
	bool reached = l.pair.side[side].mem.calls >= at;
	if (!reached)
		assert_int_equal(l.refused, 0);
	pair_clear(&l.pair); /* asserts that nothing is left */
	return reached;
}

static void sweep(bool plain, int side)
{
	uint64_t at = 1;
	while (run(plain, side, at))
		at++;
	/* it was a life, not a part of one */
	assert_true(at > 30);
}

static void test_sealed_initiator(void **state)
{
	(void)state;
	sweep(false, A);
}

static void test_sealed_responder(void **state)
{
	(void)state;
	sweep(false, B);
}

static void test_plain_initiator(void **state)
{
	(void)state;
	sweep(true, A);
}

static void test_plain_responder(void **state)
{
	(void)state;
	sweep(true, B);
}

/* nothing is to be had for a while, from any moment on */
static void test_famine(void **state)
{
	static struct life l;
	(void)state;
	for (cv_time from = 0; from < CV_SEC(250); from += CV_SEC(5)) {
		l.sent = 0;
		assert_int_equal(
			pair_init(&l.pair, false, (uint64_t[2]){ 0 }), 0);
		live(&l, CV_MS(10) + from);
		talk(&l);
		for (int i = 0; i < 2; i++)
			l.pair.side[i].mem.fail_all = true;
		talk(&l);
		push_into_blocked(&l);
		live(&l, CV_SEC(15));
		cut(&l);
		talk(&l);
		live(&l, CV_SEC(5));
		for (int i = 0; i < 2; i++)
			l.pair.side[i].mem.fail_all = false;
		check_alive(&l);
		check_account(&l);
		pair_clear(&l.pair);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sealed_initiator),
		cmocka_unit_test(test_sealed_responder),
		cmocka_unit_test(test_plain_initiator),
		cmocka_unit_test(test_plain_responder),
		cmocka_unit_test(test_famine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
