/* SPDX-License-Identifier: MIT */
/* test_node.c - limits, idle flows, the end of a node, and garbage in */
#include "unit/check.h"
#include "unit/net.h"
#include "unit/pair.h"

#define TARGET "udp://127.0.0.1:5"

static void test_init_without_memory(void **state)
{
	(void)state;
	for (uint64_t i = 1;; i++) {
		struct mem mem;
		struct cv_env env = mem_env(&mem, 1);
		struct cv_node n;
		mem.fail_at = i;
		int err = cv_node_init(&n, &env, 1 << 20, 10);
		if (!err) {
			assert_true(i > 5);
			cv_node_clear(&n);
			assert_int_equal(mem.blocks, 0);
			return;
		}
		assert_int_equal(err, CULVERT_ENOMEM);
		assert_int_equal(mem.blocks, 0);
	}
}

/* --- flows give way --- */

static void test_limit(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_node *a = &p->side[A].node;
	(void)state;
	a->flows.max = 10;
	pair_up(p);
	for (unsigned i = 0; i < 10; i++) {
		pair_say(p, pair_open(p, i, TARGET), 10);
		pair_run(p, p->now + CV_SEC(1));
	}
	/* the oldest was used ten seconds ago, and by now less */
	p->now -= 1;
	assert_null(pair_open(p, 10, TARGET));
	p->now += 1;
	struct cv_flow *f = pair_open(p, 10, TARGET);
	assert_non_null(f);
	assert_int_equal(a->flows.count, 10);
	assert_int_equal(p->side[A].edge.closes, 1);
	pair_say(p, f, 10);
	pair_settle(p);
	/* the far end was told about the one that went */
	assert_int_equal(p->side[B].node.flows.count, 10);
	assert_int_equal(p->side[B].edge.closes, 1);
	assert_null(pair_open(p, 11, TARGET));
	pair_free(p);
}

static void test_limit_of_a_source(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_flows *t = &p->side[A].node.flows;
	(void)state;
	t->max_source = 3;
	/* another source, which is idle for longer */
	struct cv_flow *other = pair_open(p, 0x10000, TARGET);
	for (unsigned i = 1; i <= 3; i++)
		assert_non_null(pair_open(p, i, TARGET));
	assert_null(pair_open(p, 4, TARGET));
	assert_non_null(pair_open(p, 0x10001, TARGET));
	p->now += CV_SEC(10);
	assert_non_null(pair_open(p, 4, TARGET));
	assert_int_equal(t->count, 5);
	struct cv_addr first = pair_client(1), nine = pair_client(9);
	assert_null(cv_flow_find(t, &p->side[A].edge.edge, &first, &nine));
	first = pair_client(0x10000);
	assert_ptr_equal(
		cv_flow_find(t, &p->side[A].edge.edge, &first, &nine), other);
	pair_free(p);
}

/* a peer is one source: it cannot take all flows of a server */
static void test_limit_of_a_peer(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	p->side[B].node.flows.max_source = 5;
	pair_up(p);
	for (unsigned i = 0; i < 20; i++)
		pair_say(p, pair_open(p, i << 16, TARGET), 10);
	pair_settle(p);
	assert_int_equal(p->side[B].node.flows.count, 5);
	/* those refused are closed here too */
	assert_int_equal(p->side[A].node.flows.count, 5);
	assert_int_equal(p->side[A].edge.closes, 15);
	pair_free(p);
}

/* the edge has no descriptor left: the longest idle flow gives its own */
static unsigned full;

static int open_full(struct cv_edge *e, struct cv_end *end, const char *target,
	size_t len, cv_time now)
{
	(void)e;
	(void)end;
	(void)target;
	(void)len;
	(void)now;
	if (full)
		full--;
	return full ? CULVERT_EFULL : 0;
}

static void test_edge_that_is_full(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_node *b = &p->side[B].node;
	(void)state;
	pair_up(p);
	pair_say(p, pair_open(p, 1, TARGET), 10);
	pair_settle(p);
	struct cv_edge_ops ops = *p->side[B].edge.edge.ops;
	ops.open = open_full;
	p->side[B].edge.edge.ops = &ops;
	full = 2;
	pair_say(p, pair_open(p, 2, TARGET), 10);
	pair_settle(p);
	assert_int_equal(b->flows.count, 1); /* all too young */
	assert_int_equal(p->side[A].node.flows.count, 1);
	pair_run(p, p->now + CV_SEC(11));
	full = 2;
	pair_say(p, pair_open(p, 3, TARGET), 10);
	pair_settle(p);
	assert_int_equal(b->flows.count, 1);
	assert_int_equal(p->side[B].edge.closes, 1);
	assert_int_equal(p->side[B].edge.dgrams, 2);
	pair_free(p);
}

static void test_pinned_never_gives_way(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_node *a = &p->side[A].node;
	(void)state;
	a->flows.max = 2;
	cv_flow_pin(a, pair_open(p, 1, TARGET));
	cv_flow_pin(a, pair_open(p, 2, TARGET));
	p->now += CV_SEC(1000);
	assert_null(pair_open(p, 3, TARGET));
	a->flows.max = 10;
	a->flows.max_source = 2;
	assert_null(pair_open(p, 3, TARGET));
	assert_false(cv_node_give_way(a, NULL, p->now));
	pair_free(p);
}

static void test_idle(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET),
		       *g = pair_open(p, 2, TARGET);
	cv_time began = p->now;
	p->side[B].node.flows.idle = 0; /* leave it to A */
	pair_say(p, f, 10);
	pair_say(p, g, 10);
	pair_run(p, began + CV_SEC(100));
	pair_say(p, g, 10);
	pair_run(p, began + CV_FLOW_IDLE - 1);
	assert_int_equal(p->side[A].node.flows.count, 2);
	pair_run(p, began + CV_FLOW_IDLE);
	assert_int_equal(p->side[A].node.flows.count, 1);
	assert_int_equal(p->side[B].node.flows.count, 1);
	pair_run(p, began + CV_SEC(100) + CV_FLOW_IDLE);
	assert_int_equal(p->side[A].node.flows.count, 0);
	assert_int_equal(p->side[B].node.flows.count, 0);
	assert_int_equal(p->side[A].edge.closes, 2);
	assert_int_equal(p->side[B].edge.closes, 2);
	pair_free(p);
}

/* an answer keeps a flow alive as well as a question */
static void test_idle_both_ways(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	pair_up(p);
	pair_say(p, pair_open(p, 1, TARGET), 10);
	pair_settle(p);
	struct cv_end *back = p->side[B].edge.last;
	for (int i = 0; i < 10; i++) {
		pair_run(p, p->now + CV_SEC(100));
		pair_send(p, back, "x", 1, 1);
	}
	pair_settle(p);
	assert_int_equal(p->side[A].edge.dgrams, 10);
	pair_free(p);
}

/* --- two ends on edges, no session --- */

static void test_local_flow(void **state)
{
	struct pair *p = pair_new(false);
	struct side *a = &p->side[A];
	struct cv_addr src = pair_client(1), dst = pair_client(2);
	(void)state;
	struct cv_flow *f = cv_node_flow(&a->node, CV_KIND_DGRAM, &src, p->now);
	cv_flow_set_addr(&a->node.flows, f, &a->edge.edge, &src, &dst);
	f->end[1].edge = &a->edge.edge;
	assert_int_equal(pair_send(p, &f->end[0], "abc", 3, 3), 0);
	assert_ptr_equal(a->edge.last, &f->end[1]);
	pair_send(p, &f->end[1], "abcd", 4, 2);
	assert_int_equal(f->tx, 1);
	assert_int_equal(f->rx, 2);
	cv_flow_opened(&a->node, &f->end[1], p->now);
	assert_int_equal(f->state, CV_FLOW_OPEN);
	cv_flow_pin(&a->node, f);
	cv_flow_close(&a->node, f, NULL, CV_RESET_DONE, p->now);
	assert_int_equal(a->edge.closes, 2);
	pair_free(p);
}

/* --- packets --- */

static int input(struct pair *p, int side, const void *data, size_t len)
{
	static uint8_t copy[CV_PACKET_MAX];
	struct end *e = &p->wire[0].end[side];
	memcpy(copy, data, len);
	return cv_node_input(&e->side->node, &e->link, copy, len, p->now);
}

static bool record(struct pair *p, struct end *to, uint8_t *data, size_t len)
{
	struct cv_buf **b = p->user;
	if (to->side != &p->side[B] || data[0] != CV_PACKET_DATA || *b)
		return true;
	*b = malloc(sizeof **b + len);
	assert_non_null(*b);
	(*b)->len = (uint32_t)len;
	memcpy((*b)->data, data, len);
	return true;
}

/* every bit of a data packet counts; the true one opens once */
static struct cv_flow *open_local(struct pair *p, struct cv_edge *far)
{
	struct cv_opening o = { .edge = &p->side[A].edge.edge,
		.src = pair_client(1),
		.dst = pair_client(9),
		.far = far,
		.target = "udp://here:5" };
	return cv_node_open(&p->side[A].node, &o, p->now);
}

static void resume(struct cv_waiter *w)
{
	cv_list_init(&w->list);
	w->resume = NULL;
}

static void test_far_edge(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_node *n = &p->side[A].node;
	struct edge *far = &p->side[B].edge;
	struct cv_waiter w = { .resume = resume };
	(void)state;
	struct cv_flow *f = open_local(p, &far->edge);
	assert_non_null(f);
	assert_int_equal(f->state, CV_FLOW_OPEN);
	assert_string_equal(far->target, "udp://here:5");
	assert_int_equal(pair_say(p, f, 100), 0);
	assert_int_equal(far->dgrams, 1);
	assert_int_equal(pair_send(p, &f->end[1], "answer", 6, 6), 0);
	assert_int_equal(p->side[A].edge.dgrams, 1);
	/* who is told to wait is told to go on */
	far->blocked = true;
	assert_int_equal(pair_say(p, f, 100), 1);
	cv_list_init(&w.list);
	cv_flow_wait(&f->end[0], &w);
	assert_ptr_equal(far->waiter, &w);
	cv_list_append(&n->resumed, &w.list);
	cv_node_flush(n, p->now);
	assert_null(w.resume);
	/* both ends hear of the end */
	cv_flow_close(n, f, NULL, CV_RESET_DONE, p->now);
	assert_int_equal(far->closes, 1);
	assert_int_equal(p->side[A].edge.closes, 1);
	assert_int_equal(n->flows.count, 0);
	pair_free(p);
}

static void test_far_edge_refuses(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_node *n = &p->side[A].node;
	struct edge *far = &p->side[B].edge;
	(void)state;
	far->answer = CULVERT_EREFUSED;
	assert_null(open_local(p, &far->edge));
	assert_int_equal(n->flows.count, 0);
	assert_int_equal(far->closes + p->side[A].edge.closes, 0);
	/* later: what began here is closed, what never opened is not */
	far->answer = 1;
	struct cv_flow *f = open_local(p, &far->edge);
	assert_int_equal(f->state, CV_FLOW_OPENING);
	cv_flow_refused(n, &f->end[1], CULVERT_EREFUSED, p->now);
	assert_int_equal(far->closes, 0);
	assert_int_equal(p->side[A].edge.closes, 1);
	f = open_local(p, &far->edge);
	cv_flow_opened(n, &f->end[1], p->now);
	assert_int_equal(f->state, CV_FLOW_OPEN);
	cv_node_close_edge(n, &far->edge, NULL, p->now);
	assert_int_equal(far->closes, 1);
	pair_free(p);
}

static void test_standing(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_node *n = &p->side[A].node;
	struct cv_flows *t = &n->flows;
	(void)state;
	pair_up(p);
	struct cv_flow *f = open_local(p, &p->side[B].edge.edge);
	cv_flow_stand(t, f);
	/* it never expires */
	assert_int_equal(cv_flows_deadline(t), CV_NEVER);
	pair_run(p, p->now + 3 * CV_FLOW_IDLE);
	assert_int_equal(t->count, 1);
	/* and gives way in the order in which all were used */
	t->max = 2;
	struct cv_flow *g = pair_open(p, 2, TARGET);
	assert_non_null(g);
	p->now += CV_SEC(1);
	cv_flow_touch(t, f, p->now);
	assert_ptr_equal(cv_flows_oldest(t), g);
	p->now += CV_SEC(1);
	cv_flow_touch(t, g, p->now);
	assert_ptr_equal(cv_flows_oldest(t), f);
	p->now += CV_SEC(10);
	assert_non_null(pair_open(p, 3, TARGET));
	assert_int_equal(t->count, 2);
	assert_int_equal(p->side[B].edge.closes, 1);
	/* one that stands ends with its edge */
	cv_node_close_edge(n, &p->side[A].edge.edge, NULL, p->now);
	cv_flow_stand(t, open_local(p, &p->side[B].edge.edge));
	cv_node_close_edge(n, &p->side[B].edge.edge, NULL, p->now);
	assert_int_equal(t->count, 0);
	pair_free(p);
}

static void test_backlog_of_edges(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	assert_true(cv_node_drained(&p->side[A].node));
	p->side[A].node.backlog = 1;
	assert_false(cv_node_drained(&p->side[A].node));
	p->side[A].node.backlog = 0;
	pair_free(p);
}

static void test_forged_data(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_buf *b = NULL;
	(void)state;
	pair_up(p);
	p->user = &b;
	p->tap = record;
	pair_say(p, pair_open(p, 1, TARGET), 40);
	pair_settle(p);
	assert_non_null(b);
	for (size_t bit = 0; bit < 8 * b->len; bit++) {
		uint8_t bad[400];
		assert_true(b->len <= sizeof bad);
		memcpy(bad, b->data, b->len);
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int drop = input(p, B, bad, b->len);
		if (bit >= 64) /* what is not in the type and the index */
			assert_true(drop == CV_DROP_FORGED ||
				    drop == CV_DROP_REPLAYED);
		if (bit >= 128)
			assert_int_equal(drop, CV_DROP_FORGED);
		assert_int_not_equal(drop, 0);
	}
	assert_int_equal(input(p, B, b->data, b->len), CV_DROP_REPLAYED);
	for (size_t len = 0; len < b->len; len++)
		assert_int_equal(input(p, B, b->data, len),
			len < CV_DATA_HEAD + CV_TAG ? CV_DROP_MALFORMED
						    : CV_DROP_FORGED);
	assert_int_equal(p->side[B].edge.dgrams, 1);
	assert_true(cv_session_up(p->side[B].s));
	free(b);
	pair_free(p);
}

/* keys have numbers that are never used */
static void test_last_numbers(void **state)
{
	struct pair *p = pair_new(true);
	uint8_t ping[25] = { 0 };
	(void)state;
	pair_up(p);
	cv_head_put(ping, CV_PACKET_PLAIN_DATA, p->side[A].s->cur->remote);
	ping[16] = CV_FRAME_PING;
	cv_put64(ping + 8, CV_REJECT_AFTER_MESSAGES);
	assert_int_equal(input(p, B, ping, sizeof ping), CV_DROP_REPLAYED);
	cv_put64(ping + 8, UINT64_MAX);
	assert_int_equal(input(p, B, ping, sizeof ping), CV_DROP_REPLAYED);
	cv_put64(ping + 8, 20);
	assert_int_equal(input(p, B, ping, sizeof ping), 0);
	pair_free(p);
}

static void garbage(bool plain)
{
	struct pair *p = pair_new(plain);
	static const uint8_t type[] = { 1, 2, 3, 4, 0x11, 0x12, 0x14 };
	struct side *b = &p->side[B];
	pair_up(p);
	struct cv_keys *cur = p->side[A].s->cur;
	uint64_t packets = b->node.stats.rx_packets, drops = 0;
	for (int i = 0; i < 50000; i++) {
		uint8_t bytes[256];
		size_t len = rnd_below(&p->seed, sizeof bytes);
		rnd_fill(&p->seed, bytes, sizeof bytes);
		if (i % 2)
			bytes[0] = type[rnd_below(&p->seed, sizeof type)];
		if (i % 3 == 0) /* an index that there is */
			cv_put64(bytes, (uint64_t)bytes[0] << 56 | cur->remote);
		drops += input(p, B, bytes, len) != 0;
	}
	assert_int_equal(b->node.stats.rx_packets - packets, 50000);
	assert_int_equal(pair_drops(p, B), drops);
	if (!plain)
		assert_int_equal(drops, 50000);
	pair_free(p);
}

static void test_garbage(void **state)
{
	(void)state;
	garbage(false);
	garbage(true);
}

static void test_plain_and_sealed_data(void **state)
{
	(void)state;
	for (int plain = 0; plain < 2; plain++) {
		struct pair *p = pair_new(plain);
		uint8_t bytes[64] = { 0 };
		pair_up(p);
		bytes[0] = plain ? CV_PACKET_DATA : CV_PACKET_PLAIN_DATA;
		assert_int_equal(
			input(p, B, bytes, sizeof bytes), CV_DROP_PLAIN);
		bytes[0] =
			plain ? CV_PACKET_RESPONSE : CV_PACKET_PLAIN_RESPONSE;
		assert_int_equal(
			input(p, B, bytes, sizeof bytes), CV_DROP_PLAIN);
		pair_free(p);
	}
}

/* --- output, indices, memory --- */

static void test_output_is_bounded(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_node *a = &p->side[A].node;
	struct cv_bufq out = { 0 };
	(void)state;
	struct wire *w = pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	pair_block(&w->end[A]);
	for (int i = 0; i < 200; i++) {
		pair_say(p, f, 20000);
		p->now += 20;
	}
	cv_node_output(a, &w->end[A].link, &out, 100000, p->now);
	assert_in_range(out.bytes, 100000, 100000 + CV_PACKET_MAX);
	cv_bufq_clear(&out, &a->pool);
	cv_node_output(a, &w->end[A].link, &out, SIZE_MAX, p->now);
	assert_true(out.count <= CV_OUT_BUFS);
	cv_bufq_clear(&out, &a->pool);
	pair_free(p);
}

static void test_indices(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_node *a = &p->side[A].node;
	(void)state;
	a->server = 0xabcd;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(cv_node_new_index(a) >> 40, 0xabcd);
	/* one that is taken is not given out again */
	struct cv_hnode taken;
	uint64_t seed = p->side[A].mem.seed, index = cv_node_new_index(a);
	cv_htab_add(&a->by_index, &taken, index);
	p->side[A].mem.seed = seed;
	assert_int_not_equal(cv_node_new_index(a), index);
	cv_htab_del(&a->by_index, &taken);
	pair_free(p);
}

static void test_find(void **state)
{
	struct pair *p = pair_new(false);
	struct side *a = &p->side[A];
	uint8_t pub[CV_KEY];
	(void)state;
	assert_ptr_equal(cv_node_find(&a->node, a->s->pub), a->s);
	memcpy(pub, a->s->pub, CV_KEY);
	pub[31] ^= 1;
	assert_null(cv_node_find(&a->node, pub));
	pair_free(p);
}

/* buffers that a burst needed are given back, a part every ten seconds */
static void test_trim(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_node *a = &p->side[A].node;
	(void)state;
	struct wire *w = pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	pair_block(&w->end[A]);
	for (int i = 0; i < 100; i++)
		pair_say(p, f, 60000);
	assert_true(a->pool.bytes > 5000000);
	pair_unblock(&w->end[A]);
	pair_settle(p);
	pair_run(p, p->now + 3 * CV_TRIM + CV_SEC(25));
	assert_true(a->pool.bytes < 100000);
	pair_free(p);
}

static void test_log(void **state)
{
	struct pair *p = pair_new(false);
	char big[1000];
	(void)state;
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	cv_log(&p->side[A].node, CULVERT_INFO, "n=%d %s", 5, big);
	assert_int_equal(strlen(p->side[A].mem.line), 599);
	assert_memory_equal(p->side[A].mem.line, "n=5 xxx", 7);
	/* a session that is up says so once, not at every rekey */
	pair_up(p);
	assert_string_equal(p->side[A].mem.line,
		"msg=\"peer up\" peer=b link=wire://127.0.0.1:1001");
	unsigned lines = p->side[A].mem.lines;
	pair_run(p, p->now + CV_SEC(500));
	assert_int_equal(p->side[A].mem.lines, lines);
	pair_free(p);
}

/* --- two ports on one socket --- */

static void test_expects(void **state)
{
	struct net *n = net_new(false);
	struct cv_node *a = &n->p->side[A].node, *b = &n->p->side[B].node;
	struct cv_link *of[2] = { &n->port[A].link, &n->port[B].link };
	struct cv_link other = { 0 };
	const uint8_t ping = CV_FRAME_PING;
	uint8_t packet[2000];
	(void)state;
	net_dial(n);
	net_settle(n);
	struct parcel *x = n->first;
	assert_int_equal(x->data[0], CV_PACKET_INIT);
	assert_false(cv_node_expects(b, of[B], x->data, x->len));
	while (x->to != A) {
		net_run(n, n->p->now + CV_MS(1));
		x = n->first;
	}
	assert_int_equal(x->data[0], CV_PACKET_RESPONSE);
	assert_true(cv_node_expects(a, of[A], x->data, x->len));
	assert_false(cv_node_expects(a, &other, x->data, x->len));
	net_run(n, n->p->now + CV_SEC(1));
	size_t len = net_seal(n, A, &ping, 1, packet);
	assert_true(cv_node_expects(b, of[B], packet, len));
	assert_false(cv_node_expects(b, &other, packet, len));
	assert_false(cv_node_expects(b, of[B], packet, CV_DATA_HEAD - 1));
	packet[7] ^= 1;
	assert_false(cv_node_expects(b, of[B], packet, len));
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init_without_memory),
		cmocka_unit_test(test_expects),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_limit_of_a_source),
		cmocka_unit_test(test_limit_of_a_peer),
		cmocka_unit_test(test_edge_that_is_full),
		cmocka_unit_test(test_pinned_never_gives_way),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_idle_both_ways),
		cmocka_unit_test(test_local_flow),
		cmocka_unit_test(test_far_edge),
		cmocka_unit_test(test_far_edge_refuses),
		cmocka_unit_test(test_standing),
		cmocka_unit_test(test_backlog_of_edges),
		cmocka_unit_test(test_forged_data),
		cmocka_unit_test(test_last_numbers),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_plain_and_sealed_data),
		cmocka_unit_test(test_output_is_bounded),
		cmocka_unit_test(test_indices),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
