/* SPDX-License-Identifier: MIT */
#include "core/stream.h"

#include "core/credit.h"
#include "core/node.h"
#include "core/transport.h"

static void on_room(struct cv_waiter *w)
{
	struct cv_stream *st = CV_CONTAINER(w, struct cv_stream, room);
	struct cv_end *e = cv_end_other(st->end);
	if (e->edge)
		e->edge->ops->resume(e->edge, e);
}

int cv_stream_new(struct cv_flow *f, struct cv_end *e)
{
	struct cv_session *s = e->session;
	struct cv_env *env = &s->node->env;
	struct cv_transport *t = cv_transport_get(s);
	struct cv_stream *st = t ? env->alloc(env->user, sizeof *st) : NULL;
	if (!st)
		return CULVERT_ENOMEM;
	st->flow = f;
	st->end = e;
	st->transport = t;
	st->window = CV_STREAM_WINDOW;
	st->tuned.most = CV_STREAM_WINDOW_MAX;
	st->tx.limit = CV_STREAM_WINDOW;
	st->room.resume = on_room;
	cv_list_init(&st->turn);
	cv_list_init(&st->room.list);
	cv_rcvbuf_init(&st->rx, CV_STREAM_WINDOW);
	f->stream = st;
	return 0;
}

struct cv_stream *cv_stream_find(struct cv_session *s, uint64_t id)
{
	struct cv_flow *f = cv_flow_find_id(&s->node->flows, s, id);
	return f && f->stream && f->stream->transport ? f->stream : NULL;
}

void cv_stream_leave(struct cv_stream *st)
{
	if (!st->transport)
		return;
	struct cv_node *n = st->transport->session->node;
	struct cv_transport *t = st->transport;
	t->tx_out -= st->tx.next - st->taken;
	t->rx_out -= st->rx.highest - st->told;
	t->untold -= st->rx.taken - st->told;
	cv_transport_relax(t);
	cv_list_del(&st->turn);
	cv_list_del(&st->room.list);
	cv_sndbuf_clear(&st->tx, &n->env, &n->pool);
	cv_rcvbuf_clear(&st->rx, &n->env, &n->pool);
	st->transport = NULL;
}

void cv_stream_free(struct cv_stream *st, struct cv_node *n)
{
	if (!st)
		return;
	cv_stream_leave(st);
	n->env.free(n->env.user, st, sizeof *st);
}

bool cv_stream_wants(const struct cv_stream *st)
{
	return st->tell ||
	       cv_sndbuf_wants(&st->tx, cv_transport_fresh(st->transport));
}

/* where it belongs: in the ring, behind the session's window, or nowhere */
void cv_stream_turn(struct cv_stream *st)
{
	struct cv_transport *t = st->transport;
	bool waits = !cv_list_empty(&st->turn) && !st->stalled;
	if (cv_stream_wants(st)) {
		st->stalled = false;
		if (!waits)
			cv_list_append(&t->turns, &st->turn);
	} else if (cv_sndbuf_wants(&st->tx, UINT64_MAX)) {
		st->stalled = true;
		cv_list_append(&t->stalled, &st->turn);
	} else {
		st->stalled = false;
		cv_list_del(&st->turn);
	}
}

void cv_stream_wake(struct cv_stream *st, cv_time now)
{
	struct cv_session *s = st->transport->session;
	cv_stream_turn(st);
	cv_session_open(s, st->end);
	if (!st->asked && st->end->side && st->flow->epoch == s->epoch)
		st->asked = now ? now : 1;
	if (!s->links)
		cv_session_want(s, now);
	cv_session_wake(s, now);
}

/* bytes that may wait to be sent: what a train or two needs, no more */
static uint64_t most_unsent(const struct cv_stream *st)
{
	uint64_t cwnd = st->transport->path ? st->transport->cc.cwnd : 0;
	if (cwnd < CV_UNSENT_MIN)
		cwnd = st->transport->path ? CV_UNSENT_MIN : CV_UNSENT_LINK;
	return cwnd < CV_UNSENT_MAX ? cwnd : CV_UNSENT_MAX;
}

static void feed(struct cv_stream *st)
{
	struct cv_node *n = st->transport->session->node;
	if (!st->starved || cv_sndbuf_unsent(&st->tx) > most_unsent(st) / 2)
		return;
	st->starved = false;
	cv_list_append(&n->resumed, &st->room.list);
}

/* the frame head in front of the piece that is next */
static size_t head_size(const struct cv_stream *st)
{
	return 1 + cv_varint_size(st->end->id) +
	       cv_varint_size(cv_sndbuf_next(&st->tx));
}

static size_t put_window(struct cv_stream *st, uint8_t *p, size_t room)
{
	struct cv_transport *t = st->transport;
	if (room < CV_FRAME_SHORT || !t->parts)
		return 0;
	st->tell = false;
	st->rx.limit = st->rx.taken + st->window;
	t->rx_out -= st->rx.taken - st->told;
	t->untold -= st->rx.taken - st->told;
	st->told = st->rx.taken;
	cv_transport_part(t, CV_PART_WINDOW, st->end->id);
	return cv_frame_put(p, &(struct cv_frame){ .type = CV_FRAME_WINDOW,
				       .flow = st->end->id,
				       .taken = st->told,
				       .value = st->window });
}

static size_t put_piece(struct cv_stream *st, uint8_t *p, size_t room)
{
	struct cv_transport *t = st->transport;
	struct cv_node *n = t->session->node;
	size_t head = head_size(st);
	struct cv_piece piece;
	if (room <= head || !t->parts ||
		!cv_sndbuf_take(&st->tx, &n->env, (uint32_t)(room - head),
			cv_transport_fresh(t), &piece))
		return 0;
	struct cv_part *part =
		cv_transport_part(t, CV_PART_STREAM, st->end->id);
	part->offset = piece.offset;
	part->len = piece.len;
	part->fin = piece.fin;
	if (piece.again)
		t->retransmitted += piece.len;
	else
		t->tx_out += piece.len;
	bool last = room - head - piece.len < CV_FRAME_LEAST;
	head = cv_frame_put_stream(p,
		&(struct cv_frame){ .flow = st->end->id,
			.value = piece.offset,
			.len = piece.len,
			.fin = piece.fin },
		last);
	cv_sndbuf_copy(&st->tx, piece.offset, piece.len, p + head);
	return head + piece.len;
}

size_t cv_stream_put(struct cv_stream *st, uint8_t *p, size_t room)
{
	size_t n = st->tell ? put_window(st, p, room) : 0, more;
	while (room - n >= CV_FRAME_LEAST &&
		(more = put_piece(st, p + n, room - n)))
		n += more;
	feed(st);
	cv_stream_turn(st);
	return n;
}

/* in order: to the edge, where it lies */
static void deliver(struct cv_stream *st, const uint8_t *p, size_t len)
{
	struct cv_node *n = st->transport->session->node;
	struct cv_end *e = cv_end_other(st->end);
	cv_rcvbuf_advance(&st->rx, len, &n->spent);
	bool fin = !st->ended && cv_rcvbuf_complete(&st->rx);
	if ((!len && !fin) || !e->edge)
		return;
	st->ended |= fin;
	e->edge->ops->stream(e->edge, e, p, len, fin);
	cv_node_edge_dirty(n, e->edge);
}

/* whether both windows let it in; if so it counts */
static int check(struct cv_stream *st, const struct cv_frame *f)
{
	struct cv_transport *t = st->transport;
	struct cv_rcvbuf *rx = &st->rx;
	uint64_t highest = rx->highest, final = rx->final;
	int64_t rose = cv_rcvbuf_check(rx, f->value, f->len, f->fin);
	if (rose < 0)
		return CULVERT_EPROTO;
	if (t->rx_out + (uint64_t)rose > t->rx_window) {
		rx->highest = highest;
		rx->final = final;
		return CULVERT_EPROTO;
	}
	t->rx_out += (uint64_t)rose;
	return 0;
}

/* the consumer keeps up: what holds the sender up may be the window */
static void widen(struct cv_stream *st, cv_time now)
{
	struct cv_rcvbuf *rx = &st->rx;
	uint32_t before = st->window;
	if (rx->next - rx->taken > st->window / 16 || rx->final != UINT64_MAX)
		return;
	/* what came fast may wait in the buffers of a program that stopped */
	if (before >= CV_STREAM_WINDOW_SURE && rx->highest / 4 < before)
		return;
	cv_transport_grow(
		st->transport, &st->window, &st->tuned, rx->highest, now);
	if (st->window == before)
		return;
	st->tell = true;
	cv_transport_widen(st->transport, st->window);
	cv_stream_wake(st, now);
}

int cv_stream_input(struct cv_stream *st, const struct cv_frame *f, cv_time now)
{
	struct cv_node *n = st->transport->session->node;
	if (check(st, f))
		return CULVERT_EPROTO;
	if (st->rx.taken == st->rx.next) /* nothing waits: its time begins */
		st->took = now;
	cv_credit_arrived(st->transport, now);
	int64_t old = cv_rcvbuf_direct(&st->rx, f->value, f->len);
	size_t len;
	if (old >= 0) {
		deliver(st, f->data + old, f->len - (size_t)old);
	} else {
		int err = cv_rcvbuf_put(
			&st->rx, &n->pool, f->value, f->data, f->len);
		if (err)
			return err;
	}
	/* an edge that takes the last of it ends the flow */
	for (const uint8_t *p;
		st->transport && (p = cv_rcvbuf_ready(&st->rx, &len));)
		deliver(st, p, len);
	if (st->transport) /* the end may have come by itself */
		deliver(st, f->data, 0);
	if (st->transport)
		widen(st, now);
	return 0;
}

int cv_stream_window(
	struct cv_stream *st, const struct cv_frame *f, cv_time now)
{
	struct cv_transport *t = st->transport;
	if (f->taken > st->tx.next || f->value > CV_STREAM_WINDOW_MAX)
		return CULVERT_EPROTO;
	if (f->taken > st->taken) {
		t->tx_out -= f->taken - st->taken;
		st->taken = f->taken;
	}
	if (f->taken + f->value > st->tx.limit)
		st->tx.limit = f->taken + f->value;
	cv_transport_relax(t);
	cv_stream_wake(st, now);
	return 0;
}

void cv_stream_acked(struct cv_stream *st, const struct cv_part *part)
{
	struct cv_node *n = st->transport->session->node;
	cv_sndbuf_acked(&st->tx, &n->pool, part->offset,
		part->offset + part->len, part->fin);
	feed(st);
	cv_stream_settle(st);
}

void cv_stream_lost(
	struct cv_stream *st, const struct cv_part *part, cv_time now)
{
	struct cv_node *n = st->transport->session->node;
	cv_sndbuf_lost(&st->tx, &n->env, part->offset, part->offset + part->len,
		part->fin);
	cv_stream_wake(st, now);
}

bool cv_stream_unmet(const struct cv_stream *st, cv_time began, cv_time until)
{
	bool heard = st->flow->state == CV_FLOW_OPEN || st->rx.highest ||
		     st->rx.final != UINT64_MAX || st->taken || st->tx.base ||
		     st->tx.acked.count;
	return st->transport && st->end->side && !heard &&
	       (!st->asked ||
		       (began && began <= st->asked && st->asked <= until));
}

void cv_stream_again(struct cv_stream *st, cv_time now)
{
	struct cv_transport *t = st->transport;
	t->tx_out -= st->tx.next;
	cv_sndbuf_again(&st->tx, &t->session->node->env);
	st->tx.limit = CV_STREAM_WINDOW;
	st->asked = 0;
	cv_transport_relax(t);
	cv_stream_wake(st, now);
}

void cv_stream_settle(struct cv_stream *st)
{
	if (!cv_sndbuf_done(&st->tx) || !cv_rcvbuf_complete(&st->rx) ||
		st->rx.taken != st->rx.next)
		return;
	struct cv_flow *f = st->flow;
	struct cv_node *n = st->transport->session->node;
	cv_stream_leave(st);
	cv_session_disown(f);
	cv_flow_orphan(&n->flows, f, &n->orphans);
}

/* --- what edges call --- */

uint8_t *cv_flow_room(struct cv_node *n, struct cv_end *from, size_t *len)
{
	struct cv_stream *st = cv_end_flow(from)->stream;
	if (!st->transport)
		return NULL;
	uint64_t most = most_unsent(st), unsent = cv_sndbuf_unsent(&st->tx);
	st->starved = true;
	if (unsent >= most)
		return NULL;
	if (*len > most - unsent)
		*len = (size_t)(most - unsent);
	uint8_t *p = cv_sndbuf_room(&st->tx, &n->pool, len);
	if (!p) {
		cv_list_append(&n->hungry, &st->room.list);
		return NULL;
	}
	st->starved = false;
	return p;
}

void cv_flow_wrote(
	struct cv_node *n, struct cv_end *from, size_t len, cv_time now)
{
	struct cv_flow *f = cv_end_flow(from);
	struct cv_stream *st = f->stream;
	if (!st->transport)
		return;
	cv_sndbuf_wrote(&st->tx, &n->pool, len);
	if (!len)
		return;
	cv_flow_touch(&n->flows, f, now);
	cv_stream_wake(st, now);
}

void cv_flow_finish(struct cv_node *n, struct cv_end *from, cv_time now)
{
	struct cv_stream *st = cv_end_flow(from)->stream;
	(void)n;
	if (!st->transport)
		return;
	cv_sndbuf_finish(&st->tx);
	cv_stream_wake(st, now);
}

void cv_flow_took(struct cv_node *n, struct cv_end *to, size_t len, cv_time now)
{
	struct cv_flow *f = cv_end_flow(to);
	struct cv_stream *st = f->stream;
	struct cv_transport *t = st->transport;
	if (!t)
		return;
	st->rx.taken += len;
	st->took = now;
	cv_flow_touch(&n->flows, f, now);
	if (st->rx.final == UINT64_MAX &&
		st->rx.limit - st->rx.taken < st->window / 2)
		st->tell = true;
	cv_transport_took(t, len, now);
	if (st->tell)
		cv_stream_wake(st, now);
	cv_stream_settle(st);
}
