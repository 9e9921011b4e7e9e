/* SPDX-License-Identifier: MIT */
/* test_stream.c - bytes of a flow, over links that lose none */
#include "core/transport.h"
#include "unit/check.h"
#include "unit/streams.h"

static struct pair *pair_streams(void)
{
	struct pair *p = pair_new(false);
	streams_on(p);
	pair_up(p);
	return p;
}

/* of a new flow: its ends on the edges of A and of B */
static void open_ends(struct pair *p, struct cv_end *e[2])
{
	struct cv_flow *f = streams_open(p, 1);
	assert_non_null(f);
	pair_settle(p);
	e[A] = &f->end[0];
	e[B] = p->side[B].edge.last;
	assert_non_null(e[B]);
}

static struct cv_stream *stream_of(const struct cv_end *e)
{
	return cv_end_flow((struct cv_end *)(uintptr_t)e)->stream;
}

static uint64_t held(const struct pair *p)
{
	return p->side[A].node.flows.count + p->side[B].node.flows.count;
}

/* both windows are whole again, nothing is remembered */
static void check_idle(const struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		struct cv_transport *t = p->side[i].s->transport;
		assert_non_null(t);
		assert_int_equal(t->tx_out, 0);
		assert_int_equal(t->rx_out, 0);
		assert_int_equal(t->untold, 0);
		assert_int_equal(t->flights.flying, 0);
		assert_true(cv_list_empty(&t->turns));
		assert_true(cv_list_empty(&t->stalled));
	}
}

static void test_both_ways(void **state)
{
	struct pair *p = pair_streams();
	struct cv_end *e[2];
	(void)state;
	open_ends(p, e);
	for (int i = 0; i < 2; i++)
		assert_int_equal(streams_write(p, e[i], 100000), 100000);
	pair_run(p, p->now + CV_SEC(1));
	assert_int_equal(streams_got(e[A]), 100000);
	assert_int_equal(streams_got(e[B]), 100000);
	streams_finish(p, e[A]);
	pair_run(p, p->now + CV_SEC(1));
	assert_int_equal(p->side[B].edge.fins, 1);
	assert_int_equal(held(p), 2); /* one direction is open still */
	assert_int_equal(streams_write(p, e[B], 5000), 5000);
	streams_finish(p, e[B]);
	pair_run(p, p->now + CV_SEC(1));
	assert_int_equal(p->side[A].edge.fins, 1);
	assert_int_equal(p->side[A].edge.streamed, 105000);
	assert_int_equal(held(p), 0);
	check_idle(p);
	pair_free(p);
}

/* the last bytes and the end in one frame, taken as they come, when the other
   direction is over: that was the flow */
static void test_end_is_taken_at_once(void **state)
{
	struct pair *p = pair_streams();
	struct cv_end *e[2];
	(void)state;
	open_ends(p, e);
	streams_finish(p, e[B]);
	pair_run(p, p->now + CV_SEC(1));
	assert_int_equal(p->side[A].edge.fins, 1);
	streams_write(p, e[A], 10);
	streams_finish(p, e[A]);
	pair_run(p, p->now + CV_SEC(1));
	assert_int_equal(p->side[B].edge.fins, 1);
	assert_int_equal(p->side[B].edge.streamed, 10);
	assert_int_equal(held(p), 0);
	check_idle(p);
	pair_free(p);
}

/* writes as much as it may, until nothing moves any more */
static uint64_t push(struct pair *p, struct cv_end *from)
{
	uint64_t n = 0, more;
	do {
		more = streams_write(p, from, 1 << 20);
		n += more;
		pair_settle(p);
	} while (more);
	return n;
}

static void test_window(void **state)
{
	struct pair *p = pair_streams();
	struct cv_end *e[2];
	(void)state;
	open_ends(p, e);
	p->side[B].edge.hoard = true;
	uint64_t n = push(p, e[A]);
	assert_int_equal(streams_got(e[B]), CV_STREAM_WINDOW);
	assert_in_range(
		n, CV_STREAM_WINDOW + 1, CV_STREAM_WINDOW + CV_UNSENT_LINK);
	unsigned resumes = p->side[A].edge.resumes;
	/* less than half of it is not worth a frame */
	streams_take(p, e[B], CV_STREAM_WINDOW / 2 - 1000);
	pair_run(p, p->now + CV_SEC(1));
	assert_int_equal(streams_got(e[B]), CV_STREAM_WINDOW);
	streams_take(p, e[B], 2000);
	pair_run(p, p->now + CV_SEC(1));
	assert_true(streams_got(e[B]) > CV_STREAM_WINDOW);
	assert_true(p->side[A].edge.resumes > resumes);
	assert_int_equal(streams_got(e[B]),
		cv_earlier(n, CV_STREAM_WINDOW * 3 / 2 + 1000));
	pair_free(p);
}

/* an eighth within a round trip: twice as much may come, up to a bound */
static void test_window_grows(void **state)
{
	struct pair *p = pair_streams();
	struct cv_end *e[2];
	(void)state;
	open_ends(p, e);
	for (int i = 0; i < 200; i++) {
		streams_write(p, e[A], 1 << 20);
		pair_settle(p);
		/* one that stops leaves room for the others */
		assert_true(p->side[B].s->transport->window >=
			    2 * stream_of(e[B])->window);
	}
	assert_int_equal(stream_of(e[B])->window, CV_STREAM_WINDOW_MAX);
	assert_int_equal(
		p->side[B].s->transport->window, CV_SESSION_WINDOW_MAX);
	assert_true(p->side[A].s->transport->tx_window > CV_SESSION_WINDOW);
	pair_free(p);
}

static void test_slow_reader_window_stays(void **state)
{
	struct pair *p = pair_streams();
	struct cv_end *e[2];
	(void)state;
	open_ends(p, e);
	p->side[B].edge.hoard = true;
	for (int i = 0; i < 20; i++) {
		uint64_t was = streams_got(e[B]);
		push(p, e[A]);
		pair_run(p, p->now + CV_SEC(1));
		streams_take(p, e[B], streams_got(e[B]) - was);
		pair_run(p, p->now + CV_SEC(1));
	}
	assert_int_equal(stream_of(e[B])->window, CV_STREAM_WINDOW);
	pair_free(p);
}

/* streams that nobody reads from hold up the session, not for ever */
static void test_session_window(void **state)
{
	enum { N = CV_SESSION_WINDOW_MAX / CV_STREAM_WINDOW + 2 };
	struct pair *p = pair_streams();
	struct cv_end *e[N][2];
	(void)state;
	p->side[B].edge.hoard = true;
	for (int i = 0; i < N; i++) {
		struct cv_flow *f = streams_open(p, (unsigned)i << 16);
		pair_settle(p);
		e[i][A] = &f->end[0];
		e[i][B] = p->side[B].edge.last;
		push(p, e[i][A]);
	}
	struct cv_transport *t = p->side[A].s->transport;
	assert_int_equal(p->side[B].edge.streamed, CV_SESSION_WINDOW_MAX);
	assert_int_equal(cv_transport_fresh(t), 0);
	assert_true(stream_of(e[N - 1][A])->stalled);
	/* one of the first is broken off: its share goes to the others */
	cv_flow_close(&p->side[B].node, cv_end_flow(e[0][B]), NULL,
		CV_RESET_ABORTED, p->now);
	pair_run(p, p->now + CV_SEC(1));
	assert_int_equal(p->side[A].edge.closes, 1);
	assert_int_equal(p->side[A].edge.why, CV_RESET_ABORTED);
	assert_int_equal(p->side[B].edge.streamed,
		CV_SESSION_WINDOW_MAX + CV_STREAM_WINDOW);
	p->side[B].edge.hoard = false;
	for (int i = 1; i < N; i++)
		streams_take(p, e[i][B], streams_got(e[i][B]));
	pair_run(p, p->now + CV_SEC(1));
	for (int i = 1; i < N; i++) {
		streams_finish(p, e[i][A]);
		streams_finish(p, e[i][B]);
	}
	pair_run(p, p->now + CV_SEC(1));
	assert_int_equal(held(p), 0);
	check_idle(p);
	pair_free(p);
}

/* the link breaks in the middle; another goes on where it was */
static void test_outlives_link(void **state)
{
	struct pair *p = pair_streams();
	struct cv_end *e[2];
	(void)state;
	open_ends(p, e);
	p->delay = CV_MS(5);
	for (int i = 0; i < 10; i++) {
		streams_write(p, e[A], 300000);
		streams_write(p, e[B], 1000);
		pair_run(p, p->now + CV_MS(3));
		pair_cut(p, CV_CONTAINER(CV_CONTAINER(p->side[A].s->path->link,
						 struct end, link),
				    struct wire, end[A]));
		streams_write(p, e[A], 1000); /* while there is none */
		pair_run(p, p->now + CV_MS(50));
		pair_wire(p, p->side[A].s);
		pair_run(p, p->now + CV_MS(100));
	}
	uint64_t n = stream_of(e[A])->tx.end;
	streams_finish(p, e[A]);
	pair_run(p, p->now + CV_SEC(1));
	assert_int_equal(p->side[B].edge.streamed, n);
	assert_int_equal(p->side[B].edge.fins, 1);
	assert_int_equal(streams_got(e[A]), 10000);
	assert_true(p->side[A].s->transport->retransmitted > 0);
	pair_free(p);
}

static void test_opened_before_link(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	streams_on(p);
	struct cv_flow *f = streams_open(p, 1);
	assert_non_null(f);
	assert_int_equal(p->side[A].dials, 1);
	streams_write(p, &f->end[0], 5000);
	streams_finish(p, &f->end[0]);
	pair_run(p, p->now + CV_SEC(1));
	pair_up(p);
	pair_run(p, p->now + CV_SEC(1));
	assert_int_equal(p->side[B].edge.streamed, 5000);
	assert_int_equal(p->side[B].edge.fins, 1);
	pair_free(p);
}

/* a peer that stays away takes its streams with it */
static void test_left_alone(void **state)
{
	struct pair *p = pair_streams();
	struct cv_end *e[2];
	(void)state;
	open_ends(p, e);
	streams_write(p, e[A], 100);
	pair_run(p, p->now + CV_SEC(1));
	pair_cut(p, &p->wire[0]);
	pair_run(p, p->now + CV_FLOW_IDLE + CV_SEC(1));
	assert_int_equal(held(p), 0);
	assert_int_equal(p->side[A].edge.why, CV_RESET_TIMEOUT);
	check_idle(p);
	pair_free(p);
}

/* a flow that is over in the session, and waits to be reaped */
static void test_over(void **state)
{
	struct pair *p = pair_streams();
	struct cv_end *e[2];
	size_t room = 100;
	(void)state;
	open_ends(p, e);
	struct cv_flow *f = cv_end_flow(e[A]);
	cv_stream_leave(f->stream);
	cv_stream_leave(f->stream);
	assert_null(cv_flow_room(&p->side[A].node, e[A], &room));
	cv_flow_wrote(&p->side[A].node, e[A], 0, p->now);
	cv_flow_finish(&p->side[A].node, e[A], p->now);
	cv_flow_took(&p->side[A].node, e[A], 0, p->now);
	cv_flow_close(&p->side[A].node, f, NULL, CV_RESET_DONE, p->now);
	pair_settle(p);
	pair_free(p);
}

/* no memory for what the edge has: it is told when there is */
static void test_hungry(void **state)
{
	struct pair *p = pair_streams();
	struct cv_end *e[2];
	(void)state;
	open_ends(p, e);
	struct cv_pool *pool = &p->side[A].node.pool;
	size_t max = pool->max;
	struct cv_bufq all = { 0 };
	struct cv_buf *b;
	pool->max = 0;
	while ((b = cv_buf_small(pool)) || (b = cv_buf_large(pool)))
		cv_bufq_push(&all, b);
	assert_int_equal(streams_write(p, e[A], 100), 0);
	pair_settle(p);
	assert_int_equal(p->side[A].edge.resumes, 0);
	pool->max = max;
	cv_bufq_clear(&all, pool);
	assert_true(cv_node_stirred(&p->side[A].node));
	pair_settle(p);
	assert_int_equal(p->side[A].edge.resumes, 1);
	assert_int_equal(streams_write(p, e[A], 100), 100);
	/* room that was not used */
	size_t room = 10;
	assert_non_null(cv_flow_room(&p->side[A].node, e[A], &room));
	cv_flow_wrote(&p->side[A].node, e[A], 0, p->now);
	pair_settle(p);
	assert_int_equal(streams_got(e[B]), 100);
	pair_free(p);
}

/* --- hostile --- */

/* frames in a packet of A's */
static void inject(struct pair *p, const void *frames, size_t len)
{
	struct side *a = &p->side[A];
	struct cv_buf *b = cv_buf_large(&a->node.pool);
	assert_non_null(b);
	memcpy(cv_buf_data(b), frames, len);
	b->len = (uint32_t)len;
	cv_bufq_push(&a->s->path->ctl, b);
	cv_node_dirty(&a->node, a->s->path->link);
	pair_settle(p);
}

static uint64_t inject_stream(
	struct pair *p, uint64_t flow, uint64_t offset, uint32_t len, bool fin)
{
	static uint8_t bytes[CV_STREAM_HEAD + 1000];
	uint64_t was = pair_drop(p, B, CV_DROP_MALFORMED);
	struct cv_frame f = {
		.flow = flow, .value = offset, .len = len, .fin = fin
	};
	size_t n = cv_frame_put_stream(bytes, &f, false);
	for (uint32_t i = 0; i < len; i++)
		bytes[n + i] = streams_byte(offset + i);
	inject(p, bytes, n + len);
	return pair_drop(p, B, CV_DROP_MALFORMED) - was;
}

/* what waits for a lost packet is no reason to hold the sender up */
static void test_window_grows_behind_hole(void **state)
{
	enum { LEN = 1000 };
	struct pair *p = pair_streams();
	struct cv_end *e[2];
	(void)state;
	open_ends(p, e);
	for (uint64_t at = LEN; at < CV_STREAM_WINDOW * 3 / 8; at += LEN)
		assert_int_equal(
			inject_stream(p, e[A][1].id, at, LEN, false), 0);
	assert_int_equal(streams_got(e[B]), 0);
	assert_int_equal(stream_of(e[B])->window, 2 * CV_STREAM_WINDOW);
	pair_free(p);
}

static uint64_t inject_window(
	struct pair *p, uint64_t flow, uint64_t taken, uint64_t value)
{
	uint8_t bytes[CV_FRAME_SHORT];
	uint64_t was = pair_drop(p, B, CV_DROP_MALFORMED);
	size_t n =
		cv_frame_put(bytes, &(struct cv_frame){ .type = CV_FRAME_WINDOW,
					    .flow = flow,
					    .taken = taken,
					    .value = value });
	inject(p, bytes, n);
	return pair_drop(p, B, CV_DROP_MALFORMED) - was;
}

static uint64_t inject_session_window(struct pair *p, uint64_t value)
{
	uint8_t bytes[CV_FRAME_SHORT];
	uint64_t was = pair_drop(p, B, CV_DROP_MALFORMED);
	struct cv_frame f = { .type = CV_FRAME_SESSION_WINDOW, .value = value };
	inject(p, bytes, cv_frame_put(bytes, &f));
	return pair_drop(p, B, CV_DROP_MALFORMED) - was;
}

static void test_hostile(void **state)
{
	struct pair *p = pair_streams();
	struct cv_end *e[2];
	(void)state;
	open_ends(p, e);
	uint64_t id = e[A][1].id;
	assert_int_equal(inject_stream(p, id, 50, 50, false), 0);
	assert_int_equal(inject_stream(p, id, CV_STREAM_WINDOW, 1, false), 1);
	assert_int_equal(
		inject_stream(p, id, UINT64_C(1) << 61, 100, false), 1);
	assert_int_equal(inject_stream(p, id, 0, 100, false), 0);
	assert_int_equal(streams_got(e[B]), 100);
	assert_int_equal(inject_stream(p, id, 10, 50, false), 0); /* again */
	assert_int_equal(inject_stream(p, id, 0, 50, true), 1);
	assert_int_equal(inject_stream(p, id, 100, 10, true), 0);
	assert_int_equal(inject_stream(p, id, 100, 11, true), 1);
	assert_int_equal(inject_stream(p, id, 110, 1, false), 1);
	assert_int_equal(streams_got(e[B]), 110);
	assert_int_equal(p->side[B].edge.fins, 1);
	/* of a flow that was ours, of one still to come: no harm */
	assert_int_equal(inject_stream(p, 99, 0, 10, false), 0);
	assert_int_equal(inject_stream(p, 998, 0, 10, false), 0);
	/* windows: of more than was sent, of too many, of no flow */
	assert_int_equal(inject_window(p, id, 1, 100), 1);
	assert_int_equal(inject_window(p, id, 0, CV_STREAM_WINDOW_MAX + 1), 1);
	assert_int_equal(inject_window(p, 998, 5, 100), 0);
	assert_int_equal(inject_window(p, id, 0, CV_STREAM_WINDOW_MAX), 0);
	assert_int_equal(stream_of(e[B])->tx.limit, CV_STREAM_WINDOW_MAX);
	assert_int_equal(inject_window(p, id, 0, 1), 0); /* never shrinks */
	assert_int_equal(stream_of(e[B])->tx.limit, CV_STREAM_WINDOW_MAX);
	uint64_t before = p->side[B].s->transport->tx_window;
	assert_int_equal(
		inject_session_window(p, CV_SESSION_WINDOW_MAX + 1), 1);
	assert_int_equal(p->side[B].s->transport->tx_window, before);
	assert_int_equal(inject_session_window(p, CV_SESSION_WINDOW_MAX), 0);
	assert_int_equal(
		p->side[B].s->transport->tx_window, CV_SESSION_WINDOW_MAX);
	pair_free(p);
}

static void test_stream_for_datagrams(void **state)
{
	struct pair *p = pair_streams();
	(void)state;
	struct cv_end *e[2];
	open_ends(p, e);
	struct cv_flow *f = pair_open(p, 77, "udp://127.0.0.1:5");
	pair_say(p, f, 10);
	pair_settle(p);
	assert_int_equal(inject_stream(p, f->end[1].id, 0, 10, false), 1);
	pair_free(p);
}

/* more than the session's window, which the streams' own ones let through:
   refused, and the accounts stay right */
static void test_beyond_session(void **state)
{
	struct pair *p = pair_streams();
	struct cv_end *e[2];
	(void)state;
	open_ends(p, e);
	struct cv_transport *t = p->side[B].s->transport;
	uint64_t id = e[A][1].id;
	p->side[B].edge.hoard = true;
	assert_int_equal(inject_stream(p, id, 0, 400, false), 0);
	uint64_t out = t->rx_out;
	t->rx_window = 500;
	assert_int_equal(inject_stream(p, id, 400, 1000, true), 1);
	assert_int_equal(t->rx_out, out);
	t->rx_window = CV_SESSION_WINDOW;
	/* when it comes again it counts, and it is not yet final */
	assert_int_equal(inject_stream(p, id, 400, 900, false), 0);
	assert_int_equal(t->rx_out, out + 900);
	assert_int_equal(inject_stream(p, id, 1300, 100, true), 0);
	streams_take(p, e[B], 1000);
	cv_flow_close(&p->side[B].node, cv_end_flow(e[B]), NULL, CV_RESET_DONE,
		p->now);
	assert_int_equal(t->rx_out, 0);
	assert_int_equal(t->untold, 0);
	pair_free(p);
}

/* no memory at all for one: refused, nothing left */
static void test_no_memory(void **state)
{
	struct pair *p = pair_streams();
	(void)state;
	for (int i = 0; i < 2; i++) {
		p->side[i].mem.fail_all = true;
		struct cv_flow *f = streams_open(p, 3);
		assert_true(i == B || !f);
		pair_settle(p);
		p->side[i].mem.fail_all = false;
		pair_run(p, p->now + CV_SEC(1));
	}
	assert_int_equal(p->side[A].edge.closes, 1);
	assert_int_equal(p->side[A].edge.why, CV_RESET_LIMIT);
	assert_int_equal(held(p), 0);
	pair_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_end_is_taken_at_once),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_window_grows),
		cmocka_unit_test(test_window_grows_behind_hole),
		cmocka_unit_test(test_slow_reader_window_stays),
		cmocka_unit_test(test_session_window),
		cmocka_unit_test(test_outlives_link),
		cmocka_unit_test(test_opened_before_link),
		cmocka_unit_test(test_left_alone),
		cmocka_unit_test(test_over),
		cmocka_unit_test(test_hungry),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_stream_for_datagrams),
		cmocka_unit_test(test_beyond_session),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
