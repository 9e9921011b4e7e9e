/* SPDX-License-Identifier: MIT */
/* test_path.c - several links of one session; protocol.md, section 6 */
#include "unit/check.h"
#include "unit/pair.h"

#define TARGET "udp://127.0.0.1:5"

enum { LINKS = 4 };

/** struct four - a session with four links, and what goes over each */
struct four {
	struct pair *p;
	struct wire *wire[LINKS];
	unsigned packets[WIRES]; /* to B */
	const struct wire *lost; /* nothing arrives over it */
};

static bool note(struct pair *p, struct end *to, uint8_t *data, size_t len)
{
	struct four *f = p->user;
	struct wire *w =
		(struct wire *)(void *)(to - (to->side == &p->side[B]));
	(void)data;
	(void)len;
	f->packets[w - p->wire] += to->side == &p->side[B];
	return w != f->lost;
}

static unsigned over(const struct four *f, unsigned i)
{
	return f->packets[f->wire[i] - f->p->wire];
}

static struct cv_session *theirs(const struct four *f)
{
	return cv_node_find(&f->p->side[B].node, f->p->side[A].node.pub);
}

static void expect_links(const struct four *f, unsigned n)
{
	assert_int_equal(f->p->side[A].s->ready, n);
	assert_int_equal(theirs(f)->ready, n);
	assert_int_equal(f->p->side[A].s->links, n);
	assert_int_equal(theirs(f)->links, n);
}

static void join(struct four *f, unsigned i)
{
	f->wire[i] = pair_join(f->p, f->p->side[A].s, i);
	pair_settle(f->p);
}

static struct four four_new(bool plain)
{
	struct four f = { .p = pair_new(plain) };
	f.p->side[A].s->allowed = LINKS;
	f.wire[0] = pair_up(f.p);
	for (unsigned i = 1; i < LINKS; i++)
		join(&f, i);
	expect_links(&f, LINKS);
	pair_run(f.p, f.p->now + CV_LINK_YOUNG);
	return f;
}

/* from here on packets are noted; @f stays where it is */
static void watch(struct four *f)
{
	f->p->user = f;
	f->p->tap = note;
	memset(f->packets, 0, sizeof f->packets);
}

static struct cv_flow *open_flow(struct four *f)
{
	struct cv_flow *flow = pair_open(f->p, 1, TARGET);
	pair_say(f->p, flow, 10);
	pair_settle(f->p);
	assert_int_equal(flow->state, CV_FLOW_OPEN);
	f->p->side[B].edge.dgrams = 0;
	return flow;
}

static void say(struct four *f, struct cv_flow *flow, unsigned n)
{
	while (n--) {
		f->p->now += CV_MS(2);
		pair_say(f->p, flow, 100);
		pair_settle(f->p);
	}
}

static uint64_t drops(const struct four *f)
{
	return pair_drops(f->p, A) + pair_drops(f->p, B);
}

static void test_joins(void **state)
{
	(void)state;
	for (int plain = 0; plain < 2; plain++) {
		struct four f = four_new(plain);
		struct side *a = &f.p->side[A];
		assert_int_equal(cv_session_wants(a->s), LINKS);
		assert_int_equal(a->node.stats.handshakes, 1);
		assert_int_equal(drops(&f), 0);
		/* the shell was asked for more as long as some were missing */
		assert_int_equal(a->dials, LINKS - 1);
		pair_free(f.p);
	}
}

/* the lesser number counts; who knows of none has one */
static void test_agrees_on_a_number(void **state)
{
	static const unsigned want[][3] = { { 4, 2, 2 }, { 2, 16, 2 },
		{ 4, 1, 1 }, { 1, 16, 1 } };
	(void)state;
	for (size_t i = 0; i < CV_COUNT(want); i++) {
		struct pair *p = pair_new(false);
		p->side[A].s->allowed = want[i][0];
		p->side[B].s->allowed = want[i][1];
		pair_up(p);
		assert_int_equal(cv_session_wants(p->side[A].s), want[i][2]);
		assert_int_equal(p->side[B].s->cur->links, want[i][2]);
		pair_free(p);
	}
}

static bool forget_links(struct pair *p, struct end *to, uint8_t *d, size_t len)
{
	(void)to;
	(void)p;
	if (d[0] == CV_PACKET_PLAIN_RESPONSE && len == CV_PLAIN_RESPONSE_SIZE)
		cv_put16(d + 16 + 2, 0);
	return true;
}

static void test_peer_that_knows_one_link(void **state)
{
	struct pair *p = pair_new(true);
	(void)state;
	p->side[A].s->allowed = LINKS;
	p->tap = forget_links;
	pair_up(p);
	assert_int_equal(cv_session_wants(p->side[A].s), 1);
	assert_int_equal(p->side[A].dials, 0);
	pair_free(p);
}

static void test_number_that_is_none(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	p->side[A].s->allowed = 2;
	pair_up(p);
	for (unsigned i = 2; i < CV_LINKS_SESSION; i += 13) {
		struct wire *w = pair_join(p, p->side[A].s, i);
		pair_settle(p);
		assert_false(w->end[B].link.trusted);
		pair_cut(p, w);
		p->side[A].s->doubt = false;
	}
	assert_int_equal(pair_drop(p, B, CV_DROP_MALFORMED), 2);
	assert_int_equal(p->side[B].s->ready, 1);
	pair_free(p);
}

static void test_spreads(void **state)
{
	struct four f = four_new(false);
	struct cv_flow *flow = open_flow(&f);
	(void)state;
	watch(&f);
	say(&f, flow, 40);
	for (unsigned i = 0; i < LINKS; i++)
		assert_in_range(over(&f, i), 9, 11);
	assert_int_equal(f.p->side[B].edge.dgrams, 40);
	assert_int_equal(drops(&f), 0);
	pair_free(f.p);
}

/* chunk by chunk, where there is more than one */
static void test_spreads_a_flood(void **state)
{
	struct four f = four_new(false);
	struct cv_flow *flow = open_flow(&f);
	(void)state;
	watch(&f);
	for (int i = 0; i < 400; i++)
		pair_say(f.p, flow, 1400);
	pair_settle(f.p);
	for (unsigned i = 0; i < LINKS; i++)
		assert_in_range(over(&f, i), 400 * 1400 / CV_CHUNK_SPREAD / 5,
			400 * 1400 / CV_CHUNK_SPREAD / 3);
	assert_int_equal(f.p->side[B].edge.dgrams, 400);
	pair_free(f.p);
}

/* until OPENED came, whatever link is lost: the others need nothing of it */
static void test_open_in_every_packet(void **state)
{
	(void)state;
	for (unsigned lost = 0; lost < LINKS; lost++) {
		struct four f = four_new(false);
		struct cv_flow *flow = pair_open(f.p, 1, TARGET);
		watch(&f);
		f.lost = f.wire[lost];
		f.p->delay = CV_MS(50);
		for (int i = 0; i < LINKS; i++) {
			f.p->now += CV_MS(2);
			pair_say(f.p, flow, 100);
			cv_node_flush(&f.p->side[A].node, f.p->now);
		}
		assert_int_equal(flow->state, CV_FLOW_OPENING);
		pair_run(f.p, f.p->now + CV_MS(60));
		assert_int_equal(f.p->side[B].edge.dgrams, LINKS - 1);
		assert_int_equal(f.p->side[B].edge.opens, 1);
		assert_int_equal(pair_drops(f.p, B), 0);
		pair_free(f.p);
	}
}

/* one that has no room beside its OPEN goes over the link that OPEN took */
static void test_open_and_a_large_datagram(void **state)
{
	static char target[CV_TARGET_MAX] = TARGET "?";
	struct four f = four_new(false);
	(void)state;
	memset(target + strlen(target), 'x', 300);
	watch(&f);
	for (unsigned i = 0; i < 2 * LINKS; i++) {
		struct cv_flow *flow = pair_open(f.p, 10 + i, target);
		memset(f.packets, 0, sizeof f.packets);
		pair_say(f.p, flow, CV_DGRAM_MAX);
		pair_settle(f.p);
		unsigned twice = 0;
		for (unsigned k = 0; k < LINKS; k++)
			twice += over(&f, k) == 2;
		assert_int_equal(twice, 1);
	}
	assert_int_equal(f.p->side[B].edge.dgrams, 2 * LINKS);
	assert_int_equal(drops(&f), 0);
	pair_free(f.p);
}

/* ... and if that is lost, or nothing leaves for long, it is not sent alone */
static void test_bound_datagram_is_lost(void **state)
{
	static char target[CV_TARGET_MAX] = TARGET "?";
	(void)state;
	memset(target + strlen(target), 'x', 300);
	for (int aged = 0; aged < 2; aged++) {
		struct four f = four_new(false);
		struct cv_session *s = f.p->side[A].s;
		struct cv_flow *flow = pair_open(f.p, 1, target);
		pair_say(f.p, flow, CV_DGRAM_MAX);
		struct cv_path *turn = s->turn;
		struct cv_buf *b = cv_session_output(turn, f.p->now);
		assert_int_equal(b->dgrams, 0);
		cv_buf_free(&f.p->side[A].node.pool, b);
		assert_true(s->bound);
		if (aged)
			pair_run(f.p, f.p->now), f.p->now += CV_SEC(1);
		else
			pair_cut(f.p, f.wire[cv_path_number(turn)]);
		assert_int_equal(s->bound, false);
		pair_say(f.p, pair_open(f.p, 2, TARGET), 10);
		pair_settle(f.p);
		assert_int_equal(f.p->side[B].edge.len, 10);
		pair_free(f.p);
	}
}

static void test_blocked_links(void **state)
{
	struct four f = four_new(false);
	struct cv_flow *flow = open_flow(&f);
	(void)state;
	watch(&f);
	for (unsigned i = 1; i < LINKS; i++)
		pair_block(&f.wire[i]->end[A]);
	say(&f, flow, 20);
	assert_int_equal(over(&f, 0), 20);
	pair_block(&f.wire[0]->end[A]);
	assert_int_equal(pair_say(f.p, flow, 100), 1);
	pair_settle(f.p);
	assert_int_equal(f.p->side[B].edge.dgrams, 20);
	/* whichever takes something again */
	pair_unblock(&f.wire[2]->end[A]);
	pair_settle(f.p);
	assert_int_equal(over(&f, 2), 1);
	assert_int_equal(f.p->side[B].edge.dgrams, 21);
	pair_free(f.p);
}

static void test_loss_is_mended(void **state)
{
	struct four f = four_new(false);
	struct cv_flow *flow = open_flow(&f);
	(void)state;
	f.wire[1]->end[A].mending = f.wire[3]->end[A].mending = true;
	f.p->now += CV_GAUGE;
	watch(&f);
	say(&f, flow, 20);
	assert_int_equal(over(&f, 0), 10);
	assert_int_equal(over(&f, 2), 10);
	/* rather than not at all */
	pair_block(&f.wire[0]->end[A]);
	pair_block(&f.wire[2]->end[A]);
	say(&f, flow, 10);
	assert_int_equal(over(&f, 1) + over(&f, 3), 10);
	f.wire[1]->end[A].mending = false;
	f.p->now += CV_GAUGE;
	memset(f.packets, 0, sizeof f.packets);
	say(&f, flow, 10);
	assert_int_equal(over(&f, 1), 10);
	pair_free(f.p);
}

/* the best one takes some and is full: the rest is not for it */
static void test_blocks_on_the_way(void **state)
{
	struct four f = four_new(false);
	struct cv_flow *flow = open_flow(&f);
	(void)state;
	f.wire[0]->end[A].narrow = true;
	for (unsigned i = 1; i < LINKS; i++)
		f.wire[i]->end[A].mending = true;
	f.p->now += CV_GAUGE;
	watch(&f);
	for (int i = 0; i < 40; i++)
		pair_say(f.p, flow, 1400);
	pair_settle(f.p);
	assert_int_equal(over(&f, 0), 1);
	assert_int_equal(f.p->side[B].edge.dgrams, 40);
	pair_free(f.p);
}

/* the others go on; the place is filled again */
static void test_one_is_lost(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LINKS; i++) {
		struct four f = four_new(false);
		struct cv_flow *flow = open_flow(&f);
		unsigned dials = f.p->side[A].dials;
		pair_say(f.p, flow, 100);
		pair_cut(f.p, f.wire[i]);
		assert_true(cv_session_up(f.p->side[A].s));
		assert_int_equal(f.p->side[A].dials, dials + 1);
		say(&f, flow, 10);
		assert_int_equal(f.p->side[B].edge.dgrams, 11);
		expect_links(&f, LINKS - 1);
		join(&f, i);
		expect_links(&f, LINKS);
		assert_int_equal(f.p->side[A].node.stats.handshakes, 1);
		assert_int_equal(drops(&f), 0);
		pair_free(f.p);
	}
}

/* only A knows that it is gone */
static void half(struct wire *w)
{
	w->end[A].link.ops->close(&w->end[A].link, "half");
	w->end[B].closing = false;
}

static void test_half_open_one_is_replaced(void **state)
{
	struct four f = four_new(false);
	struct wire *old = f.wire[2];
	(void)state;
	half(old);
	assert_true(old->end[B].open);
	join(&f, 2);
	assert_ptr_not_equal(old, f.wire[2]);
	assert_false(old->end[B].open);
	assert_non_null(strstr(old->end[B].why, "another link"));
	expect_links(&f, LINKS);
	pair_free(f.p);
}

static void test_moves_with_all(void **state)
{
	struct four f = four_new(false);
	struct cv_flow *flow = open_flow(&f);
	struct wire *old[LINKS];
	(void)state;
	memcpy(old, f.wire, sizeof old);
	for (unsigned i = 0; i < LINKS; i++)
		half(old[i]);
	assert_false(cv_session_up(f.p->side[A].s));
	assert_int_equal(cv_session_wants(f.p->side[A].s), 1);
	join(&f, 0);
	expect_links(&f, 1);
	for (unsigned i = 0; i < LINKS; i++)
		assert_false(old[i]->end[B].open);
	assert_int_equal(f.p->side[B].node.stats.handshakes, 2);
	pair_send(f.p, f.p->side[B].edge.last, "x", 1, 1);
	pair_settle(f.p);
	assert_int_equal(f.p->side[A].edge.dgrams, 1);
	say(&f, flow, 1);
	assert_int_equal(f.p->side[B].edge.dgrams, 1);
	pair_free(f.p);
}

static void test_client_restarts(void **state)
{
	struct four f = four_new(false);
	(void)state;
	open_flow(&f);
	pair_restart(f.p, A);
	f.p->side[A].s->allowed = LINKS;
	join(&f, 0);
	expect_links(&f, 1);
	join(&f, 3);
	expect_links(&f, 2);
	pair_run(f.p, f.p->now + CV_MS(1));
	assert_int_equal(f.p->side[B].node.flows.count, 0);
	pair_free(f.p);
}

/* the server is another; one of the links shows it */
static void test_join_is_refused(void **state)
{
	struct four f = four_new(false);
	struct cv_session *s = f.p->side[A].s;
	(void)state;
	pair_cut(f.p, f.wire[1]);
	watch(&f);
	f.wire[1] = pair_join(f.p, s, 1);
	f.lost = f.wire[1];
	pair_settle(f.p);
	assert_int_equal(s->ready, LINKS - 1);
	pair_run(f.p, f.p->now + CV_HANDSHAKE_TIMEOUT + 1);
	assert_false(f.wire[1]->end[A].open);
	assert_true(s->doubt);
	/* who knows no more than that begins anew */
	f.lost = NULL;
	f.p->now += CV_INIT_INTERVAL;
	join(&f, 1);
	expect_links(&f, 1);
	assert_false(s->doubt);
	assert_int_equal(f.p->side[A].node.stats.handshakes, 2);
	assert_ptr_equal(theirs(&f)->path[1].link, &f.wire[1]->end[B].link);
	join(&f, 0);
	expect_links(&f, 2);
	pair_free(f.p);
}

static void test_rekeying_keeps_all(void **state)
{
	(void)state;
	for (unsigned lost = 0; lost < 2; lost++) {
		struct four f = four_new(false);
		if (lost) { /* it may have been the one for handshakes */
			pair_cut(f.p, f.wire[0]);
			pair_settle(f.p);
		}
		pair_run(f.p, f.p->now + 3 * CV_REKEY_AFTER_TIME);
		assert_int_equal(f.p->side[A].node.stats.handshakes, 4);
		expect_links(&f, LINKS - lost);
		assert_int_equal(drops(&f), 0);
		pair_free(f.p);
	}
}

/* silence is a link's own */
static void test_silent_one_is_given_up(void **state)
{
	struct four f = four_new(false);
	(void)state;
	watch(&f);
	f.lost = f.wire[1];
	pair_run(f.p, f.p->now + CV_DEAD + CV_SEC(1));
	assert_false(f.wire[1]->end[A].open || f.wire[1]->end[B].open);
	expect_links(&f, LINKS - 1);
	pair_run(f.p, f.p->now + CV_SEC(100));
	expect_links(&f, LINKS - 1);
	pair_free(f.p);
}

/* two dialled at once: one agrees on keys, the other waits and joins */
static void test_second_waits_for_the_first(void **state)
{
	(void)state;
	for (int fails = 0; fails < 2; fails++) {
		struct pair *p = pair_new(false);
		struct four f = { .p = p };
		p->side[A].s->allowed = LINKS;
		f.wire[0] = pair_join(p, p->side[A].s, 0);
		f.wire[2] = pair_join(p, p->side[A].s, 2);
		if (fails)
			pair_cut(p, f.wire[0]);
		pair_settle(p);
		expect_links(&f, fails ? 1 : 2);
		assert_int_equal(p->side[A].node.stats.handshakes, 1);
		assert_ptr_equal(
			p->side[B].s->path[2].link, &f.wire[2]->end[B].link);
		pair_free(p);
	}
}

static void test_goodbye_on_each(void **state)
{
	struct four f = four_new(false);
	struct cv_flow *flow = open_flow(&f);
	(void)state;
	pair_say(f.p, flow, 10);
	cv_node_drain(&f.p->side[A].node);
	assert_false(cv_node_drained(&f.p->side[A].node));
	cv_node_flush(&f.p->side[A].node, f.p->now);
	assert_true(cv_node_drained(&f.p->side[A].node));
	pair_settle(f.p);
	assert_int_equal(f.p->side[B].edge.dgrams, 1);
	for (unsigned i = 0; i < LINKS; i++)
		assert_string_equal(
			f.wire[i]->end[B].why, "the peer said goodbye");
	pair_free(f.p);
}

/* one link is slow, and so measured by itself */
static void test_late_is_a_links_own(void **state)
{
	struct four f = four_new(false);
	struct cv_flow *flow = open_flow(&f);
	(void)state;
	pair_cut(f.p, f.wire[3]);
	f.p->delay = CV_SEC(1);
	f.wire[3] = pair_join(f.p, f.p->side[A].s, 3);
	pair_run(f.p, f.p->now + CV_SEC(3));
	for (unsigned i = 0; i < 3; i++)
		pair_block(&f.wire[i]->end[A]);
	pair_say(f.p, flow, 10);
	pair_run(f.p, f.p->now + CV_SEC(1));
	assert_int_equal(f.p->side[B].edge.dgrams, 1);
	assert_int_equal(pair_drop(f.p, B, CV_DROP_LATE), 0);
	pair_free(f.p);
}

/* what was sealed before the peer moved adds no link afterwards */
static void test_old_keys_add_no_link(void **state)
{
	struct four f = four_new(false);
	struct cv_session *s = f.p->side[A].s;
	(void)state;
	struct cv_buf *b[2];
	for (int i = 0; i < 2; i++) {
		cv_path_greet(&s->path[i], f.p->now);
		b[i] = cv_session_output(&s->path[i], f.p->now);
	}
	for (unsigned i = 0; i < LINKS; i++)
		half(f.wire[i]);
	struct wire *w = pair_join(f.p, NULL, 0);
	half(w); /* somebody else's */
	/* while they are the current ones they do */
	assert_int_equal(cv_node_input(&f.p->side[B].node, &w->end[B].link,
				 cv_buf_data(b[0]), b[0]->len, f.p->now),
		0);
	join(&f, 0);
	expect_links(&f, 1);
	struct wire *x = pair_join(f.p, NULL, 0);
	half(x);
	assert_int_equal(cv_node_input(&f.p->side[B].node, &x->end[B].link,
				 cv_buf_data(b[1]), b[1]->len, f.p->now),
		CV_DROP_MALFORMED);
	expect_links(&f, 1);
	for (int i = 0; i < 2; i++)
		cv_buf_free(&f.p->side[A].node.pool, b[i]);
	pair_free(f.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_joins),
		cmocka_unit_test(test_agrees_on_a_number),
		cmocka_unit_test(test_peer_that_knows_one_link),
		cmocka_unit_test(test_number_that_is_none),
		cmocka_unit_test(test_spreads),
		cmocka_unit_test(test_spreads_a_flood),
		cmocka_unit_test(test_open_in_every_packet),
		cmocka_unit_test(test_open_and_a_large_datagram),
		cmocka_unit_test(test_bound_datagram_is_lost),
		cmocka_unit_test(test_blocked_links),
		cmocka_unit_test(test_loss_is_mended),
		cmocka_unit_test(test_blocks_on_the_way),
		cmocka_unit_test(test_one_is_lost),
		cmocka_unit_test(test_half_open_one_is_replaced),
		cmocka_unit_test(test_moves_with_all),
		cmocka_unit_test(test_client_restarts),
		cmocka_unit_test(test_join_is_refused),
		cmocka_unit_test(test_rekeying_keeps_all),
		cmocka_unit_test(test_silent_one_is_given_up),
		cmocka_unit_test(test_second_waits_for_the_first),
		cmocka_unit_test(test_goodbye_on_each),
		cmocka_unit_test(test_late_is_a_links_own),
		cmocka_unit_test(test_old_keys_add_no_link),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
