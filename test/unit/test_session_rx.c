/* SPDX-License-Identifier: MIT */
/* test_session_rx.c - frames in: flows, and what is hostile */
#include "unit/check.h"
#include "unit/pair.h"

#define TARGET "udp://127.0.0.1:5"

/* frames in a packet of their own, sealed by A's keys, to B */
static void inject(struct pair *p, const void *frames, size_t len)
{
	struct side *a = &p->side[A];
	struct cv_buf *b = cv_buf_large(&a->node.pool);
	assert_non_null(b);
	memcpy(cv_buf_data(b), frames, len);
	b->len = (uint32_t)len;
	cv_bufq_push(&a->s->ctl, b);
	cv_node_dirty(&a->node, a->s->path->link);
	pair_settle(p);
}

static void inject_frame(struct pair *p, const struct cv_frame *f)
{
	uint8_t bytes[64];
	inject(p, bytes, cv_frame_put(bytes, f));
}

static void inject_open(struct pair *p, uint64_t id, uint8_t kind)
{
	uint8_t bytes[64];
	struct cv_frame f = { .flow = id, .kind = kind, .len = 3 };
	f.data = (uint8_t *)(uintptr_t) "abc";
	inject(p, bytes, cv_frame_put_open(bytes, &f));
}

static size_t dgram(uint8_t *bytes, uint64_t id, const char *text)
{
	size_t n = 1, len = strlen(text);
	bytes[0] = CV_FRAME_DGRAM;
	n += cv_varint_put(bytes + n, id);
	n += cv_varint_put(bytes + n, len);
	n += cv_varint_put(bytes + n, len);
	memcpy(bytes + n, text, len);
	return n + len;
}

static void inject_dgram(struct pair *p, uint64_t id)
{
	uint8_t bytes[64];
	inject(p, bytes, dgram(bytes, id, "hello"));
}

/* what B answers, taken from the wire and opened with A's keys */
struct heard {
	struct cv_frame f[64];
	unsigned n;
};

static bool hear(struct pair *p, struct end *to, uint8_t *data, size_t len)
{
	struct heard *h = p->user;
	static uint8_t copy[CV_PACKET_MAX];
	if (to->side != &p->side[A] || data[0] != CV_PACKET_DATA)
		return true;
	memcpy(copy, data, len);
	len -= CV_DATA_HEAD + CV_TAG;
	uint8_t *at = copy + CV_DATA_HEAD, *end = at + len;
	assert_int_equal(cv_aead_open(to->side->s->cur->rx, cv_get64(data + 8),
				 CV_NO_BYTES, at, len),
		0);
	/* each packet is led by a TIME */
	assert_int_equal(cv_frame_next(&at, end, &h->f[h->n]), 1);
	assert_int_equal(h->f[h->n].type, CV_FRAME_TIME);
	assert_int_equal(h->f[h->n].time, (uint32_t)p->now);
	while (h->n < 63 && cv_frame_next(&at, end, &h->f[h->n]) > 0)
		h->n++;
	return true;
}

static struct pair *pair_heard(void)
{
	struct pair *p = pair_new(false);
	pair_up(p);
	p->user = calloc(1, sizeof(struct heard));
	assert_non_null(p->user);
	p->tap = hear;
	return p;
}

static void finish(struct pair *p)
{
	free(p->user);
	pair_free(p);
}

/* the one frame B answered with since the last time */
static const struct cv_frame *answer(struct pair *p, uint8_t type)
{
	struct heard *h = p->user;
	assert_int_equal(h->n, 1);
	assert_int_equal(h->f[0].type, type);
	h->n = 0;
	return &h->f[0];
}

static void refused(struct pair *p, uint64_t id, enum cv_reset why)
{
	const struct cv_frame *f = answer(p, CV_FRAME_RESET);
	assert_int_equal(f->flow, id ^ 1);
	assert_int_equal(f->value, why);
}

/* without a word to anybody */
static void forget_flow(struct cv_node *n)
{
	struct cv_flow *f = cv_flows_oldest(&n->flows);
	cv_session_disown(f);
	cv_flow_free(&n->flows, f);
}

static void test_ping(void **state)
{
	struct pair *p = pair_heard();
	struct cv_frame f = { .type = CV_FRAME_PING,
		.value = UINT64_C(0x1122334455667788) };
	(void)state;
	inject_frame(p, &f);
	assert_true(answer(p, CV_FRAME_PONG)->value == f.value);
	/* a PONG that answers nothing says nothing of the way */
	p->side[B].s->path->rtt = 7;
	f.type = CV_FRAME_PONG;
	inject_frame(p, &f);
	assert_int_equal(p->side[B].s->path->rtt, 7);
	assert_int_equal(pair_drops(p, B), 0);
	finish(p);
}

static void test_open(void **state)
{
	struct pair *p = pair_heard();
	struct edge *e = &p->side[B].edge;
	(void)state;
	inject_open(p, 40, CV_KIND_DGRAM);
	assert_int_equal(answer(p, CV_FRAME_OPENED)->flow, 41);
	assert_string_equal(e->target, "abc");
	/* again: the same answer, and nothing else happens */
	inject_open(p, 40, CV_KIND_DGRAM);
	assert_int_equal(answer(p, CV_FRAME_OPENED)->flow, 41);
	assert_int_equal(e->opens, 1);
	assert_int_equal(p->side[B].node.flows.count, 1);
	inject_dgram(p, 40);
	assert_int_equal(e->dgrams, 1);
	assert_memory_equal(e->data, "hello", 5);
	assert_int_equal(e->flushes, 1);
	/* done */
	inject_frame(
		p, &(struct cv_frame){ .type = CV_FRAME_RESET, .flow = 40 });
	assert_int_equal(e->closes, 1);
	assert_int_equal(p->side[B].node.flows.count, 0);
	assert_int_equal(((struct heard *)p->user)->n, 0);
	finish(p);
}

static void test_open_refused(void **state)
{
	struct pair *p = pair_heard();
	struct side *b = &p->side[B];
	static const struct {
		int err;
		enum cv_reset why;
	} c[] = {
		{ CULVERT_EREFUSED, CV_RESET_REFUSED },
		{ CULVERT_ESYNTAX, CV_RESET_TARGET },
		{ CULVERT_EFULL, CV_RESET_LIMIT },
		{ CULVERT_ESYS, CV_RESET_SYSTEM },
	};
	(void)state;
	inject_open(p, 41, CV_KIND_DGRAM); /* ids of an opener are even */
	refused(p, 41, CV_RESET_REFUSED);
	inject_open(p, 40, CV_KIND_STREAM);
	refused(p, 40, CV_RESET_REFUSED);
	inject_open(p, 40, 77);
	refused(p, 40, CV_RESET_REFUSED);
	for (size_t i = 0; i < CV_COUNT(c); i++) {
		b->edge.answer = c[i].err;
		inject_open(p, 40, CV_KIND_DGRAM);
		refused(p, 40, c[i].why);
	}
	assert_int_equal(b->edge.closes, 0); /* they never were open there */
	b->edge.answer = 0;
	b->node.flows.max = 0;
	inject_open(p, 40, CV_KIND_DGRAM);
	refused(p, 40, CV_RESET_LIMIT);
	b->node.flows.max = 10;
	b->node.out[0] = NULL;
	inject_open(p, 40, CV_KIND_DGRAM);
	refused(p, 40, CV_RESET_REFUSED);
	assert_int_equal(b->node.flows.count, 0);
	finish(p);
}

static void test_open_while_draining(void **state)
{
	struct pair *p = pair_heard();
	(void)state;
	p->side[B].node.draining = true;
	inject_open(p, 40, CV_KIND_DGRAM);
	refused(p, 40, CV_RESET_REFUSED);
	finish(p);
}

/* the edge must look a name up first */
static void test_answered_later(void **state)
{
	struct pair *p = pair_heard();
	struct side *b = &p->side[B];
	(void)state;
	b->edge.answer = 1;
	inject_open(p, 40, CV_KIND_DGRAM);
	assert_int_equal(((struct heard *)p->user)->n, 0);
	inject_dgram(p, 40); /* what comes meanwhile is the edge's affair */
	assert_int_equal(b->edge.dgrams, 1);
	cv_flow_opened(&b->node, b->edge.last, p->now);
	pair_settle(p);
	assert_int_equal(answer(p, CV_FRAME_OPENED)->flow, 41);
	inject_open(p, 42, CV_KIND_DGRAM);
	cv_flow_refused(&b->node, b->edge.last, CULVERT_EINVAL, p->now);
	pair_settle(p);
	refused(p, 42, CV_RESET_TARGET);
	assert_int_equal(b->node.flows.count, 1);
	finish(p);
}

static void test_unknown_flow(void **state)
{
	struct pair *p = pair_heard();
	uint8_t bytes[64];
	(void)state;
	inject_dgram(p, 40);
	refused(p, 40, CV_RESET_UNKNOWN);
	assert_int_equal(pair_drop(p, B, CV_DROP_UNKNOWN_FLOW), 1);
	/* a train counts for all of it */
	size_t n = dgram(bytes, 40, "hello");
	bytes[2] = 2; /* segment size */
	inject(p, bytes, n);
	refused(p, 40, CV_RESET_UNKNOWN);
	assert_int_equal(pair_drop(p, B, CV_DROP_UNKNOWN_FLOW), 4);
	/* resets and openings of nothing are nothing */
	inject_frame(
		p, &(struct cv_frame){ .type = CV_FRAME_RESET, .flow = 40 });
	inject_frame(
		p, &(struct cv_frame){ .type = CV_FRAME_OPENED, .flow = 41 });
	assert_int_equal(((struct heard *)p->user)->n, 0);
	finish(p);
}

/* the far end has forgotten a flow: the next datagram opens it again */
static void test_opened_again(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	pair_say(p, f, 10);
	pair_settle(p);
	struct cv_node *b = &p->side[B].node;
	forget_flow(b);
	pair_say(p, f, 11);
	pair_settle(p);
	assert_int_equal(pair_drop(p, B, CV_DROP_UNKNOWN_FLOW), 1);
	assert_int_equal(f->state, CV_FLOW_OPENING);
	pair_say(p, f, 12);
	pair_settle(p);
	assert_int_equal(f->state, CV_FLOW_OPEN);
	assert_int_equal(p->side[B].edge.opens, 2);
	assert_int_equal(p->side[B].edge.len, 12);
	pair_free(p);
}

/* a static mapping is opened again unasked */
static void test_pinned_is_opened_at_once(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	struct cv_flow *f = pair_open(p, 1, TARGET);
	cv_flow_pin(&p->side[A].node, f);
	assert_int_equal(p->side[B].edge.opens, 0);
	pair_up(p);
	assert_int_equal(p->side[B].edge.opens, 1);
	assert_int_equal(f->state, CV_FLOW_OPEN);
	/* the far side may speak first, and to a flow it forgot */
	pair_send(p, p->side[B].edge.last, "x", 1, 1);
	pair_settle(p);
	assert_int_equal(p->side[A].edge.dgrams, 1);
	struct cv_node *b = &p->side[B].node;
	forget_flow(b);
	pair_say(p, f, 10);
	pair_settle(p);
	assert_int_equal(p->side[B].edge.opens, 2);
	pair_restart(p, B);
	p->now += CV_SEC(1);
	pair_up(p);
	assert_int_equal(p->side[B].edge.opens, 1);
	cv_flow_pin(&p->side[B].node, cv_end_flow(p->side[B].edge.last));
	pair_run(p, p->now + CV_SEC(1000));
	assert_int_equal(p->side[A].node.flows.count, 1);
	pair_free(p);
}

static void test_refusal_is_logged(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	pair_up(p);
	p->side[B].edge.answer = CULVERT_EREFUSED;
	pair_say(p, pair_open(p, 1, TARGET), 10);
	pair_settle(p);
	assert_int_equal(p->side[A].node.flows.count, 0);
	assert_int_equal(p->side[A].edge.closes, 1);
	assert_string_equal(p->side[A].mem.line,
		"msg=\"peer refused a flow\" peer=b target=\"" TARGET
		"\" reason=not_allowed why=\"no --allow there covers it\"");
	/* the datagram behind the OPEN found no flow */
	assert_int_equal(pair_drop(p, B, CV_DROP_UNKNOWN_FLOW), 1);
	pair_free(p);
}

/* a peer cannot open or confirm flows of ours */
static void test_foreign_ids(void **state)
{
	struct pair *p = pair_heard();
	struct side *b = &p->side[B];
	(void)state;
	/* B has opened a flow to A: A may not OPEN it as if it were its own */
	struct cv_opening o = { .edge = &b->edge.edge,
		.src = pair_client(1),
		.dst = pair_client(2),
		.session = b->s,
		.target = TARGET };
	struct cv_flow *f = cv_node_open(&b->node, &o, p->now);
	assert_non_null(f);
	inject_open(p, f->end[1].id ^ 1, CV_KIND_DGRAM);
	assert_int_equal(b->node.flows.count, 1);
	assert_int_equal(b->edge.opens, 0);
	assert_ptr_equal(
		cv_flow_find_id(&b->node.flows, b->s, f->end[1].id), f);
	finish(p);
}

/* --- malformed --- */

static void test_malformed_behind_good(void **state)
{
	struct pair *p = pair_heard();
	uint8_t bytes[64];
	(void)state;
	inject_open(p, 40, CV_KIND_DGRAM);
	((struct heard *)p->user)->n = 0;
	size_t n = dgram(bytes, 40, "hello");
	bytes[n++] = 0x7f; /* no frame */
	n += dgram(bytes + n, 40, "lost");
	inject(p, bytes, n);
	/* what stood before it has taken effect, the rest has not */
	assert_int_equal(p->side[B].edge.dgrams, 1);
	assert_int_equal(pair_drop(p, B, CV_DROP_MALFORMED), 1);
	inject(p, bytes, n - 1 - 6); /* cut short */
	assert_int_equal(pair_drop(p, B, CV_DROP_MALFORMED), 2);
	assert_true(cv_session_up(p->side[B].s));
	finish(p);
}

/* frames that are right, of few flows */
static size_t some_frames(uint64_t *seed, uint8_t *p, size_t room)
{
	static const uint8_t type[] = { CV_FRAME_PING, CV_FRAME_PONG,
		CV_FRAME_TIME, CV_FRAME_OPENED, CV_FRAME_RESET };
	size_t n = 0;
	while (n + 60 < room) {
		struct cv_frame f = { .type = type[rnd_below(seed, 5)],
			.flow = rnd_below(seed, 8),
			.kind = CV_KIND_DGRAM,
			.value = rnd_below(seed, CV_RESET_N + 1),
			.len = (uint32_t)rnd_below(seed, 9),
			.time = (uint32_t)rnd(seed),
			.data = (uint8_t *)(uintptr_t) "udp://h:1" };
		switch (rnd_below(seed, 3)) {
		case 0:
			n += cv_frame_put_open(p + n, &f);
			break;
		case 1:
			n += dgram(p + n, f.flow, "hello");
			break;
		default:
			n += cv_frame_put(p + n, &f);
		}
	}
	return n;
}

/* more than any packet of ours holds */
static void test_flood_in_a_packet(void **state)
{
	struct pair *p = pair_heard();
	static uint8_t bytes[CV_FRAMES_MAX];
	struct edge *e = &p->side[B].edge;
	size_t n = 0;
	(void)state;
	inject_open(p, 40, CV_KIND_DGRAM);
	for (unsigned i = 0; i < CV_PACKET_DGRAMS + 7; i++)
		n += dgram(bytes + n, 40, "x");
	inject(p, bytes, n);
	assert_int_equal(e->dgrams, CV_PACKET_DGRAMS);
	assert_int_equal(pair_drop(p, B, CV_DROP_FLOOD), 7);
	/* a train is taken whole or not at all */
	n = 1 + cv_varint_put(bytes + 1, 40);
	bytes[n++] = 1;
	cv_varint_put4(bytes + n, CV_PACKET_DGRAMS + 1);
	n += 4 + CV_PACKET_DGRAMS + 1;
	inject(p, bytes, n);
	assert_int_equal(e->dgrams, CV_PACKET_DGRAMS);
	assert_int_equal(pair_drop(p, B, CV_DROP_FLOOD), CV_PACKET_DGRAMS + 8);
	memset(bytes, CV_FRAME_PADDING, sizeof bytes);
	inject(p, bytes, 60000); /* padding is nothing */
	assert_int_equal(pair_drop(p, B, CV_DROP_MALFORMED), 0);
	for (n = 0; n < 9 * (CV_PACKET_CONTROLS + 1); n += 9)
		bytes[n] = CV_FRAME_PONG;
	inject(p, bytes, n);
	assert_int_equal(pair_drop(p, B, CV_DROP_MALFORMED), 1);
	finish(p);
}

/* a peer that sends anything at all harms nobody but itself */
static void test_random_frames(void **state)
{
	struct pair *p = pair_heard();
	(void)state;
	p->tap = NULL;
	for (int i = 0; i < 20000; i++) {
		uint8_t bytes[300];
		size_t len = some_frames(
			&p->seed, bytes, 61 + rnd_below(&p->seed, 239));
		for (uint64_t n = rnd_below(&p->seed, 4); n; n--)
			bytes[rnd_below(&p->seed, len)] =
				(uint8_t)rnd(&p->seed);
		inject(p, bytes, len);
		p->now += 100;
		if (!p->side[A].s->path->link) /* it said CLOSE */
			pair_up(p);
	}
	assert_true(p->side[B].edge.opens > 1000);
	assert_true(p->side[B].edge.dgrams > 1000);
	assert_true(pair_drop(p, B, CV_DROP_MALFORMED) > 1000);
	/* an honest flow still works */
	pair_run(p, p->now + CV_SEC(500));
	uint64_t was = p->side[B].edge.dgrams;
	p->side[B].s->path->late.known = false;
	pair_say(p, pair_open(p, 2, TARGET), 10);
	pair_settle(p);
	pair_say(p, pair_open(p, 2, TARGET), 10);
	pair_settle(p);
	assert_true(p->side[B].edge.dgrams > was);
	finish(p);
}

static void test_close_frame(void **state)
{
	struct pair *p = pair_heard();
	(void)state;
	inject_frame(p, &(struct cv_frame){ .type = CV_FRAME_CLOSE });
	assert_false(p->wire[0].end[B].open);
	assert_non_null(p->side[B].s);
	assert_int_equal(pair_drops(p, B), 0);
	finish(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_open_refused),
		cmocka_unit_test(test_open_while_draining),
		cmocka_unit_test(test_answered_later),
		cmocka_unit_test(test_unknown_flow),
		cmocka_unit_test(test_opened_again),
		cmocka_unit_test(test_pinned_is_opened_at_once),
		cmocka_unit_test(test_refusal_is_logged),
		cmocka_unit_test(test_foreign_ids),
		cmocka_unit_test(test_malformed_behind_good),
		cmocka_unit_test(test_flood_in_a_packet),
		cmocka_unit_test(test_random_frames),
		cmocka_unit_test(test_close_frame),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
