/* SPDX-License-Identifier: MIT */
/* test_roam.c - a peer that comes from another address */
#include "core/roam.h"
#include "core/transport.h"
#include "unit/check.h"
#include "unit/net.h"
#include "unit/streams.h"

static struct cv_path *path_of(struct net *n, int side)
{
	return net_transport(n, side)->path;
}

static struct net *net_ready(void)
{
	struct net *n = net_new(false);
	streams_on(n->p);
	net_up(n);
	net_run(n, n->p->now + CV_SEC(2));
	assert_non_null(path_of(n, B));
	assert_int_equal(path_of(n, B)->roam.moves, 0);
	return n;
}

static void say(struct net *n)
{
	pair_say(n->p, pair_open(n->p, 1, "udp://127.0.0.1:5"), 100);
	net_settle(n);
}

/* a packet of A's, which is caught, not sent */
struct caught {
	size_t len;
	uint8_t data[2000];
};

static void catch (struct net *n, struct caught *c)
{
	uint8_t frames[CV_FRAME_SHORT];
	size_t len = cv_frame_put(
		frames, &(struct cv_frame){ .type = CV_FRAME_PING });
	c->len = net_seal(n, A, frames, len, c->data);
}

static void test_follows(void **state)
{
	struct net *n = net_ready();
	(void)state;
	for (int i = 1; i < 5; i++) {
		net_move(n, A, i & 1);
		say(n);
		net_run(n, n->p->now + n->delay);
		struct cv_path *p = path_of(n, B);
		assert_true(cv_addr_equal(&p->link->remote, &n->addr[A]));
		assert_true(p->roam.pending);
		assert_int_equal(p->roam.moves, i);
		net_run(n, n->p->now + CV_MS(200));
		assert_false(p->roam.pending);
		assert_int_equal(n->p->side[B].edge.dgrams, i);
	}
	assert_non_null(strstr(n->p->side[B].mem.line, "peer moved"));
	net_free(n);
}

/* an old packet from elsewhere says nothing of where the peer is now */
static void test_newest(void **state)
{
	struct net *n = net_ready();
	struct caught old;
	(void)state;
	catch (n, &old);
	say(n);
	net_run(n, n->p->now + CV_MS(100));
	struct cv_addr elsewhere = pair_client(99);
	assert_int_equal(net_post(n, B, &elsewhere, old.data, old.len), 0);
	assert_int_equal(path_of(n, B)->roam.moves, 0);
	assert_true(cv_addr_equal(&path_of(n, B)->link->remote, &n->addr[A]));
	net_free(n);
}

/* nobody answers there: at most three times what came, and then back */
static void test_goes_back(void **state)
{
	struct net *n = net_ready();
	struct caught c;
	(void)state;
	struct cv_addr home = n->addr[A], elsewhere = pair_client(99);
	struct cv_end *e;
	struct cv_flow *f = streams_open(n->p, 1);
	assert_non_null(f);
	net_run(n, n->p->now + CV_MS(100));
	e = n->p->side[B].edge.last;
	streams_write(n->p, e, 100000);
	catch (n, &c);
	uint64_t sent = n->bytes[B];
	assert_int_equal(net_post(n, B, &elsewhere, c.data, c.len), 0);
	struct cv_path *p = path_of(n, B);
	assert_true(p->roam.pending);
	net_run(n, n->p->now + CV_MS(5));
	assert_in_range(n->bytes[B] - sent, 40, CV_ROAM_FACTOR * c.len);
	/* what else there is to say waits */
	assert_int_equal(streams_got(&f->end[0]), 0);
	net_run(n, n->p->now + CV_SEC(10));
	assert_false(p->roam.pending);
	assert_true(cv_addr_equal(&p->link->remote, &home));
	assert_int_equal(streams_got(&f->end[0]), 100000);
	net_free(n);
}

/* the peer is where it was all the time, and says so */
static void test_back_at_once(void **state)
{
	struct net *n = net_ready();
	struct caught c;
	(void)state;
	struct cv_addr elsewhere = pair_client(99);
	catch (n, &c);
	assert_int_equal(net_post(n, B, &elsewhere, c.data, c.len), 0);
	assert_true(path_of(n, B)->roam.pending);
	say(n);
	net_run(n, n->p->now + n->delay);
	assert_false(path_of(n, B)->roam.pending);
	assert_int_equal(path_of(n, B)->roam.moves, 2);
	assert_int_equal(n->p->side[B].edge.dgrams, 1);
	net_free(n);
}

/* on and on, before any of the addresses was proven: back to the first */
static void test_wanders(void **state)
{
	struct net *n = net_ready();
	struct caught c;
	(void)state;
	struct cv_addr home = n->addr[A];
	for (unsigned i = 0; i < 3; i++) {
		struct cv_addr elsewhere = pair_client(100 + i);
		catch (n, &c);
		assert_int_equal(net_post(n, B, &elsewhere, c.data, c.len), 0);
	}
	net_run(n, n->p->now + CV_SEC(30));
	assert_int_equal(path_of(n, B)->roam.moves, 4);
	assert_true(cv_addr_equal(&path_of(n, B)->link->remote, &home));
	net_free(n);
}

static void test_wrong_answer(void **state)
{
	struct net *n = net_ready();
	struct caught c;
	(void)state;
	struct cv_addr elsewhere = pair_client(99);
	cv_roam_answered(path_of(n, B), 0); /* to nothing */
	catch (n, &c);
	assert_int_equal(net_post(n, B, &elsewhere, c.data, c.len), 0);
	struct cv_path *p = path_of(n, B);
	cv_roam_answered(p, p->roam.token + 1);
	assert_true(p->roam.pending);
	assert_true(cv_roam_deadline(p) < CV_NEVER);
	cv_roam_answered(p, p->roam.token);
	assert_false(p->roam.pending);
	assert_true(cv_roam_deadline(p) == CV_NEVER);
	assert_true(cv_roam_allowance(p) == UINT64_MAX);
	net_free(n);
}

/* the same host: what was learnt of the path holds.  Another: it does not */
static void test_what_is_kept(void **state)
{
	(void)state;
	for (int same = 0; same < 2; same++) {
		struct net *n = net_ready();
		say(n);
		net_run(n, n->p->now + CV_SEC(1));
		struct cv_transport *t = net_transport(n, B);
		uint64_t delivered = t->rate.delivered;
		assert_true(delivered > 0);
		uint8_t generation = t->generation;
		net_move(n, A, same);
		say(n);
		net_run(n, n->p->now + n->delay);
		assert_int_equal(t->generation, (uint8_t)(generation + 1));
		assert_int_equal(t->rate.delivered, same ? delivered : 0);
		net_free(n);
	}
}

/* a new handshake from the new address proves it */
static void test_handshake_proves(void **state)
{
	struct net *n = net_ready();
	(void)state;
	net_move(n, A, false);
	struct cv_session *s = n->p->side[A].s;
	assert_int_equal(cv_handshake_start(s, s->path, n->p->now), 0);
	for (int i = 0; i < 40 && !path_of(n, B)->roam.moves; i++)
		net_run(n, n->p->now + CV_MS(1));
	assert_int_equal(path_of(n, B)->roam.moves, 1);
	assert_false(path_of(n, B)->roam.pending);
	net_free(n);
}

/* --- links with ways of their own --- */

static struct {
	struct cv_link_ops ops;
	unsigned heard, echoed, doubts;
	uint64_t token;
} lan;

static void heard(struct cv_link *link, struct cv_link *port, cv_time now)
{
	(void)now;
	assert_ptr_equal(link->port, port);
	lan.heard++;
}

static void echoed(struct cv_link *link, uint64_t token, cv_time now)
{
	(void)link;
	(void)now;
	lan.echoed++;
	lan.token = token;
}

static void doubt(struct cv_link *link, cv_time now)
{
	(void)link;
	(void)now;
	lan.doubts++;
}

/* a link of @side has them from now on */
static struct cv_link *with_ways(struct net *n, int side)
{
	struct cv_link *link = path_of(n, side)->link;
	memset(&lan, 0, sizeof lan);
	lan.ops = *link->ops;
	lan.ops.heard = heard;
	lan.ops.echoed = echoed;
	lan.ops.doubt = doubt;
	link->ops = &lan.ops;
	return link;
}

/* where packets come from is the link's to know */
static void test_own_ways(void **state)
{
	struct net *n = net_ready();
	struct cv_link *link = with_ways(n, B);
	struct cv_addr home = link->remote;
	(void)state;
	net_move(n, A, false);
	say(n);
	net_run(n, n->p->now + n->delay);
	assert_int_equal(n->p->side[B].edge.dgrams, 1);
	assert_true(lan.heard > 0);
	assert_int_equal(path_of(n, B)->roam.moves, 0);
	assert_true(cv_addr_equal(&link->remote, &home));
	net_free(n);
}

static void test_challenge(void **state)
{
	struct net *n = net_ready();
	struct cv_session *s = n->p->side[A].s;
	struct cv_pool *pool = &n->p->side[A].node.pool;
	(void)state;
	with_ways(n, A);
	struct cv_buf *b = cv_session_challenge(s, 4711, n->p->now);
	assert_non_null(b);
	assert_int_equal(
		net_post(n, B, &n->addr[A], cv_buf_data(b), b->len), 0);
	cv_buf_free(pool, b);
	net_run(n, n->p->now + CV_MS(100));
	assert_int_equal(lan.echoed, 1);
	assert_int_equal(lan.token, 4711);
	/* its number was left out: nothing waits for it */
	assert_int_equal(net_transport(n, A)->flights.flying, 0);
	cv_session_hang_up(s, "a test");
	assert_null(cv_session_challenge(s, 1, n->p->now));
	net_free(n);
}

static bool nothing(struct net *n, struct parcel *x)
{
	(void)n;
	(void)x;
	return false;
}

/* nothing comes back: the link may know another way; what is under way is
   lost when it takes that */
static void test_doubt(void **state)
{
	struct net *n = net_ready();
	struct cv_flow *f = streams_open(n->p, 1);
	(void)state;
	net_run(n, n->p->now + CV_MS(100));
	struct cv_link *link = with_ways(n, A);
	n->fate = nothing;
	streams_write(n->p, &f->end[0], 5000);
	net_run(n, n->p->now + CV_SEC(2));
	assert_true(lan.doubts > 0);
	struct cv_transport *t = net_transport(n, A);
	assert_true(t->flights.inflight > 0);
	n->fate = NULL;
	cv_node_rerouted(link->node, link, n->p->now);
	net_run(n, n->p->now + CV_MS(25));
	assert_int_equal(streams_got(n->p->side[B].edge.last), 5000);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_follows),
		cmocka_unit_test(test_newest),
		cmocka_unit_test(test_goes_back),
		cmocka_unit_test(test_back_at_once),
		cmocka_unit_test(test_wanders),
		cmocka_unit_test(test_wrong_answer),
		cmocka_unit_test(test_what_is_kept),
		cmocka_unit_test(test_handshake_proves),
		cmocka_unit_test(test_own_ways),
		cmocka_unit_test(test_challenge),
		cmocka_unit_test(test_doubt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
