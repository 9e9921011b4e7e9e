/* SPDX-License-Identifier: MIT */
/* test_session.c - links come and go, silence, restarts; protocol.md, 6 */
#include "unit/check.h"
#include "unit/pair.h"

#define TARGET "udp://127.0.0.1:5"

static bool lose_all(struct pair *p, struct end *to, uint8_t *data, size_t len)
{
	(void)p;
	(void)to;
	(void)data;
	(void)len;
	return false;
}

static void test_dials_when_wanted(void **state)
{
	struct pair *p = pair_new(false);
	struct side *a = &p->side[A];
	(void)state;
	assert_int_equal(a->dials, 0);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	assert_int_equal(pair_say(p, f, 10), 1);
	assert_int_equal(a->dials, 1);
	struct wire *w = pair_up(p);
	assert_int_equal(p->side[B].edge.dgrams, 1);
	assert_int_equal(pair_say(p, f, 10), 0);
	assert_int_equal(a->dials, 1);
	/* a lost link is wanted back at once */
	pair_run(p, p->now + CV_LINK_YOUNG);
	pair_cut(p, w);
	assert_int_equal(a->dials, 2);
	assert_int_equal(p->side[B].dials, 0); /* B has no endpoint */
	assert_int_equal(a->s->path->failures, 0);
	pair_free(p);
}

static void test_draining_dials_no_more(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	struct wire *w = pair_up(p);
	cv_node_drain(&p->side[A].node);
	pair_cut(p, w);
	assert_int_equal(p->side[A].dials, 0);
	pair_free(p);
}

static void test_rtt(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	p->delay = CV_MS(30);
	struct wire *w = pair_wire(p, p->side[A].s);
	pair_run(p, p->now + CV_MS(100));
	assert_true(cv_session_up(p->side[A].s));
	assert_int_equal(p->side[A].s->path->rtt, CV_MS(60));
	p->delay = CV_MS(5);
	pair_run(p, p->now + CV_HEARTBEAT + CV_SEC(1));
	/* B's PING was earlier, and spared A its own */
	assert_int_equal(p->side[B].s->path->rtt, CV_MS(10));
	pair_cut(p, w);
	assert_int_equal(p->side[A].s->path->rtt, 0);
	pair_free(p);
}

/* PING after 20 s of silence, and every 20 s of it */
static void test_heartbeat(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	struct wire *w = pair_up(p);
	uint64_t tx = p->side[A].node.stats.tx_packets;
	pair_run(p, p->now + CV_HEARTBEAT - CV_MS(1));
	assert_int_equal(p->side[A].node.stats.tx_packets, tx);
	pair_run(p, p->now + CV_MS(2));
	assert_true(p->side[A].node.stats.tx_packets > tx);
	pair_run(p, p->now + CV_SEC(100));
	assert_true(w->end[A].open && w->end[B].open);
	pair_free(p);
}

/* traffic in one direction is answered by nothing, but heard at the far end */
static void test_silent_peer_is_given_up(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	struct wire *w = pair_up(p);
	cv_time began = p->now;
	p->tap = lose_all;
	pair_run(p, began + CV_DEAD - CV_MS(1));
	assert_true(w->end[A].open && w->end[B].open);
	pair_run(p, began + CV_DEAD + CV_MS(1));
	for (int i = 0; i < 2; i++) {
		assert_false(w->end[i].open);
		assert_null(p->side[i].s->path->link);
	}
	assert_string_equal(w->end[A].why, "the peer fell silent");
	assert_int_equal(p->side[A].dials, 1);
	/* the same keys on a new link: only after a new handshake */
	p->tap = NULL;
	pair_up(p);
	assert_int_equal(p->side[A].node.stats.handshakes, 2);
	pair_free(p);
}

static void test_moves_to_a_new_link(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	struct wire *old = pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	pair_say(p, f, 10);
	pair_settle(p);
	/* A dials again, from elsewhere, while B still has the old link */
	pair_run(p, p->now + CV_LINK_YOUNG);
	struct wire *w = pair_wire(p, p->side[A].s);
	pair_settle(p);
	assert_true(w->end[A].open && w->end[B].open);
	assert_false(old->end[A].open || old->end[B].open);
	assert_non_null(strstr(old->end[A].why, "another link"));
	assert_null(strstr(p->side[A].mem.line, "two nodes"));
	assert_ptr_equal(p->side[B].s->path->link, &w->end[B].link);
	pair_say(p, f, 11);
	pair_settle(p);
	assert_int_equal(p->side[B].edge.dgrams, 2);
	assert_int_equal(p->side[B].edge.opens, 1);
	/* and back to A, over the new one */
	pair_send(p, p->side[B].edge.last, "x", 1, 1);
	pair_settle(p);
	assert_int_equal(p->side[A].edge.dgrams, 1);
	assert_int_equal(pair_drops(p, A) + pair_drops(p, B), 0);
	pair_free(p);
}

/* two that take the session from each other all the time are named */
static void test_one_key_for_two(void **state)
{
	(void)state;
	for (cv_time age = CV_LINK_YOUNG - 1; age <= CV_LINK_YOUNG; age++) {
		struct pair *p = pair_new(false);
		struct wire *old = pair_up(p);
		unsigned lines = p->side[B].mem.lines;
		p->now += age;
		struct wire *w = pair_wire(p, p->side[A].s);
		old->end[B].closing = false; /* it is not the one that moved */
		pair_settle(p);
		assert_ptr_equal(p->side[B].s->path->link, &w->end[B].link);
		/* "peer up", and a warning in front of it */
		assert_int_equal(p->side[B].mem.lines - lines,
			age < CV_LINK_YOUNG ? 2 : 1);
		pair_free(p);
	}
}

/* an unanswered link takes the session nowhere */
static void test_link_that_fails_at_once(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	for (unsigned i = 1; i < 5; i++) {
		p->tap = lose_all;
		struct wire *w = pair_wire(p, p->side[A].s);
		pair_run(p, p->now + CV_MS(10));
		pair_cut(p, w);
		assert_int_equal(p->side[A].s->path->failures, i);
		assert_int_equal(p->side[A].dials, i);
	}
	p->tap = NULL;
	struct wire *w = pair_up(p);
	pair_run(p, p->now + CV_LINK_YOUNG - 1);
	pair_cut(p, w); /* it came up, but did not last */
	assert_int_equal(p->side[A].s->path->failures, CV_YOUNG_FAILURES);
	w = pair_up(p);
	pair_run(p, p->now + CV_LINK_YOUNG);
	pair_cut(p, w);
	assert_int_equal(p->side[A].s->path->failures, 0);
	pair_free(p);
}

/* what was to be said on a lost link is not said on the next one */
static void test_stale_control(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_frame reset = { .type = CV_FRAME_RESET, .flow = 2 };
	(void)state;
	struct wire *w = pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	pair_say(p, f, 10);
	pair_settle(p);
	pair_block(&w->end[A]);
	cv_session_control(p->side[A].s, &reset, p->now);
	pair_cut(p, w);
	p->now += CV_MS(1);
	pair_up(p);
	assert_int_equal(p->side[B].node.flows.count, 1);
	pair_free(p);
}

static void test_goodbye(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	struct wire *w = pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	pair_say(p, f, 10);
	pair_settle(p);
	struct cv_end *back = p->side[B].edge.last;
	/* CLOSE goes behind what is queued */
	pair_send(p, back, "x", 1, 1);
	cv_node_drain(&p->side[B].node);
	assert_false(cv_node_drained(&p->side[B].node));
	pair_send(p, back, "y", 1, 1);
	pair_settle(p);
	assert_true(cv_node_drained(&p->side[B].node));
	assert_int_equal(p->side[A].edge.dgrams, 1);
	assert_int_equal(pair_drop(p, B, CV_DROP_NO_SESSION), 1);
	assert_string_equal(w->end[A].why, "the peer said goodbye");
	assert_false(w->end[B].open);
	/* the session lives: A dials again and its flow is still there */
	assert_int_equal(p->side[A].dials, 1);
	assert_int_equal(p->side[A].node.flows.count, 1);
	pair_free(p);
}

static void test_drained_waits_for_a_blocked_link(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	struct wire *w = pair_up(p);
	pair_block(&w->end[A]);
	assert_false(cv_node_drained(&p->side[A].node));
	pair_unblock(&w->end[A]);
	pair_settle(p);
	assert_true(cv_node_drained(&p->side[A].node));
	pair_free(p);
}

/* --- sessions that are not configured (plain mode) --- */

static void plain_init(struct pair *p, struct wire *w, uint8_t who, int drop)
{
	uint8_t init[CV_PLAIN_INIT_SIZE] = { 0 };
	struct cv_hello h = { .version = 1, .instance = 1 };
	cv_head_put(init, CV_PACKET_PLAIN_INIT, 100u + who);
	memset(init + 8, who, CV_KEY);
	cv_hello_put(init + 8 + CV_KEY, &h);
	assert_int_equal(cv_node_input(&p->side[B].node, &w->end[B].link, init,
				 sizeof init, p->now),
		drop);
}

static void test_plain_session_goes_when_idle(void **state)
{
	struct pair *p = pair_new(true);
	struct cv_node *b = &p->side[B].node;
	(void)state;
	struct wire *w = pair_up(p);
	assert_int_equal(b->nsessions, 1);
	pair_say(p, pair_open(p, 1, TARGET), 10);
	pair_settle(p);
	assert_int_equal(b->flows.count, 1);
	pair_cut(p, w);
	pair_run(p, p->now + CV_FLOW_IDLE - CV_SEC(1));
	assert_int_equal(b->nsessions, 1);
	pair_run(p, p->now + CV_SEC(2));
	assert_int_equal(b->nsessions, 0);
	assert_int_equal(b->flows.count, 0);
	pair_free(p);
}

/* who only says hello is forgotten too: the table must not fill for good */
static void test_plain_session_that_never_speaks(void **state)
{
	struct pair *p = pair_new(true);
	struct cv_node *b = &p->side[B].node;
	(void)state;
	for (uint8_t who = 1; who < 100; who++) {
		struct wire *w = pair_wire(p, NULL);
		plain_init(p, w, who, 0);
		pair_cut(p, w);
	}
	assert_int_equal(b->nsessions, 99);
	pair_run(p, p->now + CV_FLOW_IDLE + CV_SEC(1));
	assert_int_equal(b->nsessions, 0);
	pair_free(p);
}

/* the one that was silent longest gives way, but none that is connected */
static void test_plain_gives_way(void **state)
{
	struct pair *p = pair_new(true);
	struct cv_node *b = &p->side[B].node;
	uint8_t id[CV_KEY];
	(void)state;
	pair_up(p);
	for (uint8_t who = 1; who < 4; who++) {
		plain_init(p, pair_wire(p, NULL), who, 0);
		p->now += CV_SEC(1);
	}
	while (b->nsessions < CV_PLAIN_MAX) {
		rnd_fill(&p->seed, id, sizeof id);
		assert_non_null(cv_session_new(b, id, true));
	}
	for (uint8_t who = 1; who < 4; who++) {
		memset(id, who, sizeof id);
		assert_non_null(cv_node_find(b, id));
		plain_init(p, pair_wire(p, NULL), (uint8_t)(100 + who), 0);
		assert_int_equal(b->nsessions, CV_PLAIN_MAX);
		assert_null(cv_node_find(b, id));
		pair_cut(p, &p->wire[1]);
		p->now += CV_SEC(1);
	}
	assert_non_null(cv_node_find(b, p->side[A].node.pub));
	pair_free(p);
}

static void test_plain_limit(void **state)
{
	struct pair *p = pair_new(true);
	struct cv_node *b = &p->side[B].node;
	uint8_t id[CV_KEY];
	(void)state;
	while (b->nsessions < CV_PLAIN_MAX) {
		rnd_fill(&p->seed, id, sizeof id);
		assert_non_null(cv_session_new(b, id, true));
	}
	/* configured ones do not give way */
	plain_init(p, pair_wire(p, NULL), 1, CV_DROP_NO_BUFFER);
	assert_int_equal(b->nsessions, CV_PLAIN_MAX);
	while (b->nsessions < CV_SESSIONS_MAX) {
		rnd_fill(&p->seed, id, sizeof id);
		assert_non_null(cv_session_new(b, id, true));
	}
	assert_null(cv_session_new(b, id, true));
	pair_free(p);
}

/* --- a static mapping outlives its peer by as much as any flow --- */

static void test_pinned_of_a_peer_that_is_gone(void **state)
{
	(void)state;
	for (unsigned pinned = 0; pinned < 3; pinned++) {
		struct pair *p = pair_new(false);
		struct cv_node *b = &p->side[B].node;
		struct wire *w = pair_up(p);
		for (unsigned i = 0; i < 3; i++) {
			struct cv_flow *f = pair_open(p, i, TARGET);
			pair_say(p, f, 10);
			pair_settle(p);
			if (i != pinned)
				continue;
			cv_flow_pin(&p->side[A].node, f);
			cv_flow_pin(&p->side[B].node,
				cv_end_flow(p->side[B].edge.last));
		}
		for (int k = 0; k < 5; k++) {
			pair_run(p, p->now + CV_SEC(100));
			for (unsigned i = 0; i < 3; i++) {
				if (i != pinned)
					pair_say(
						p, pair_open(p, i, TARGET), 10);
			}
			pair_settle(p);
		}
		assert_int_equal(b->flows.count, 3); /* while it is there */
		pair_cut(p, w);
		p->side[A].s->dials = false;
		pair_run(p, p->now + CV_FLOW_IDLE - CV_SEC(10));
		assert_true(b->flows.count > 0);
		pair_run(p, p->now + CV_SEC(20));
		assert_int_equal(b->flows.count, 0);
		pair_free(p);
	}
}

/* --- two peers on one link --- */

static int data_of(struct pair *p, struct wire *w, struct cv_session *s)
{
	struct cv_keys *k = s->next ? s->next : s->cur;
	uint8_t ping[16 + 9] = { 0 };
	cv_head_put(ping, CV_PACKET_PLAIN_DATA, k->index);
	cv_put64(ping + 8, k->replay.max);
	ping[16] = CV_FRAME_PING;
	return cv_node_input(
		&p->side[B].node, &w->end[B].link, ping, sizeof ping, p->now);
}

static void test_two_sessions_on_one_link(void **state)
{
	struct pair *p = pair_new(true);
	struct cv_node *b = &p->side[B].node;
	uint8_t id[CV_KEY];
	(void)state;
	struct wire *w = pair_wire(p, NULL);
	plain_init(p, w, 1, 0);
	p->now += CV_INIT_INTERVAL;
	plain_init(p, w, 2, 0);
	struct cv_session *s[3] = { NULL };
	for (uint8_t who = 1; who < 3; who++) {
		memset(id, who, sizeof id);
		s[who] = cv_node_find(b, id);
		assert_non_null(s[who]);
	}
	assert_int_equal(data_of(p, w, s[1]), 0);
	assert_ptr_equal(s[1]->path->link, &w->end[B].link);
	/* the link is the first one's */
	assert_int_equal(data_of(p, w, s[2]), CV_DROP_STRANGER);
	p->now += CV_INIT_INTERVAL;
	plain_init(p, w, 2, CV_DROP_STRANGER);
	assert_null(s[2]->path->link);
	pair_cut(p, w);
	/* nobody remembers a link that is gone */
	assert_null(s[1]->path->link);
	assert_null(s[2]->path->link);
	pair_run(p, p->now + CV_SEC(60));
	pair_free(p);
}

/* --- out of memory --- */

static void test_rekey_without_memory_does_not_spin(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_node *a = &p->side[A].node;
	(void)state;
	pair_up(p);
	pair_run(p, p->now + CV_REKEY_AFTER_TIME - CV_SEC(1));
	/* no buffer is to be had, neither a free nor a new one */
	cv_pool_clear(&a->pool);
	p->side[A].mem.fail_all = true;
	cv_time end = p->now + CV_SEC(10);
	unsigned turns = 0;
	while (cv_node_deadline(a) < end) {
		if (cv_node_deadline(a) > p->now)
			p->now = cv_node_deadline(a);
		cv_node_tick(a, p->now);
		assert_true(++turns < 1000);
	}
	p->side[A].mem.fail_all = false;
	pair_run(p, p->now + CV_SEC(2));
	assert_int_equal(a->stats.handshakes, 2);
	pair_free(p);
}

static void test_new_without_memory(void **state)
{
	struct pair *p = pair_new(false);
	struct side *x = &p->side[A];
	uint8_t id[CV_KEY] = { 1 };
	(void)state;
	x->mem.fail_all = true;
	assert_null(cv_session_new(&x->node, id, false));
	assert_int_equal(x->node.nsessions, 1);
	assert_null(cv_node_find(&x->node, id));
	/* a link on which no handshake can be begun is given up */
	cv_pool_clear(&x->node.pool);
	struct wire *w = pair_wire(p, x->s);
	pair_run(p, p->now + CV_HANDSHAKE_TIMEOUT + CV_SEC(1));
	assert_false(w->end[A].open);
	x->mem.fail_all = false;
	pair_up(p);
	pair_free(p);
}

/* --- the end of a session --- */

static void note_resume(struct cv_waiter *w)
{
	w->resume = NULL;
}

static void test_end_of_a_session(void **state)
{
	struct pair *p = pair_new(false);
	struct side *a = &p->side[A];
	struct cv_waiter w = { .resume = note_resume };
	(void)state;
	struct wire *wire = pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	pair_block(&wire->end[A]);
	cv_list_init(&w.list);
	assert_int_equal(pair_say(p, f, 10), 1);
	cv_flow_wait(&f->end[0], &w);
	cv_session_free(a->s);
	a->s = NULL;
	/* its flows are closed, what waited is counted, who waited is told */
	assert_int_equal(a->edge.closes, 1);
	assert_int_equal(a->node.flows.count, 0);
	assert_int_equal(pair_drop(p, A, CV_DROP_LINK_LOST), 1);
	cv_node_flush(&a->node, p->now);
	assert_null(w.resume);
	assert_null(wire->end[A].link.session);
	pair_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dials_when_wanted),
		cmocka_unit_test(test_draining_dials_no_more),
		cmocka_unit_test(test_rtt),
		cmocka_unit_test(test_heartbeat),
		cmocka_unit_test(test_silent_peer_is_given_up),
		cmocka_unit_test(test_moves_to_a_new_link),
		cmocka_unit_test(test_one_key_for_two),
		cmocka_unit_test(test_link_that_fails_at_once),
		cmocka_unit_test(test_stale_control),
		cmocka_unit_test(test_goodbye),
		cmocka_unit_test(test_drained_waits_for_a_blocked_link),
		cmocka_unit_test(test_plain_session_goes_when_idle),
		cmocka_unit_test(test_plain_session_that_never_speaks),
		cmocka_unit_test(test_plain_gives_way),
		cmocka_unit_test(test_plain_limit),
		cmocka_unit_test(test_pinned_of_a_peer_that_is_gone),
		cmocka_unit_test(test_two_sessions_on_one_link),
		cmocka_unit_test(test_rekey_without_memory_does_not_spin),
		cmocka_unit_test(test_new_without_memory),
		cmocka_unit_test(test_end_of_a_session),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
