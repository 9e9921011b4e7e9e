/* SPDX-License-Identifier: MIT */
/* test_session_parts.c - datagrams larger than a packet, between two sessions
 */
#include "core/transport.h"
#include "unit/check.h"
#include "unit/net.h"
#include "unit/streams.h"

#define TARGET "udp://127.0.0.1:5"

/* what a node holds of datagrams that come in parts */
static unsigned pending(struct net *n, int side)
{
	return net_transport(n, side)->whole.q.count;
}

static void check_drop(struct net *n, int side, enum cv_drop why, uint64_t want)
{
	assert_int_equal(pair_drop(n->p, side, why), want);
	assert_int_equal(pair_drops(n->p, side), want);
}

static struct net *net_with_flow(struct cv_flow **f)
{
	struct net *n = net_new(false);
	net_up(n);
	*f = pair_open(n->p, 1, TARGET);
	assert_non_null(*f);
	pair_say(n->p, *f, 10);
	net_run(n, n->p->now + CV_MS(200));
	assert_int_equal(n->p->side[B].edge.dgrams, 1);
	n->p->side[B].edge.dgrams = 0;
	return n;
}

static void test_both_ways(void **state)
{
	static const size_t size[] = { 1300, 1452, 2900, 9000, 30000, 65535 };
	static uint8_t bytes[CV_DGRAM_MAX];
	struct cv_flow *f;
	uint64_t seed = 3;
	(void)state;
	struct net *n = net_with_flow(&f);
	rnd_fill(&seed, bytes, sizeof bytes);
	for (size_t i = 0; i < CV_COUNT(size); i++) {
		size_t len = size[i] < CV_DGRAM_MAX ? size[i] : CV_DGRAM_MAX;
		for (int side = 0; side < 2; side++) {
			struct edge *e = &n->p->side[!side].edge;
			struct cv_end *from =
				side ? n->p->side[B].edge.last : &f->end[0];
			pair_send(n->p, from, bytes, len, len);
			net_run(n, n->p->now + CV_SEC(1));
			assert_int_equal(e->dgrams, i + 1);
			assert_int_equal(e->len, len);
			assert_memory_equal(e->data, bytes, len);
			assert_int_equal(pending(n, !side), 0);
			assert_null(n->p->side[!side].node.wholes.head);
		}
	}
	assert_int_equal(pair_drops(n->p, A) + pair_drops(n->p, B), 0);
	net_free(n);
}

/* the flow's first datagram, so that each part has its OPEN */
static void test_first(void **state)
{
	(void)state;
	for (size_t len = 1300; len <= CV_DGRAM_MAX; len += 9171) {
		struct net *n = net_new(true);
		net_up(n);
		pair_say(n->p, pair_open(n->p, 1, TARGET), len);
		net_run(n, n->p->now + CV_SEC(1));
		assert_int_equal(n->p->side[B].edge.opens, 1);
		assert_int_equal(n->p->side[B].edge.len, len);
		net_free(n);
	}
}

/* the whole of it waits for a session to come, too */
static void test_held(void **state)
{
	struct net *n = net_new(false);
	(void)state;
	pair_say(n->p, pair_open(n->p, 1, TARGET), CV_DGRAM_MAX);
	net_dial(n);
	net_run(n, n->p->now + CV_SEC(1));
	assert_int_equal(n->p->side[B].edge.len, CV_DGRAM_MAX);
	net_free(n);
}

/* many at once: the second of two packets of each, one buffer for all */
static void test_burst(void **state)
{
	struct cv_flow *f;
	(void)state;
	struct net *n = net_with_flow(&f);
	for (unsigned i = 0; i < 300; i++)
		pair_say(n->p, f, 1452);
	net_run(n, n->p->now + CV_SEC(1));
	assert_int_equal(
		n->p->side[B].edge.dgrams + pair_drop(n->p, A, CV_DROP_AGED),
		300);
	assert_true(n->p->side[B].edge.dgrams > 50);
	assert_int_equal(pair_drops(n->p, B), 0);
	net_free(n);
}

static bool one_lost(struct net *n, struct parcel *x)
{
	unsigned *count = n->user;
	return x->to != B || x->len < 500 || (*count)++ != 1;
}

/* given up by the clock alone, counted once; and late parts are nothing */
static void test_lost(void **state)
{
	unsigned count = 0;
	struct cv_flow *f;
	(void)state;
	struct net *n = net_with_flow(&f);
	n->user = &count;
	n->fate = one_lost;
	pair_say(n->p, f, 5000);
	net_run(n, n->p->now + CV_MS(900));
	assert_true(count > 2);
	assert_int_equal(pending(n, B), 1);
	check_drop(n, B, CV_DROP_INCOMPLETE, 0);
	net_run(n, n->p->now + CV_MS(200));
	assert_int_equal(pending(n, B), 0);
	check_drop(n, B, CV_DROP_INCOMPLETE, 1);
	pair_say(n->p, f, 5000);
	net_run(n, n->p->now + CV_SEC(2));
	assert_int_equal(n->p->side[B].edge.dgrams, 1);
	check_drop(n, B, CV_DROP_INCOMPLETE, 1);
	net_free(n);
}

/* what was begun goes on for longer than datagrams wait, but not for ever */
static void test_slow(void **state)
{
	(void)state;
	for (unsigned slow = 0; slow < 2; slow++) {
		struct cv_flow *f;
		struct net *n = net_with_flow(&f);
		struct cv_transport *t = net_transport(n, A);
		t->path->link->rate_max = slow ? 20000 : 100000;
		t->cc.rate = t->path->link->rate_max;
		pair_say(n->p, f, 30000);
		net_run(n, n->p->now + CV_SEC(3));
		assert_int_equal(n->p->side[B].edge.dgrams, !slow);
		check_drop(n, A, CV_DROP_AGED, slow);
		check_drop(n, B, CV_DROP_INCOMPLETE, slow);
		net_free(n);
	}
}

static int part(struct net *n, uint64_t flow, uint64_t number, uint32_t at)
{
	uint8_t p[CV_PART_HEAD + 100] = { 0 };
	struct cv_frame f = { .flow = flow,
		.taken = number,
		.seg = 200,
		.value = at,
		.len = 100 };
	return net_inject(n, A, p, cv_frame_put_part(p, &f) + 100);
}

static void test_unknown_flow(void **state)
{
	struct cv_flow *f;
	(void)state;
	struct net *n = net_with_flow(&f);
	assert_int_equal(part(n, 500, 1, 0), 0);
	assert_int_equal(n->p->side[B].s->ctl.count, 1);
	assert_int_equal(part(n, 500, 1, 100), 0);
	check_drop(n, B, CV_DROP_UNKNOWN_FLOW, 1);
	/* one that ends in between */
	assert_int_equal(part(n, f->end[1].id, 2, 0), 0);
	cv_flow_close(&n->p->side[B].node, cv_end_flow(n->p->side[B].edge.last),
		NULL, CV_RESET_DONE, n->p->now);
	assert_int_equal(part(n, f->end[1].id, 2, 100), 0);
	check_drop(n, B, CV_DROP_UNKNOWN_FLOW, 2);
	assert_int_equal(n->p->side[B].edge.dgrams, 0);
	net_free(n);
}

static void test_malformed(void **state)
{
	struct cv_flow *f;
	(void)state;
	struct net *n = net_with_flow(&f);
	uint64_t id = f->end[1].id;
	assert_int_equal(part(n, id, 1, 0), 0);
	assert_int_equal(part(n, id, 1, 50), CV_DROP_MALFORMED);
	assert_int_equal(pair_drop(n->p, B, CV_DROP_INCOMPLETE), 1);
	assert_int_equal(part(n, id, 1, 100), 0);
	assert_int_equal(pair_drops(n->p, B), 2);
	net_free(n);
}

static void test_no_memory(void **state)
{
	struct cv_flow *f;
	(void)state;
	struct net *n = net_with_flow(&f);
	struct cv_pool *pool = &n->p->side[B].node.pool;
	struct cv_buf *last = cv_buf_small(pool);
	size_t max = pool->max;
	assert_non_null(last);
	pool->max = 0;
	assert_int_equal(part(n, f->end[1].id, 1, 0), 0);
	pool->max = max;
	cv_buf_free(pool, last);
	assert_int_equal(part(n, f->end[1].id, 1, 100), 0);
	check_drop(n, B, CV_DROP_NO_BUFFER, 1);
	assert_int_equal(n->p->side[B].edge.dgrams, 0);
	net_free(n);
}

/* its peer has forgotten what it began */
static void test_restart(void **state)
{
	struct cv_flow *f;
	(void)state;
	struct net *n = net_with_flow(&f);
	part(n, f->end[1].id, 1, 0);
	cv_transport_restart(net_transport(n, B));
	check_drop(n, B, CV_DROP_INCOMPLETE, 1);
	assert_int_equal(pending(n, B), 0);
	net_free(n);
}

static void test_byte_stream(void **state)
{
	struct pair *p = pair_new(true);
	uint8_t b[CV_DATA_HEAD + CV_PART_HEAD + 1] = { 0 };
	struct cv_frame f = { .flow = 2, .seg = 1, .len = 1 };
	(void)state;
	struct wire *w = pair_up(p);
	struct cv_session *s = p->side[A].s;
	size_t n = cv_frame_put_part(b + CV_DATA_HEAD, &f) + 1;
	n = cv_session_seal(s, b, n);
	assert_int_equal(
		cv_node_input(&p->side[B].node, &w->end[1].link, b, n, p->now),
		CV_DROP_MALFORMED);
	pair_free(p);
}

/* datagrams, whole or in parts, are not for a stream's end */
static void test_of_stream(void **state)
{
	uint8_t p[40] = { CV_FRAME_DGRAM, 2, 1, 1, 7 };
	struct net *n = net_new(false);
	(void)state;
	streams_on(n->p);
	net_up(n);
	struct cv_flow *f = streams_open(n->p, 1);
	net_run(n, n->p->now + CV_MS(200));
	p[1] = (uint8_t)f->end[1].id;
	assert_int_equal(net_inject(n, A, p, 5), CV_DROP_MALFORMED);
	assert_int_equal(part(n, f->end[1].id, 1, 0), 0);
	assert_int_equal(part(n, f->end[1].id, 1, 100), CV_DROP_MALFORMED);
	assert_int_equal(n->p->side[B].edge.dgrams, 0);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_unknown_flow),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_byte_stream),
		cmocka_unit_test(test_of_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
