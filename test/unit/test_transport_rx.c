/* SPDX-License-Identifier: MIT */
/* test_transport_rx.c - acknowledgements in, losses, probes */
#include "core/transport.h"
#include "unit/check.h"
#include "unit/net.h"
#include "unit/streams.h"

static struct net *net_streams(void)
{
	struct net *n = net_new(false);
	streams_on(n->p);
	net_up(n);
	net_run(n, n->p->now + CV_SEC(1));
	return n;
}

static struct cv_end *open_stream(struct net *n)
{
	struct cv_flow *f = streams_open(n->p, 1);
	assert_non_null(f);
	net_run(n, n->p->now + CV_SEC(1));
	return &f->end[0];
}

/* an ACK of B's of one range */
static int inject_ack(struct net *n, uint64_t lo, uint64_t hi)
{
	uint8_t p[40];
	size_t len = 1;
	p[0] = CV_FRAME_ACK;
	len += cv_varint_put(p + len, hi - 1);
	len += cv_varint_put(p + len, 0);
	len += cv_varint_put(p + len, 0);
	len += cv_varint_put(p + len, hi - 1 - lo);
	return net_inject(n, B, p, len);
}

static bool nothing(struct net *n, struct parcel *x)
{
	(void)n;
	(void)x;
	return false;
}

/* of what was never sent: refused, and nothing believed */
static void test_ack_ahead(void **state)
{
	struct net *n = net_streams();
	struct cv_end *e = open_stream(n);
	struct cv_transport *t = net_transport(n, A);
	(void)state;
	n->fate = nothing;
	streams_write(n->p, e, 5000);
	net_settle(n);
	uint64_t flying = t->flights.flying, next = t->session->number;
	assert_true(flying > 0);
	assert_int_equal(inject_ack(n, 0, next + 1), CV_DROP_MALFORMED);
	assert_int_equal(t->flights.flying, flying);
	assert_int_equal(inject_ack(n, 0, next), 0);
	assert_int_equal(t->flights.flying, 0);
	assert_int_equal(t->flights.inflight, 0);
	assert_int_equal(cv_end_flow(e)->stream->tx.base, 5000);
	net_free(n);
}

/* many numbers that were never in the ring cost nothing */
static void test_ack_of_many(void **state)
{
	struct net *n = net_streams();
	struct cv_transport *t = net_transport(n, A);
	(void)state;
	t->session->number += UINT64_C(1) << 60;
	for (int i = 0; i < 100; i++)
		assert_int_equal(inject_ack(n, 0, t->session->number), 0);
	net_free(n);
}

/* lost three packets behind; late: it was wrong, and nothing comes twice */
static void test_spurious(void **state)
{
	struct net *n = net_streams();
	struct cv_end *e = open_stream(n);
	struct cv_transport *t = net_transport(n, A);
	(void)state;
	n->fate = nothing;
	streams_write(n->p, e, 10000);
	net_run(n, n->p->now + CV_MS(3));
	uint64_t first = cv_flights_oldest(&t->flights);
	uint64_t next = t->flights.next;
	assert_true(next - first >= 6);
	assert_int_equal(inject_ack(n, first + 2, next), 0);
	assert_int_equal(
		cv_flights_at(&t->flights, first)->state, CV_SENT_LOST);
	assert_int_equal(t->loss.spurious, 0);
	assert_int_equal(inject_ack(n, first, next), 0);
	assert_int_equal(t->loss.spurious, 2);
	assert_true(t->loss.reorders);
	assert_int_equal(cv_end_flow(e)->stream->tx.base, 10000);
	net_free(n);
}

/* an answer that does not come is asked for early, then ever more rarely */
static void test_probes(void **state)
{
	struct net *n = net_streams();
	struct cv_end *e = open_stream(n);
	struct cv_transport *t = net_transport(n, A);
	(void)state;
	n->fate = nothing;
	streams_write(n->p, e, 100);
	net_settle(n);
	uint64_t sent = n->sent;
	net_run(n, n->p->now + cv_rtt_smoothed(&t->rtt));
	assert_int_equal(n->sent - sent, 1);
	assert_true(t->loss.early);
	net_run(n, n->p->now + CV_SEC(10));
	assert_in_range(t->loss.probes, 6, 14);
	assert_in_range(n->sent - sent, 8, 60);
	n->fate = NULL;
	net_run(n, n->p->now + CV_SEC(4));
	assert_int_equal(streams_got(n->p->side[B].edge.last), 100);
	assert_int_equal(t->loss.probes, 0);
	net_free(n);
}

/* one message after the other, and each of them has its early copy */
static void test_each_copied(void **state)
{
	struct net *n = net_streams();
	struct cv_transport *t = net_transport(n, A);
	(void)state;
	n->delay = CV_MS(20);
	struct cv_end *e = open_stream(n);
	net_run(n, n->p->now + CV_SEC(1));
	for (int i = 0; i < 4; i++) {
		uint64_t before = t->retransmitted;
		streams_write(n->p, e, 100);
		net_run(n, n->p->now + CV_MS(42));
		assert_int_equal(t->retransmitted - before, 100);
	}
	net_free(n);
}

/* when all is said it is quiet: a copy is not copied again */
static void test_quiet(void **state)
{
	struct net *n = net_streams();
	(void)state;
	n->delay = CV_MS(20);
	struct cv_end *e = open_stream(n);
	streams_write(n->p, e, 100);
	net_run(n, n->p->now + CV_SEC(1));
	cv_flow_close(&n->p->side[A].node, cv_end_flow(e), NULL,
		CV_RESET_ABORTED, n->p->now);
	net_run(n, n->p->now + CV_SEC(1));
	uint64_t sent = n->sent;
	net_run(n, n->p->now + CV_SEC(10));
	assert_in_range(n->sent - sent, 0, 4);
	net_free(n);
}

/* an OPEN that was lost long before what is newest goes again, too */
static bool lose_largest(struct net *n, struct parcel *x)
{
	(void)n;
	return x->len < 100;
}

static void test_old_open(void **state)
{
	struct net *n = net_streams();
	(void)state;
	n->fate = nothing;
	struct cv_flow *f = streams_open(n->p, 1);
	for (int i = 0; i < 20; i++) {
		streams_write(n->p, &f->end[0], 500);
		net_run(n, n->p->now + CV_MS(1));
	}
	n->fate = lose_largest;
	net_run(n, n->p->now + CV_MS(100));
	n->fate = NULL;
	net_run(n, n->p->now + CV_SEC(10));
	assert_int_equal(streams_got(n->p->side[B].edge.last), 10000);
	net_free(n);
}

/* each kind of frame comes again when it was lost: the first packets of all
   that happens are */
static unsigned to_lose;

static bool lose_first(struct net *n, struct parcel *x)
{
	(void)n;
	(void)x;
	return !to_lose || !to_lose--;
}

static void test_everything_again(void **state)
{
	(void)state;
	for (unsigned lost = 1; lost < 5; lost++) {
		struct net *n = net_streams();
		n->fate = lose_first;
		to_lose = lost; /* OPEN, OPENED */
		struct cv_end *e = open_stream(n), *far;
		far = n->p->side[B].edge.last;
		assert_non_null(far);
		assert_int_equal(cv_end_flow(e)->state, CV_FLOW_OPEN);
		n->p->side[B].edge.hoard = true;
		while (streams_write(n->p, e, 100000))
			net_run(n, n->p->now + CV_MS(500));
		assert_int_equal(streams_got(far), CV_STREAM_WINDOW);
		to_lose = lost; /* WINDOW */
		streams_take(n->p, far, CV_STREAM_WINDOW);
		net_run(n, n->p->now + CV_SEC(5));
		assert_true(streams_got(far) > CV_STREAM_WINDOW);
		to_lose = lost; /* SESSION_WINDOW */
		net_transport(n, B)->window *= 2;
		net_transport(n, B)->tell = true;
		cv_session_wake(net_transport(n, B)->session, n->p->now);
		net_run(n, n->p->now + CV_SEC(5));
		assert_int_equal(net_transport(n, A)->tx_window,
			net_transport(n, B)->rx_window);
		to_lose = lost; /* RESET */
		cv_flow_close(&n->p->side[B].node, cv_end_flow(far), NULL,
			CV_RESET_ABORTED, n->p->now);
		net_run(n, n->p->now + CV_SEC(5));
		assert_int_equal(n->p->side[A].edge.closes, 1);
		assert_int_equal(net_transport(n, A)->flights.flying, 0);
		net_free(n);
	}
}

static bool reorder(struct net *n, struct parcel *x)
{
	x->at += rnd_below(&n->seed, 5) ? 0 : CV_MS(3);
	return true;
}

/* a path that reorders soon loses nothing any more */
static void test_reordering(void **state)
{
	struct net *n = net_streams();
	struct cv_end *e = open_stream(n);
	struct cv_transport *t = net_transport(n, A);
	(void)state;
	n->fate = reorder;
	for (int i = 0; i < 300; i++) {
		streams_write(n->p, e, 30000);
		net_run(n, n->p->now + CV_MS(10));
	}
	assert_true(t->loss.reorders);
	uint64_t was = t->loss.spurious;
	for (int i = 0; i < 300; i++) {
		streams_write(n->p, e, 30000);
		net_run(n, n->p->now + CV_MS(10));
	}
	assert_in_range(t->loss.spurious - was, 0, 20);
	net_free(n);
}

/* the path takes smaller packets than it did: found out, and it goes on */
static void test_black_hole(void **state)
{
	struct net *n = net_streams();
	struct cv_end *e = open_stream(n);
	struct cv_transport *t = net_transport(n, A);
	(void)state;
	assert_int_equal(t->pmtud.mtu, 1500);
	n->mtu = 1400;
	uint64_t all = 0;
	for (int i = 0; i < 1500; i++) {
		all += streams_write(n->p, e, 5000);
		net_run(n, n->p->now + CV_MS(10));
	}
	assert_in_range(t->pmtud.mtu, 1280, 1400);
	net_run(n, n->p->now + CV_SEC(5));
	assert_int_equal(streams_got(n->p->side[B].edge.last), all);
	net_free(n);
}

/* jumbo frames, found by probes */
static void test_large_packets(void **state)
{
	struct net *n = net_new(false);
	(void)state;
	streams_on(n->p);
	n->said_mtu = 9000;
	n->mtu = 8000;
	net_up(n);
	struct cv_end *e = open_stream(n);
	for (int i = 0; i < 300; i++) {
		streams_write(n->p, e, 20000);
		net_run(n, n->p->now + CV_MS(10));
	}
	assert_in_range(
		net_transport(n, A)->pmtud.mtu, 8000 - CV_MTU_STEP, 8000);
	net_free(n);
}

/* the system itself refuses some */
static void test_refused(void **state)
{
	struct net *n = net_new(false);
	(void)state;
	streams_on(n->p);
	n->said_mtu = 9000;
	n->device = 1400;
	net_up(n);
	struct cv_end *e = open_stream(n);
	uint64_t all = streams_write(n->p, e, 100000);
	net_run(n, n->p->now + CV_SEC(10));
	assert_in_range(net_transport(n, A)->pmtud.mtu, 1280, 1400);
	assert_int_equal(streams_got(n->p->side[B].edge.last), all);
	/* of a link that is no path, or not the one in use: no matter */
	cv_node_too_big(&n->p->side[A].node, &n->port[A].link, 1400, n->p->now);
	net_free(n);
}

/* a path on which nothing passes for long: what was learnt is void */
static void test_persistent(void **state)
{
	struct net *n = net_streams();
	struct cv_end *e = open_stream(n);
	struct cv_transport *t = net_transport(n, A);
	(void)state;
	for (int i = 0; i < 200; i++) {
		streams_write(n->p, e, 100000);
		net_run(n, n->p->now + CV_MS(10));
	}
	uint64_t rate = t->cc.rate;
	n->fate = nothing;
	net_run(n, n->p->now + CV_SEC(5));
	assert_true(t->cc.rate < rate / 2);
	net_free(n);
}

/* people are told of a peer that does not answer, once, and when it does */
static void test_silent(void **state)
{
	struct net *n = net_streams();
	struct cv_end *e = open_stream(n);
	struct mem *m = &n->p->side[A].mem;
	(void)state;
	net_run(n, n->p->now + CV_SEC(1));
	unsigned before = m->lines;
	n->fate = nothing;
	streams_write(n->p, e, 1000);
	net_run(n, n->p->now + CV_SEC(2));
	assert_int_equal(m->lines, before);
	net_run(n, n->p->now + CV_SEC(10));
	assert_int_equal(m->lines, before + 1);
	assert_non_null(strstr(m->line, "peer does not answer"));
	n->fate = NULL;
	net_run(n, n->p->now + CV_SEC(5));
	assert_int_equal(m->lines, before + 2);
	assert_non_null(strstr(m->line, "peer answers again"));
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ack_ahead),
		cmocka_unit_test(test_ack_of_many),
		cmocka_unit_test(test_spurious),
		cmocka_unit_test(test_probes),
		cmocka_unit_test(test_each_copied),
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_old_open),
		cmocka_unit_test(test_everything_again),
		cmocka_unit_test(test_reordering),
		cmocka_unit_test(test_black_hole),
		cmocka_unit_test(test_large_packets),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_persistent),
		cmocka_unit_test(test_silent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
