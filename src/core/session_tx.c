/* SPDX-License-Identifier: MIT */
#include "core/node.h"
#include "core/transport.h"

#include <string.h>

/* room for a control frame of up to @need bytes, or NULL */
static struct cv_buf *control_room(struct cv_session *s, size_t need)
{
	struct cv_buf *b = s->ctl.tail;
	if (b && cv_buf_room(b) >= need && b->frames < CV_PACKET_OPENS)
		return b;
	b = s->ctl.count < CV_CTL_BUFS ? cv_buf_small(&s->node->pool) : NULL;
	if (b)
		cv_bufq_push(&s->ctl, b);
	return b;
}

static void control_took(struct cv_session *s, struct cv_buf *b, size_t n)
{
	cv_bufq_grew(&s->ctl, b, n);
	b->frames++;
	if (s->turn)
		cv_node_dirty(s->node, s->turn->link);
}

void cv_session_control(
	struct cv_session *s, const struct cv_frame *f, cv_time now)
{
	(void)now;
	struct cv_buf *b = s->ready || s->transport
				   ? control_room(s, CV_FRAME_SHORT)
				   : NULL;
	if (b)
		control_took(s, b, cv_frame_put(cv_buf_end(b), f));
}

static void drop_head(struct cv_session *s, enum cv_drop why)
{
	uint32_t n;
	s->bound = false;
	/* an OPEN that had no room beside its datagram goes with it */
	do {
		struct cv_buf *b = cv_txq_take(&s->txq);
		n = b->dgrams;
		cv_session_drop(s, why, n);
		cv_buf_free(&s->node->pool, b);
	} while (!n && s->txq.q.head);
}

void cv_session_expire(struct cv_session *s, cv_time now)
{
	bool up = cv_session_up(s);
	cv_time age = up ? s->node->max_age : CV_HOLD_AGE;
	while (s->txq.q.head && now - s->txq.q.head->time > age)
		drop_head(s, up ? CV_DROP_AGED : CV_DROP_NO_SESSION);
	while (s->txq.q.bytes > CV_TXQ_BYTES)
		drop_head(s, CV_DROP_QUEUE_FULL);
	/* what is held for a session to come is little, and the newest */
	while (!up && s->txq.q.count > CV_HOLD_DGRAMS)
		drop_head(s, CV_DROP_NO_SESSION);
}

static struct cv_frame open_frame(const struct cv_flow *f, uint64_t id)
{
	return (struct cv_frame){
		.type = CV_FRAME_OPEN,
		.kind = f->kind,
		.flow = id,
		.len = (uint32_t)strlen(f->target),
		.data = (uint8_t *)(uintptr_t)f->target,
	};
}

/*
 * Ask the peer for the flow, unless it was asked or has it already.  Control
 * frames overtake datagrams and do not age, so the OPEN comes first.
 */
int cv_session_open(struct cv_session *s, struct cv_end *e)
{
	struct cv_flow *f = cv_end_flow(e);
	if (!e->side || f->state != CV_FLOW_OPENING || f->epoch == s->epoch ||
		!cv_session_up(s))
		return 0;
	struct cv_frame open = open_frame(f, e->id);
	struct cv_buf *b = control_room(s, CV_OPEN_HEAD + open.len);
	if (!b)
		return CULVERT_ENOMEM;
	control_took(s, b, cv_frame_put_open(cv_buf_end(b), &open));
	f->epoch = s->epoch;
	return 0;
}

/* no session yet: each train waits with an OPEN of its own in front of it */
static uint64_t hold(struct cv_session *s, struct cv_end *e,
	const struct cv_frame *train, cv_time now)
{
	struct cv_frame open;
	if (e->side)
		open = open_frame(cv_end_flow(e), e->id);
	return cv_txq_hold(
		&s->txq, &s->node->pool, e->side ? &open : NULL, train, now);
}

/*
 * With several links a datagram may overtake an OPEN that went over another,
 * so until the flow is confirmed there is one in every packet.
 */
static uint64_t enqueue_opening(struct cv_session *s, struct cv_end *e,
	const struct cv_frame *train, cv_time now)
{
	struct cv_flow *f = cv_end_flow(e);
	struct cv_frame open = open_frame(f, e->id);
	f->epoch = s->epoch;
	return cv_txq_put_open(&s->txq, &s->node->pool, &open, train, now);
}

static uint64_t enqueue(struct cv_session *s, struct cv_end *e,
	const struct cv_frame *train, cv_time now)
{
	bool blocked = s->turn->link->blocked;
	uint32_t limit = blocked ? CV_CHUNK_BLOCKED : CV_PACKET_MAX;
	/* where packets may overtake each other */
	bool loose = s->cur->links > 1 || cv_path_datagram(s->turn);
	if (loose && e->side && cv_end_flow(e)->state == CV_FLOW_OPENING)
		return enqueue_opening(s, e, train, now);
	if (cv_session_open(s, e))
		return cv_frame_count(train);
	if (s->ready > 1)
		limit = blocked ? CV_CHUNK_SHARED : CV_CHUNK_SPREAD;
	return cv_txq_put(&s->txq, &s->node->pool, train, limit, now);
}

static void count(struct cv_stats *st, uint64_t n, uint32_t bytes)
{
	st->tx_dgrams += n;
	st->tx_dgram_bytes += bytes;
}

int cv_session_dgram(struct cv_session *s, struct cv_end *e,
	const struct cv_frame *train, cv_time now)
{
	bool up = cv_session_up(s), idle = !s->txq.q.head;
	uint64_t n = cv_frame_count(train), lost;
	struct cv_frame f = *train;

	count(&s->stats, n, train->len);
	count(&s->node->stats, n, train->len);
	if (s->node->draining) {
		cv_session_drop(s, CV_DROP_NO_SESSION, n);
		return 0;
	}
	f.flow = e->id;
	lost = up ? enqueue(s, e, &f, now) : hold(s, e, &f, now);
	if (lost)
		cv_session_drop(s, CV_DROP_NO_BUFFER, lost);
	if (!s->links)
		cv_session_want(s, now);
	cv_session_wake(s, now);
	bool blocked = !up || s->turn->link->blocked;
	if (blocked)
		cv_session_expire(s, now);
	if (idle)
		cv_session_schedule(s, now);
	return blocked;
}

static void wake_all(struct cv_session *s)
{
	for (struct cv_path *p = NULL; (p = cv_path_next(s, p));)
		cv_node_dirty(s->node, p->link);
}

/* a CLOSE behind everything that is queued, on every link */
void cv_session_goodbye(struct cv_session *s)
{
	s->leaving = true;
	wake_all(s);
}

bool cv_session_drained(struct cv_session *s)
{
	struct cv_path *p = NULL;
	while ((p = cv_path_next(s, p))) {
		if (p->link->blocked || (p->ready && s->leaving && !p->left))
			return false;
	}
	const struct cv_transport *t = s->transport;
	return !s->ctl.head && !s->txq.q.head &&
	       !(t && (cv_transport_wants(t) || cv_slice_pending(&t->slice)));
}

/* a control packet says when it left: the peer's measure of what is late */
static void stamp(struct cv_buf *b, cv_time now)
{
	b->off -= CV_TIME_SIZE;
	b->len += CV_TIME_SIZE;
	cv_frame_put_time(cv_buf_data(b), now);
}

/* header and tag around @len bytes of frames, which lie behind the header's
   place: bytes of the packet, or 0 */
size_t cv_session_seal(struct cv_session *s, uint8_t *p, size_t len)
{
	struct cv_keys *k = s->cur;
	cv_head_put(
		p, k->tx ? CV_PACKET_DATA : CV_PACKET_PLAIN_DATA, k->remote);
	cv_put64(p + 8, s->number);
	if (k->tx && cv_aead_seal(k->tx, s->number, CV_NO_BYTES,
			     p + CV_DATA_HEAD, len))
		return 0;
	s->number++;
	return CV_DATA_HEAD + len + (k->tx ? CV_TAG : 0);
}

struct cv_buf *cv_session_challenge(
	struct cv_session *s, uint64_t token, cv_time now)
{
	if (!cv_session_up(s) || !cv_keys_usable(s->cur, now))
		return NULL;
	struct cv_buf *b = cv_buf_small(&s->node->pool);
	if (!b)
		return NULL;
	uint8_t *p = cv_buf_data(b);
	size_t n = cv_frame_put(p + CV_DATA_HEAD,
		&(struct cv_frame){
			.type = CV_FRAME_CHALLENGE, .value = token });
	b->len = (uint32_t)cv_session_seal(s, p, n);
	if (b->len)
		return b;
	cv_buf_free(&s->node->pool, b);
	return NULL;
}

static int seal(struct cv_session *s, struct cv_buf *b)
{
	b->off -= CV_DATA_HEAD;
	size_t n = cv_session_seal(s, cv_buf_data(b), b->len);
	b->len = (uint32_t)n;
	return n ? 0 : CULVERT_ECRYPTO;
}

/* the last packet of a link, once */
static struct cv_buf *leave(struct cv_path *p)
{
	struct cv_session *s = p->link->session;
	if (!s->leaving || p->left)
		return NULL;
	p->left = true;
	cv_path_control(p, &(struct cv_frame){ .type = CV_FRAME_CLOSE });
	return cv_bufq_pop(&p->ctl);
}

/* the next packet goes over another link, if that is better */
static void pass_turn(struct cv_path *p, const struct cv_buf *b, cv_time now)
{
	struct cv_session *s = p->link->session;
	bool more = s->ctl.head || s->txq.q.head;
	p->used = s->stats.tx_packets + 1;
	/* an OPEN that had no room beside its datagram leads it */
	s->bound = !b->dgrams && b->time && s->txq.q.head;
	if (s->ready > 1 && more && cv_path_turn(s, now) != p)
		cv_node_dirty(s->node, s->turn->link);
	if (s->leaving && !more)
		wake_all(s);
}

/* streams come last: they wait, datagrams do not */
static struct cv_buf *take_streams(struct cv_path *p, bool *kept, cv_time now)
{
	struct cv_session *s = p->link->session;
	struct cv_buf *b = s->transport && s->turn == p
				   ? cv_transport_chunk(s->transport)
				   : NULL;
	*kept = b != NULL;
	if (b && s->ready > 1 && cv_path_turn(s, now) != p)
		cv_node_dirty(s->node, s->turn->link);
	return b ? b : leave(p);
}

/* what any link may carry; @kept: it is remembered until acknowledged */
static struct cv_buf *take(struct cv_path *p, bool *kept, cv_time now)
{
	struct cv_session *s = p->link->session;
	struct cv_buf *b;
	cv_session_expire(s, now);
	if (!s->ctl.head && !s->txq.q.head) {
		while (!cv_list_empty(&s->waiters))
			cv_list_append(&s->node->resumed, s->waiters.next);
		return take_streams(p, kept, now);
	}
	if (s->turn != p)
		return NULL;
	b = s->bound ? NULL : cv_bufq_pop(&s->ctl);
	if (b && s->transport)
		*kept = cv_transport_track(s->transport, b);
	if (!b)
		b = cv_txq_take(&s->txq);
	pass_turn(p, b, now);
	return b;
}

struct cv_buf *cv_session_output(struct cv_path *p, cv_time now)
{
	struct cv_session *s = p->link->session;
	struct cv_buf *b = s->hs_path == p ? s->hello : NULL;
	bool kept = false;
	if (b) {
		s->hello = NULL;
		return b;
	}
	if (!cv_session_up(s) || !cv_keys_usable(s->cur, now))
		return NULL;
	b = cv_bufq_pop(&p->ctl);
	if (!b && p->ready && s->transport)
		b = cv_transport_ack(s->transport, now);
	if (!b && p->ready)
		b = take(p, &kept, now);
	if (!b)
		return NULL;
	if (!b->time)
		stamp(b, now);
	uint64_t number = s->number;
	if (seal(s, b)) {
		if (kept)
			cv_transport_spoilt(s->transport, now);
		cv_session_drop(s, CV_DROP_NO_BUFFER, b->dgrams);
		cv_buf_free(&s->node->pool, b);
		return NULL;
	}
	if (kept)
		cv_transport_left(
			s->transport, number, b->len, cv_path_number(p), now);
	s->stats.tx_packets++;
	s->stats.tx_bytes += b->len;
	return b;
}

/* that of the path: there may have been no memory when it became ready */
static struct cv_transport *transport_on(struct cv_path *p, cv_time now)
{
	struct cv_session *s = p->link->session;
	struct cv_transport *t = p->ready ? cv_transport_get(s) : NULL;
	if (t && !t->path)
		cv_transport_path(t, p, now);
	return t && t->path == p ? t : NULL;
}

/* the same for a datagram link: @hello, or a train */
bool cv_session_train(struct cv_path *p, struct cv_train *out, cv_time now)
{
	struct cv_session *s = p->link->session;
	struct cv_transport *t;
	if (s->hs_path == p && s->hello) {
		*out = (struct cv_train){ .buf = s->hello,
			.seg = s->hello->len,
			.to = p->link->remote,
			.from = p->link->local };
		s->hello = NULL;
		return true;
	}
	if (!cv_session_up(s) || !cv_keys_usable(s->cur, now) ||
		(p->left && !p->ctl.head))
		return false;
	t = transport_on(p, now);
	if (!t)
		return false;
	if (!s->ctl.head && !s->txq.q.head) {
		while (!cv_list_empty(&s->waiters))
			cv_list_append(&s->node->resumed, s->waiters.next);
		if (s->leaving && !p->left && !cv_transport_wants(t)) {
			p->left = true;
			cv_path_control(p,
				&(struct cv_frame){ .type = CV_FRAME_CLOSE });
		}
	}
	if (!cv_transport_train(t, out, now))
		return false;
	s->stats.tx_packets += (out->buf->len + out->seg - 1) / out->seg;
	s->stats.tx_bytes += out->buf->len;
	return true;
}
