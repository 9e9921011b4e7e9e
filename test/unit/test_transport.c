/* SPDX-License-Identifier: MIT */
/* test_transport.c - sessions over datagrams: up, lossy, moving, gone */
#include "core/transport.h"
#include "unit/check.h"
#include "unit/net.h"
#include "unit/streams.h"

static struct net *net_streams(void)
{
	struct net *n = net_new(false);
	streams_on(n->p);
	net_up(n);
	return n;
}

static struct cv_end *open_stream(struct net *n, unsigned client)
{
	struct cv_flow *f = streams_open(n->p, client);
	assert_non_null(f);
	return &f->end[0];
}

/* @len bytes from A to B, as A's window lets them out */
static void transfer(struct net *n, struct cv_end *from, size_t len)
{
	cv_time end = n->p->now + CV_SEC(300);
	uint64_t want = n->p->side[B].edge.streamed + len;
	while (n->p->side[B].edge.streamed < want) {
		len -= streams_write(n->p, from, len);
		net_run(n, n->p->now + CV_MS(10));
		assert_true(n->p->now < end);
	}
}

static void check_over(struct net *n)
{
	net_run(n, n->p->now + CV_SEC(15));
	/* a heartbeat may be under way, one only */
	if (net_transport(n, A)->flights.flying ||
		net_transport(n, B)->flights.flying)
		net_run(n, n->p->now + CV_MS(100));
	for (int i = 0; i < 2; i++) {
		struct cv_transport *t = net_transport(n, i);
		assert_int_equal(n->p->side[i].node.flows.count, 0);
		assert_int_equal(t->tx_out, 0);
		assert_int_equal(t->rx_out, 0);
		assert_int_equal(t->flights.flying, 0);
		assert_int_equal(t->flights.inflight, 0);
		assert_true(cv_list_empty(&t->turns));
	}
}

static void finish(struct net *n, struct cv_end *from)
{
	streams_finish(n->p, from);
	streams_finish(n->p, n->p->side[B].edge.last);
	check_over(n);
	assert_int_equal(n->p->side[B].edge.fins, 1);
	net_free(n);
}

static void test_clean(void **state)
{
	struct net *n = net_streams();
	(void)state;
	struct cv_end *e = open_stream(n, 1);
	transfer(n, e, 3000000);
	/* only copies of what was last, when there was no more to say */
	assert_true(net_transport(n, A)->retransmitted < 30000);
	assert_int_equal(net_transport(n, A)->pmtud.mtu, 1500);
	assert_int_equal(n->lost, 0);
	finish(n, e);
}

/* beside a stream that has always more to send a word leaves with the second
   train, however often the link asks in vain in between: trains are of three
   packets, 4.5 ms each, at the rate that it allows */
static void test_turns(void **state)
{
	(void)state;
	for (unsigned vain = 0; vain < 3; vain++) {
		struct net *n = net_streams();
		struct cv_end *bulk = open_stream(n, 1);
		struct cv_end *word = open_stream(n, 2);
		net_run(n, n->p->now + CV_SEC(1));
		struct cv_end *far = n->p->side[B].edge.last;
		struct cv_link *link = net_transport(n, A)->path->link;
		link->rate_max = 1000000;
		for (unsigned i = 1; i < 20; i++) {
			while (streams_write(n->p, bulk, 50000))
				;
			net_run(n, n->p->now + CV_MS(5));
			streams_write(n->p, word, 64);
			for (unsigned k = 0; k < vain; k++) {
				cv_node_dirty(link->node, link);
				net_settle(n);
			}
			net_run(n, n->p->now + n->delay + CV_MS(10));
			assert_int_equal(streams_got(far), 64 * i);
		}
		net_free(n);
	}
}

static bool lossy(struct net *n, struct parcel *x)
{
	uint64_t what = rnd_below(&n->seed, 100);
	x->at += rnd_below(&n->seed, 20) ? 0 : CV_MS(7);
	return what >= 5;
}

static void test_lossy(void **state)
{
	(void)state;
	for (uint8_t cc = 0; cc < 2; cc++) {
		struct net *n = net_new(false);
		streams_on(n->p);
		n->cc = cc;
		net_up(n);
		n->fate = lossy;
		struct cv_end *e = open_stream(n, 1);
		transfer(n, e, 1000000);
		assert_true(net_transport(n, A)->retransmitted > 10000);
		n->fate = NULL;
		finish(n, e);
	}
}

/* the handshake itself, both ways */
static void test_lossy_handshake(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 30; seed++) {
		struct net *n = net_new(seed & 1);
		n->seed = seed * 977;
		n->fate = lossy;
		n->delay = CV_MS(1);
		net_dial(n);
		for (int i = 0; i < 200 && !cv_session_up(n->p->side[A].s); i++)
			net_run(n, n->p->now + CV_MS(50));
		assert_true(cv_session_up(n->p->side[A].s));
		net_free(n);
	}
}

static void test_plain_datagrams(void **state)
{
	struct net *n = net_new(true);
	(void)state;
	net_up(n);
	struct cv_flow *f = pair_open(n->p, 1, "udp://127.0.0.1:5");
	for (int i = 0; i < 50; i++) {
		pair_say(n->p, f, 900);
		net_run(n, n->p->now + CV_MS(10));
	}
	/* fits into no packet, and its peer does not know parts */
	n->p->side[A].s->cur->hello.largest = 2999;
	pair_say(n->p, f, 3000);
	net_run(n, n->p->now + CV_SEC(1));
	assert_int_equal(n->p->side[B].edge.dgrams, 50);
	assert_int_equal(pair_drop(n->p, A, CV_DROP_TOO_BIG), 1);
	n->p->side[A].s->cur->hello.largest = 3000;
	pair_say(n->p, f, 3000);
	net_run(n, n->p->now + CV_SEC(1));
	assert_int_equal(n->p->side[B].edge.dgrams, 51);
	assert_int_equal(n->p->side[B].edge.len, 3000);
	pair_send(n->p, n->p->side[B].edge.last, "answer", 6, 6);
	net_run(n, n->p->now + CV_SEC(1));
	assert_int_equal(n->p->side[A].edge.dgrams, 1);
	net_free(n);
}

/* a silent stretch is no death; a long one is, and a new link goes on */
static bool nothing(struct net *n, struct parcel *x)
{
	(void)n;
	(void)x;
	return false;
}

static void test_blackout(void **state)
{
	struct net *n = net_streams();
	(void)state;
	struct cv_end *e = open_stream(n, 1);
	transfer(n, e, 100000);
	streams_write(n->p, e, 50000);
	n->fate = nothing;
	net_run(n, n->p->now + CV_SEC(5));
	n->fate = NULL;
	transfer(n, e, 100000);
	streams_write(n->p, e, 50000);
	n->fate = nothing;
	net_run(n, n->p->now + CV_SEC(70));
	assert_int_equal(n->p->side[A].s->links, 0);
	assert_null(net_transport(n, A)->path);
	n->fate = NULL;
	net_dial(n);
	net_run(n, n->p->now + CV_SEC(1));
	transfer(n, e, 100000);
	finish(n, e);
}

/* the far end was killed: streams end, and new ones are possible */
static void test_restart(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct net *n = net_streams();
		struct cv_end *e = open_stream(n, 1);
		transfer(n, e, 100000);
		streams_write(n->p, e, 300000);
		net_settle(n);
		net_restart(n, side);
		streams_on(n->p);
		if (side == A)
			net_dial(n);
		net_run(n, n->p->now + CV_SEC(40));
		assert_int_equal(n->p->side[!side].edge.closes, 1);
		assert_true(cv_session_up(n->p->side[A].s));
		uint64_t was = n->p->side[B].edge.streamed;
		e = open_stream(n, 2);
		net_run(n, n->p->now + CV_SEC(1));
		transfer(n, e, 100000);
		assert_int_equal(n->p->side[B].edge.streamed - was, 100000);
		n->p->side[B].edge.fins = 0;
		finish(n, e);
	}
}

enum { SENT_BEFORE, SENT_AFTER, NOT_SENT, BOTH_THERE, SENT_LATE, CASES };

/* the same, and a stream of which nothing can have come to the old one: it is
   opened with the new one; all of it arrives there, and once */
static void test_restart_unmet(void **state)
{
	(void)state;
	for (int what = 0; what < CASES; what++) {
		bool kept = what == SENT_AFTER || what == NOT_SENT;
		struct net *n = net_streams();
		struct pair *p = n->p;
		struct edge *far = &p->side[B].edge;
		struct cv_end *old = open_stream(n, 1), *e = NULL;
		transfer(n, old, 100000);
		net_run(n, p->now + CV_MS(100));
		if (what == NOT_SENT)
			net_hang_up(n, A);
		if (what == SENT_BEFORE)
			n->fate = nothing;
		if (what == SENT_BEFORE || what == NOT_SENT) {
			e = open_stream(n, 2);
			streams_write(p, e, 50000);
			streams_finish(p, e);
			net_settle(n);
		}
		net_run(n, p->now + CV_MS(5));
		n->fate = NULL;
		net_restart(n, B);
		streams_on(p);
		if (what == BOTH_THERE) /* while its predecessor was heard */
			p->side[B].node.began -= CV_MS(500);
		/* it is known to a way's time at best */
		net_run(n, p->now + n->delay + CV_MS(2));
		if (what == SENT_LATE) { /* an answer could not be here yet */
			open_stream(n, 3);
			while (!p->side[A].s->hs_sent)
				net_run(n, p->now + CV_MS(1));
			net_run(n, p->now + CV_MS(1));
		}
		if (!e) {
			e = open_stream(n, 2);
			streams_write(p, e, 50000);
			streams_finish(p, e);
		}
		if (what == NOT_SENT)
			net_dial(n);
		net_run(n, p->now + CV_SEC(10));
		assert_true(cv_session_up(p->side[A].s));
		assert_int_equal(p->side[A].edge.closes, kept ? 1 : 2);
		assert_int_equal(far->streamed, kept ? 50000 : 0);
		assert_int_equal(far->fins, kept);
		assert_int_equal(far->opens, kept || what == SENT_LATE);
		if (far->last)
			streams_finish(p, far->last);
		if (what != SENT_LATE)
			check_over(n);
		net_free(n);
	}
}

static void test_moves(void **state)
{
	struct net *n = net_streams();
	(void)state;
	struct cv_end *e = open_stream(n, 1);
	for (int i = 0; i < 20; i++) {
		transfer(n, e, 100000);
		net_move(n, A, i & 1);
		cv_node_moved(&n->p->side[A].node, n->p->now);
	}
	transfer(n, e, 100000);
	assert_int_equal(net_transport(n, B)->path->roam.moves, 20);
	finish(n, e);
}

/* a download whose reader moves: its silence is broken by a nudge */
static void test_nudge(void **state)
{
	struct net *n = net_streams();
	(void)state;
	struct cv_end *e = open_stream(n, 1), *far;
	struct cv_transport *t = net_transport(n, B);
	net_run(n, n->p->now + CV_SEC(1));
	far = n->p->side[B].edge.last;
	for (int i = 0; i < 30; i++) {
		streams_write(n->p, far, 100000);
		net_run(n, n->p->now + CV_MS(10));
	}
	assert_true(net_transport(n, A)->heard > 0);
	cv_time moved = n->p->now;
	net_move(n, A, false);
	uint64_t was = n->p->side[A].edge.streamed;
	while (n->p->side[A].edge.streamed < was + 50000) {
		streams_write(n->p, far, 100000);
		net_run(n, n->p->now + CV_MS(5));
		assert_true(n->p->now - moved < CV_MS(250));
		/* the first sample on a path is one of it */
		assert_true(!t->cc.rate || t->cc.rate > 50000);
	}
	finish(n, e);
}

/* nothing is to be had: nobody turns on the spot, and then it goes on */
static void test_no_memory(void **state)
{
	struct net *n = net_streams();
	(void)state;
	struct cv_end *e = open_stream(n, 1);
	for (int side = 0; side < 2; side++) {
		struct cv_pool *pool = &n->p->side[side].node.pool;
		struct cv_bufq all = { 0 };
		struct cv_buf *b;
		size_t max = pool->max;
		transfer(n, e, 100000);
		streams_write(n->p, e, 100000);
		pool->max = 0;
		n->p->side[side].mem.fail_all = true;
		while ((b = cv_buf_small(pool)) || (b = cv_buf_large(pool)))
			cv_bufq_push(&all, b);
		net_run(n, n->p->now + CV_SEC(10));
		cv_bufq_clear(&all, pool);
		pool->max = max;
		n->p->side[side].mem.fail_all = false;
		net_run(n, n->p->now + CV_SEC(10));
	}
	transfer(n, e, 100000);
	finish(n, e);
}

/* a socket that takes nothing, or a byte stream */
static void test_blocked(void **state)
{
	struct net *n = net_streams();
	(void)state;
	struct cv_end *e = open_stream(n, 1);
	transfer(n, e, 100000);
	for (int side = 0; side < 2; side++) {
		struct cv_link *link = net_transport(n, side)->path->link;
		streams_write(n->p, e, 100000);
		link->blocked = true;
		cv_list_del(&link->dirty);
		net_run(n, n->p->now + CV_SEC(10));
		cv_node_writable(&n->p->side[side].node, link);
		net_run(n, n->p->now + CV_SEC(4));
	}
	assert_int_equal(streams_got(n->p->side[B].edge.last), 300000);
	finish(n, e);
}

static void test_blocked_wire(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	streams_on(p);
	struct wire *w = pair_up(p);
	struct cv_flow *f = streams_open(p, 1);
	streams_write(p, &f->end[0], 1000);
	pair_block(&w->end[B]);
	pair_settle(p);
	struct cv_transport *t = p->side[B].s->transport;
	assert_true(cv_acks_due(&t->acks) < CV_NEVER);
	p->now += CV_SEC(1);
	cv_transport_schedule(t, p->now);
	assert_true(t->timer.when == CV_NEVER);
	pair_unblock(&w->end[B]);
	pair_settle(p);
	assert_true(cv_acks_due(&t->acks) == CV_NEVER);
	pair_free(p);
}

/* an orderly goodbye */
static void test_goodbye(void **state)
{
	struct net *n = net_streams();
	(void)state;
	struct cv_end *e = open_stream(n, 1);
	transfer(n, e, 10000);
	cv_node_drain(&n->p->side[B].node);
	net_run(n, n->p->now + CV_SEC(1));
	assert_true(cv_node_drained(&n->p->side[B].node));
	assert_int_equal(n->p->side[A].s->links, 0);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_lossy),
		cmocka_unit_test(test_lossy_handshake),
		cmocka_unit_test(test_plain_datagrams),
		cmocka_unit_test(test_blackout),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_unmet),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_nudge),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_blocked_wire),
		cmocka_unit_test(test_goodbye),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
