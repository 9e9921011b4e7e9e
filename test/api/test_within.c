/* SPDX-License-Identifier: MIT */
/* test_within.c - every deed in every callback, of nodes without a loop */
#include "act.h"
#include "bytes.h"

static struct pair p;
static struct deed deed[2];
static char text[2][2][CONF];

static void within(struct side *s, enum call call, culvert_flow *flow)
{
	int i = s == &p.side[B];
	uint8_t byte = 0;
	/* of no use, or not now: this node is at work */
	if (p.wire.end[i])
		assert_int_equal(
			culvert_link_input(p.wire.end[i], &byte, 1, p.now),
			CULVERT_ESTATE);
	assert_int_equal(culvert_tick(s->node, p.now), CULVERT_ESTATE);
	if (act(&deed[i], s, call, flow))
		p.wire.end[i] = NULL;
}

/* a flow each way, echoes, a loss, a new stream, a stop */
static void life(void)
{
	culvert_flow *f;
	pair_wire(&p);
	pair_settle(&p);
	for (int i = 0; i < 2 && p.side[A].node; i++) {
		if (culvert_open(p.side[A].node, "b", "app://x", &f))
			break;
		culvert_send(f, "x", 1);
		culvert_send(f, "y", 1);
		pair_settle(&p);
		if (p.side[B].node)
			culvert_wake(p.side[B].node);
		if (p.side[A].node)
			culvert_wake(p.side[A].node);
		pair_run(&p, MS(1));
		p.side[B].answer = CULVERT_EREFUSED;
	}
	pair_cut(&p);
	pair_run(&p, SEC(1));
	for (int i = 0; i < 2; i++)
		culvert_stop(p.side[i].node);
	pair_run(&p, SEC(2));
}

static void run(int side, enum call call, enum act what)
{
	pair_begin(&p, "");
	for (int i = 0; i < 2; i++) {
		pair_conf(&p, i, "", text[i][0]);
		pair_conf(&p, i, "LogLevel = debug\n", text[i][1]);
		p.side[i].within = within;
		deed[i] = (struct deed){
			.call = i == side ? call : 0,
			.act = what,
			.same = text[i][0],
			.other = text[i][1],
			.peer = i == A ? "b" : "a",
		};
	}
	p.side[B].echo = true;
	life();
	/* these are made at this side, so the deed was done */
	if (side == B || call != ON_ACCEPT)
		assert_true(deed[side].done > 0);
	pair_end(&p);
}

static void test_every(void **state)
{
	static const enum call calls[2][8] = {
		{ ON_STATE, ON_OPENED, ON_DGRAM, ON_CLOSED, ON_STOPPED,
			ON_WOKEN },
		{ ON_STATE, ON_ACCEPT, ON_DGRAM, ON_STOPPED, ON_WOKEN },
	};
	(void)state;
	for (int side = 0; side < 2; side++)
		for (int i = 0; i < 8 && calls[side][i]; i++)
			for (int a = 0; a < ACTS; a++)
				run(side, calls[side][i], (enum act)a);
}

/* a flow that is closed before its news were told */
static void close_other(struct side *s, enum call call, culvert_flow *flow)
{
	(void)flow;
	if (s == &p.side[A] && call == ON_DGRAM) {
		culvert_flow *all = culvert_flow_get(s->from);
		culvert_close(all);
	}
}

static void test_close_each_other(void **state)
{
	culvert_flow *f, *g;
	(void)state;
	pair_begin(&p, "");
	p.side[A].within = close_other;
	p.side[B].echo = true;
	pair_wire(&p);
	f = pair_open(&p, "app://x");
	pair_settle(&p);
	g = pair_open(&p, "app://y");
	side_clear(&p.side[A]);
	culvert_flow_set(f, g);
	culvert_flow_set(g, f);
	culvert_send(f, "1", 1);
	culvert_send(g, "2", 1);
	pair_settle(&p);
	/* whichever came first had the other closed, and its echo with it */
	assert_int_equal(p.side[A].dgrams, 1);
	assert_int_equal(p.side[A].closed, 0);
	assert_int_equal(side_count(&p.side[A], "flows"), 1);
	pair_end(&p);
}

/* the very stream that is being read */
static void close_stream(struct side *s, enum call call, culvert_flow *flow)
{
	int i = s == &p.side[B];
	(void)flow;
	if (call == ON_DGRAM && p.wire.end[i]) {
		culvert_link_close(p.wire.end[i]);
		p.wire.end[i] = NULL;
	}
}

static void test_close_stream(void **state)
{
	(void)state;
	pair_begin(&p, "");
	p.side[B].within = close_stream;
	pair_wire(&p);
	pair_settle(&p);
	culvert_flow *f;
	assert_int_equal(culvert_open(p.side[A].node, "b", "app://x", &f), 0);
	for (int i = 0; i < 30; i++)
		culvert_send(f, "x", 1);
	pair_settle(&p);
	assert_true(p.side[B].dgrams > 0);
	assert_int_equal(p.side[B].down, 1);
	pair_end(&p);
}

/* a peer that a reload takes out is told to be down, and its flows to end */
static void test_peer_taken_out(void **state)
{
	char conf[CONF];
	(void)state;
	pair_begin(&p, "");
	pair_wire(&p);
	culvert_flow *f = pair_open(&p, "app://x");
	struct keys other = keys_make();
	snprintf(conf, sizeof conf,
		"[Node]\nPrivateKey = %s\n[Peer c]\nPublicKey = %s\n",
		p.keys[A].priv, other.pub);
	assert_int_equal(
		culvert_reload(p.side[A].node, conf, strlen(conf), NULL), 0);
	assert_int_equal(p.side[A].down, 0);
	assert_true(culvert_deadline(p.side[A].node) <= p.now);
	culvert_tick(p.side[A].node, p.now);
	assert_int_equal(p.side[A].down, 1);
	assert_string_equal(p.side[A].peer, "b");
	assert_int_equal(p.side[A].closed, 1);
	assert_ptr_equal(p.side[A].gone, f);
	assert_int_equal(
		culvert_open(p.side[A].node, "b", "", &f), CULVERT_EINVAL);
	pair_end(&p);
}

/* the same key by another name: one goes down, the other comes up */
static void test_peer_renamed(void **state)
{
	char conf[CONF];
	(void)state;
	pair_begin(&p, "");
	pair_wire(&p);
	culvert_flow *f = pair_open(&p, "app://x");
	snprintf(conf, sizeof conf,
		"[Node]\nPrivateKey = %s\n[Peer new]\nPublicKey = %s\n",
		p.keys[A].priv, p.keys[B].pub);
	assert_int_equal(
		culvert_reload(p.side[A].node, conf, strlen(conf), NULL), 0);
	culvert_tick(p.side[A].node, p.now);
	assert_int_equal(p.side[A].down, 1);
	assert_int_equal(p.side[A].up, 2);
	assert_string_equal(p.side[A].peer, "new");
	unsigned had = p.side[B].dgrams;
	culvert_send(f, "x", 1);
	pair_settle(&p);
	assert_int_equal(p.side[B].dgrams, had + 1);
	pair_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every),
		cmocka_unit_test(test_close_each_other),
		cmocka_unit_test(test_close_stream),
		cmocka_unit_test(test_peer_taken_out),
		cmocka_unit_test(test_peer_renamed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
