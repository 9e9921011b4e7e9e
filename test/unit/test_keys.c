/* SPDX-License-Identifier: MIT */
/* test_keys.c - current, previous and next keys; rekeying by time and count */
#include "unit/check.h"
#include "unit/pair.h"

static void test_usable(void **state)
{
	struct cv_session s = { .number = 0 };
	struct cv_keys k = { .session = &s, .born = CV_SEC(10) };
	(void)state;
	assert_false(cv_keys_usable(NULL, 0));
	assert_true(cv_keys_usable(&k, CV_SEC(10)));
	assert_true(cv_keys_usable(&k, CV_SEC(10) + CV_REJECT_AFTER_TIME - 1));
	assert_false(cv_keys_usable(&k, CV_SEC(10) + CV_REJECT_AFTER_TIME));
	s.number = CV_REJECT_AFTER_MESSAGES - 1;
	assert_true(cv_keys_usable(&k, CV_SEC(10)));
	s.number++;
	assert_false(cv_keys_usable(&k, CV_SEC(10)));
}

static void test_drop_of_none(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	cv_keys_drop(p->side[A].s, &p->side[A].s->prev);
	assert_null(p->side[A].s->prev);
	pair_free(p);
}

/* new keys every two minutes, the old ones for another */
static void test_rekey_by_time(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	struct wire *w = pair_up(p);
	cv_time began = p->now;
	uint64_t first = p->side[A].s->cur->index;
	pair_run(p, began + CV_REKEY_AFTER_TIME - CV_MS(1));
	assert_int_equal(p->side[A].node.stats.handshakes, 1);
	pair_run(p, began + CV_REKEY_AFTER_TIME);
	for (int i = 0; i < 2; i++) {
		struct cv_session *s = p->side[i].s;
		assert_int_equal(p->side[i].node.stats.handshakes, 2);
		assert_non_null(s->prev);
		assert_null(s->next);
		assert_int_equal(s->cur->born, p->now);
		assert_int_equal(s->cur->remote, p->side[!i].s->cur->index);
	}
	assert_int_equal(p->side[A].s->prev->index, first);
	/* out of step with the heartbeats, so that keys have their own time */
	pair_run(p, p->now + CV_SEC(13));
	cv_session_control(p->side[A].s,
		&(struct cv_frame){ .type = CV_FRAME_PING }, p->now);
	pair_run(p, began + CV_REJECT_AFTER_TIME + CV_MS(1));
	for (int i = 0; i < 2; i++) {
		assert_null(p->side[i].s->prev);
		assert_int_equal(pair_drops(p, i), 0);
	}
	/* an hour of it */
	pair_run(p, began + CV_SEC(3600) - 1);
	assert_int_equal(p->side[A].node.stats.handshakes, 30);
	assert_true(w->end[A].open);
	assert_int_equal(pair_drops(p, A) + pair_drops(p, B), 0);
	pair_free(p);
}

static void test_rekey_by_count(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	pair_up(p);
	p->side[A].s->number = CV_REKEY_AFTER_MESSAGES;
	struct cv_flow *f = pair_open(p, 1, "udp://127.0.0.1:5");
	pair_say(p, f, 10);
	/* at the next turn of its timer, a heartbeat away at most */
	pair_run(p, p->now + CV_HEARTBEAT + CV_MS(1));
	assert_int_equal(p->side[A].node.stats.handshakes, 2);
	assert_true(p->side[A].s->number - p->side[A].s->cur->first < 1000);
	assert_int_equal(p->side[B].edge.dgrams, 1);
	pair_free(p);
}

/* keys that are used up send nothing */
static void test_reject_by_count(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	struct wire *w = pair_up(p);
	p->side[A].s->number = CV_REJECT_AFTER_MESSAGES;
	pair_say(p, pair_open(p, 1, "udp://127.0.0.1:5"), 10);
	pair_settle(p);
	assert_int_equal(p->side[B].edge.dgrams, 0);
	assert_null(w->end[A].out.head);
	pair_free(p);
}

static bool lose_handshakes(
	struct pair *p, struct end *to, uint8_t *data, size_t len)
{
	(void)p;
	(void)to;
	(void)len;
	return data[0] == CV_PACKET_DATA;
}

/* no answer to the rekey: asked again, and at 180 s nothing passes any more */
static void test_reject_by_time(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	pair_up(p);
	cv_time began = p->now;
	struct cv_flow *f = pair_open(p, 1, "udp://127.0.0.1:5");
	p->tap = lose_handshakes;
	pair_say(p, f, 10);
	pair_run(p, began + CV_REJECT_AFTER_TIME - CV_MS(1));
	pair_say(p, f, 10);
	pair_settle(p);
	assert_int_equal(p->side[B].edge.dgrams, 2);
	assert_true(p->side[A].s->hs_sent > began + CV_SEC(174));
	pair_run(p, began + CV_REJECT_AFTER_TIME);
	pair_say(p, f, 10);
	pair_settle(p);
	assert_int_equal(p->side[B].edge.dgrams, 2);
	/* the answer arrives after all: it goes on, with what is fresh */
	p->tap = NULL;
	pair_run(p, began + CV_REJECT_AFTER_TIME + CV_SEC(6));
	pair_say(p, f, 10);
	pair_settle(p);
	assert_int_equal(p->side[B].edge.dgrams, 3);
	assert_int_equal(pair_drops(p, A), 1); /* what waited is gone */
	pair_free(p);
}

struct one {
	uint8_t p[2048];
	size_t len;
	uint8_t type;
};

static bool catch_one(struct pair *p, struct end *to, uint8_t *data, size_t len)
{
	struct one *c = p->user;
	(void)to;
	if (data[0] != c->type || c->len || len > sizeof c->p)
		return true;
	memcpy(c->p, data, len);
	c->len = len;
	return false;
}

static int deliver(struct pair *p, int side, struct one *c)
{
	struct cv_link *l = &p->wire[0].end[side].link;
	uint8_t copy[2048];
	memcpy(copy, c->p, c->len);
	return cv_node_input(&p->side[side].node, l, copy, c->len, p->now);
}

/* what was under way during a rekey still opens, until its keys are old */
static void test_previous_keys(void **state)
{
	struct pair *p = pair_new(false);
	struct one c = { .type = CV_PACKET_DATA };
	(void)state;
	pair_up(p);
	cv_time began = p->now;
	struct cv_flow *f = pair_open(p, 1, "udp://127.0.0.1:5");
	pair_say(p, f, 10);
	pair_settle(p);
	p->tap = catch_one;
	p->user = &c;
	pair_say(p, f, 11);
	pair_settle(p);
	assert_true(c.len > 0);
	pair_run(p, began + CV_REKEY_AFTER_TIME + CV_SEC(1));
	assert_int_equal(p->side[B].edge.dgrams, 1);
	p->side[B].s->path->late.known = false; /* not what is tested here */
	assert_int_equal(deliver(p, B, &c), 0);
	assert_int_equal(p->side[B].edge.dgrams, 2);
	assert_int_equal(deliver(p, B, &c), CV_DROP_REPLAYED);
	pair_run(p, began + CV_REJECT_AFTER_TIME + CV_SEC(1));
	assert_int_equal(deliver(p, B, &c), CV_DROP_UNKNOWN_INDEX);
	pair_free(p);
}

/* the responder keeps to the old keys until the new ones were used */
static void test_next_keys_wait(void **state)
{
	struct pair *p = pair_new(false);
	struct one c = { .type = CV_PACKET_RESPONSE };
	(void)state;
	pair_up(p);
	struct cv_flow *f = pair_open(p, 1, "udp://127.0.0.1:5");
	pair_say(p, f, 10);
	pair_settle(p);
	uint64_t index = p->side[B].s->cur->index;
	p->tap = catch_one;
	p->user = &c;
	pair_run(p, p->now + CV_REKEY_AFTER_TIME + CV_MS(1));
	assert_true(c.len > 0);
	assert_non_null(p->side[B].s->next);
	assert_int_equal(p->side[B].s->cur->index, index);
	pair_send(p, p->side[B].edge.last, "x", 1, 1);
	pair_settle(p);
	assert_int_equal(p->side[A].edge.dgrams, 1);
	assert_int_equal(p->side[B].s->cur->index, index);
	/* the response, late: A confirms with its first packet */
	assert_int_equal(deliver(p, A, &c), 0);
	pair_settle(p);
	assert_null(p->side[B].s->next);
	assert_int_not_equal(p->side[B].s->cur->index, index);
	assert_int_equal(p->side[B].s->prev->index, index);
	assert_int_equal(pair_drops(p, A) + pair_drops(p, B), 0);
	pair_free(p);
}

/* a second initiation replaces keys that were never used */
static void test_next_keys_replaced(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	pair_up(p);
	size_t blocks = p->side[B].mem.blocks;
	struct one c = { .type = CV_PACKET_RESPONSE };
	p->tap = catch_one;
	p->user = &c;
	for (int i = 0; i < 3; i++) {
		c.len = 0;
		p->now += CV_INIT_INTERVAL;
		assert_int_equal(cv_handshake_start(p->side[A].s,
					 p->side[A].s->path, p->now),
			0);
		pair_settle(p);
		assert_int_equal(p->side[B].mem.blocks, blocks + 1);
	}
	assert_int_equal(p->side[B].node.stats.handshakes, 4);
	pair_free(p);
}

/* --- a restarted peer is another instance --- */

static void test_restarted_responder(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	pair_up(p);
	struct cv_flow *f = pair_open(p, 1, "udp://127.0.0.1:5");
	pair_say(p, f, 10);
	pair_settle(p);
	assert_int_equal(f->state, CV_FLOW_OPEN);
	pair_restart(p, B);
	assert_true(p->side[A].dials > 0);
	p->now += CV_SEC(1);
	pair_up(p);
	/* it is opened again, before its next datagram arrives */
	assert_int_equal(f->state, CV_FLOW_OPENING);
	pair_say(p, f, 10);
	pair_settle(p);
	assert_int_equal(f->state, CV_FLOW_OPEN);
	assert_int_equal(p->side[B].edge.opens, 1);
	assert_int_equal(p->side[B].edge.dgrams, 1);
	assert_int_equal(pair_drops(p, A) + pair_drops(p, B), 0);
	pair_free(p);
}

static void test_restarted_initiator(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	pair_up(p);
	for (unsigned i = 0; i < 3; i++)
		pair_say(p, pair_open(p, i, "udp://127.0.0.1:5"), 10);
	pair_settle(p);
	assert_int_equal(p->side[B].node.flows.count, 3);
	pair_restart(p, A);
	p->now += CV_SEC(1);
	assert_int_equal(p->side[B].node.flows.count, 3);
	struct cv_end *old = p->side[B].edge.last;
	pair_up(p);
	/* nobody will use them any more; they end at the next tick */
	assert_int_equal(pair_send(p, old, "x", 1, 1), 0);
	assert_int_equal(pair_drop(p, B, CV_DROP_UNKNOWN_FLOW), 1);
	pair_run(p, p->now + 1);
	assert_int_equal(p->side[B].node.flows.count, 0);
	assert_int_equal(p->side[B].edge.closes, 3);
	pair_free(p);
}

/* many of them end a few at a time, and meanwhile new ones are opened */
static void test_many_orphans(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_node *b = &p->side[B].node;
	enum { MANY = 5 * CV_CLOSES_TURN };
	(void)state;
	pair_up(p);
	for (unsigned i = 0; i < MANY; i++)
		pair_say(p, pair_open(p, i, "udp://127.0.0.1:5"), 10);
	pair_settle(p);
	assert_int_equal(b->flows.count, MANY);
	pair_restart(p, A);
	p->now += CV_SEC(1);
	pair_up(p);
	pair_say(p, pair_open(p, 1, "udp://127.0.0.1:5"), 10);
	pair_settle(p);
	assert_int_equal(p->side[B].edge.dgrams, MANY + 1);
	for (unsigned left = MANY; left; left -= CV_CLOSES_TURN) {
		assert_int_equal(b->flows.count, left + 1);
		assert_true(cv_node_deadline(b) <= p->now);
		cv_node_tick(b, p->now);
	}
	assert_int_equal(b->flows.count, 1);
	assert_true(cv_node_deadline(b) > p->now);
	/* those left over when the node ends are not forgotten either */
	pair_restart(p, A);
	p->now += CV_SEC(1);
	pair_up(p);
	pair_free(p);
}

static void test_same_instance_keeps_flows(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	struct wire *w = pair_up(p);
	struct cv_flow *f = pair_open(p, 1, "udp://127.0.0.1:5");
	pair_say(p, f, 10);
	pair_settle(p);
	pair_cut(p, w);
	p->now += CV_SEC(1);
	pair_up(p);
	assert_int_equal(f->state, CV_FLOW_OPEN);
	assert_int_equal(p->side[B].node.flows.count, 1);
	pair_say(p, f, 10);
	pair_settle(p);
	assert_int_equal(p->side[B].edge.opens, 1);
	assert_int_equal(p->side[B].edge.dgrams, 2);
	pair_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usable),
		cmocka_unit_test(test_drop_of_none),
		cmocka_unit_test(test_rekey_by_time),
		cmocka_unit_test(test_rekey_by_count),
		cmocka_unit_test(test_reject_by_count),
		cmocka_unit_test(test_reject_by_time),
		cmocka_unit_test(test_previous_keys),
		cmocka_unit_test(test_next_keys_wait),
		cmocka_unit_test(test_next_keys_replaced),
		cmocka_unit_test(test_restarted_responder),
		cmocka_unit_test(test_restarted_initiator),
		cmocka_unit_test(test_many_orphans),
		cmocka_unit_test(test_same_instance_keeps_flows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
