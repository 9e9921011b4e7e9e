/* SPDX-License-Identifier: MIT */
/**
 * test_streams.c - every allocation of two nodes with streams fails once
 *
 * Over byte streams and over datagrams: streams both ways, one that is broken
 * off, a reader that takes its time, a lost link, datagrams beside.  Bytes
 * arrive in order or not at all, nothing turns on the spot, nothing leaks, and
 * in the end a stream passes.
 */
#include "core/transport.h"
#include "unit/check.h"
#include "unit/net.h"
#include "unit/streams.h"

enum { BYTES = 100000 };

struct life {
	struct pair pair;
	struct net net;
	bool datagrams;
};

/* as the shell does: what has no link is dialled again */
static void live(struct life *l, cv_time span)
{
	struct pair *p = &l->pair;
	for (cv_time end = p->now + span; p->now < end;) {
		cv_time next = cv_earlier(end, p->now + CV_MS(500));
		bool dial = !p->side[A].s->path->link;
		if (l->datagrams) {
			if (dial)
				net_dial(&l->net);
			net_run(&l->net, next);
		} else {
			if (dial)
				pair_wire(p, p->side[A].s);
			pair_run(p, next);
		}
	}
}

static void write_all(struct life *l, struct cv_flow *f)
{
	struct pair *p = &l->pair;
	struct cv_end *far = p->side[B].edge.last;
	streams_write(p, &f->end[0], BYTES);
	if (far && cv_end_flow(far)->stream)
		streams_write(p, far, BYTES);
	live(l, CV_SEC(1));
}

static struct cv_flow *opened(struct life *l, unsigned n)
{
	struct side *a = &l->pair.side[A];
	unsigned closes = a->edge.closes;
	l->pair.side[B].edge.last = NULL;
	struct cv_flow *f = streams_open(&l->pair, n);
	live(l, CV_SEC(1));
	/* the other end may have had no memory, and it is over */
	return a->edge.closes == closes ? f : NULL;
}

static void close_all(struct life *l)
{
	struct pair *p = &l->pair;
	for (int i = 0; i < 2; i++)
		cv_node_close_edge(
			&p->side[i].node, &p->side[i].edge.edge, NULL, p->now);
	live(l, CV_SEC(2));
}

static void hang_up(struct life *l)
{
	for (int i = 0; i < WIRES; i++)
		pair_cut(&l->pair, &l->pair.wire[i]);
	if (l->datagrams)
		for (int i = 0; i < 2; i++)
			net_hang_up(&l->net, i);
}

/* the failure may fall to the first of these, so there are three */
static void check_alive(struct life *l)
{
	struct pair *p = &l->pair;
	unsigned whole = 0;
	live(l, CV_SEC(40));
	for (unsigned i = 0; i < 3; i++) {
		uint64_t was = p->side[B].edge.streamed;
		struct cv_flow *f = opened(l, i << 16);
		if (f)
			write_all(l, f);
		live(l, CV_SEC(10));
		whole += p->side[B].edge.streamed - was >= BYTES;
		close_all(l);
	}
	assert_true(whole >= 1);
	assert_true(cv_session_up(p->side[A].s));
}

static void whole_life(struct life *l)
{
	struct pair *p = &l->pair;
	struct cv_flow *f;
	live(l, CV_MS(100));
	f = opened(l, 1);
	if (f)
		write_all(l, f);
	close_all(l);
	p->side[B].edge.hoard = true;
	f = opened(l, 2);
	if (f)
		streams_write(p, &f->end[0], BYTES);
	live(l, CV_MS(3));
	hang_up(l);
	live(l, CV_SEC(3));
	p->side[B].edge.hoard = false;
	close_all(l);
	f = pair_open(p, 77, "udp://127.0.0.1:5");
	for (int i = 0; f && i < 20; i++)
		pair_say(p, f, 1000);
	live(l, CV_SEC(1));
	close_all(l);
	check_alive(l);
}

/* true if the allocation of @side that was to fail was ever asked for */
static bool run(bool datagrams, int side, uint64_t at)
{
	static struct life l;
	uint64_t fail_at[2] = { side == A ? at : 0, side == B ? at : 0 };
	l.datagrams = datagrams;
	int err = pair_init(&l.pair, false, fail_at);
	if (err) {
		assert_int_equal(err, CULVERT_ENOMEM);
		pair_clear(&l.pair);
		return true;
	}
	streams_on(&l.pair);
	net_init(&l.net, &l.pair);
	whole_life(&l);
	bool reached = l.pair.side[side].mem.calls >= at;
	net_clear(&l.net);
	pair_clear(&l.pair); /* asserts that nothing is left */
	return reached;
}

static void sweep(bool datagrams, int side)
{
	uint64_t at = 1;
	while (run(datagrams, side, at))
		at++;
	/* it was a life, not a part of one */
	assert_true(at > 30);
}

static void test_wire_initiator(void **state)
{
	(void)state;
	sweep(false, A);
}

static void test_wire_responder(void **state)
{
	(void)state;
	sweep(false, B);
}

static void test_datagram_initiator(void **state)
{
	(void)state;
	sweep(true, A);
}

static void test_datagram_responder(void **state)
{
	(void)state;
	sweep(true, B);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wire_initiator),
		cmocka_unit_test(test_wire_responder),
		cmocka_unit_test(test_datagram_initiator),
		cmocka_unit_test(test_datagram_responder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
