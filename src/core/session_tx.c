/* SPDX-License-Identifier: MIT */
#include "core/node.h"

#include <string.h>

void cv_session_control(
	struct cv_session *s, const struct cv_frame *f, cv_time now)
{
	struct cv_node *node = s->node;
	struct cv_buf *b = s->ctl.tail;
	(void)now;
	if (!s->link)
		return;
	if (!b || cv_buf_room(b) < 24) {
		b = s->ctl.count < CV_CTL_BUFS ? cv_buf_small(&node->pool)
					       : NULL;
		if (!b)
			return;
		cv_bufq_push(&s->ctl, b);
	}
	size_t n = cv_frame_put(cv_buf_end(b), f);
	b->len += (uint32_t)n;
	s->ctl.bytes += n;
	cv_node_dirty(node, s->link);
}

static void drop_head(struct cv_session *s, enum cv_drop why, cv_time now)
{
	struct cv_buf *b = cv_txq_take(&s->txq);
	cv_session_drop(s, why, b->dgrams);
	bool opens = b->opens;
	cv_buf_free(&s->node->pool, b);
	if (opens) {
		cv_session_new_epoch(s);
		if (cv_session_up(s))
			cv_session_open_pinned(s, now);
	}
}

void cv_session_expire(struct cv_session *s, cv_time now)
{
	bool up = cv_session_up(s);
	cv_time age = up ? s->node->max_age : CV_HOLD_AGE;
	while (s->txq.q.head && now - s->txq.q.head->time > age)
		drop_head(s, up ? CV_DROP_AGED : CV_DROP_NO_SESSION, now);
	while (s->txq.q.bytes > CV_TXQ_BYTES)
		drop_head(s, CV_DROP_QUEUE_FULL, now);
	/* what is held for a session to come is little, and the newest */
	while (!up && s->txq.q.count > CV_HOLD_DGRAMS)
		drop_head(s, CV_DROP_NO_SESSION, now);
}

/* ask the peer for the flow, unless it was asked or has it already */
void cv_session_open(struct cv_session *s, struct cv_end *e, cv_time now)
{
	struct cv_flow *f = cv_end_flow(e);
	if (!e->side || f->state != CV_FLOW_OPENING || f->epoch == s->epoch)
		return;
	struct cv_frame open = {
		.type = CV_FRAME_OPEN,
		.kind = f->kind,
		.flow = e->id,
		.len = (uint32_t)strlen(f->target),
		.data = (uint8_t *)(uintptr_t)f->target,
	};
	if (!cv_txq_open(&s->txq, &s->node->pool, &open, now))
		f->epoch = s->epoch;
}

int cv_session_dgram(struct cv_session *s, struct cv_end *e,
	const struct cv_frame *train, cv_time now)
{
	bool up = cv_session_up(s);
	bool idle = !s->txq.q.head;
	uint32_t limit = CV_PACKET_MAX;
	uint64_t n = cv_frame_count(train);
	struct cv_frame f = *train;

	if (!up)
		limit = 1; /* a chunk each, so that the newest can be kept */
	else if (s->link->blocked)
		limit = CV_CHUNK_BLOCKED;
	s->stats.tx_dgrams += n;
	s->stats.tx_dgram_bytes += train->len;
	s->node->stats.tx_dgrams += n;
	s->node->stats.tx_dgram_bytes += train->len;
	if (s->node->draining) {
		cv_session_drop(s, CV_DROP_NO_SESSION, n);
		return 0;
	}
	cv_session_open(s, e, now);
	f.flow = e->id;
	uint64_t lost = cv_txq_put(&s->txq, &s->node->pool, &f, limit, now);
	if (lost)
		cv_session_drop(s, CV_DROP_NO_BUFFER, lost);
	if (!up || s->link->blocked)
		cv_session_expire(s, now);
	if (idle)
		cv_session_schedule(s, now);
	if (!s->link)
		cv_session_want(s, now);
	else
		cv_node_dirty(s->node, s->link);
	return !up || s->link->blocked;
}

/* a CLOSE behind everything that is queued */
void cv_session_goodbye(struct cv_session *s, cv_time now)
{
	if (!cv_session_up(s))
		return;
	cv_txq_frame(&s->txq, &s->node->pool,
		&(struct cv_frame){ .type = CV_FRAME_CLOSE }, now);
	cv_node_dirty(s->node, s->link);
}

/* header and tag around the frames of a buffer, in place */
static int seal(struct cv_session *s, struct cv_buf *b)
{
	struct cv_keys *k = s->cur;
	uint8_t *frames = cv_buf_data(b);
	uint32_t len = b->len;

	b->off -= CV_DATA_HEAD;
	uint8_t *p = cv_buf_data(b);
	cv_head_put(
		p, k->tx ? CV_PACKET_DATA : CV_PACKET_PLAIN_DATA, k->remote);
	cv_put64(p + 8, k->number);
	b->len += CV_DATA_HEAD;
	if (k->tx) {
		if (cv_aead_seal(k->tx, k->number, CV_NO_BYTES, frames, len))
			return CULVERT_ECRYPTO;
		b->len += CV_TAG;
	}
	k->number++;
	return 0;
}

bool cv_session_pending(const struct cv_session *s, cv_time now)
{
	return s->hello || (cv_session_up(s) && cv_keys_usable(s->cur, now) &&
				   (s->ctl.head || s->txq.q.head));
}

struct cv_buf *cv_session_output(struct cv_session *s, cv_time now)
{
	struct cv_buf *b = s->hello;
	s->hello = NULL;
	if (b)
		return b;
	if (!cv_session_up(s) || !cv_keys_usable(s->cur, now))
		return NULL;
	cv_session_expire(s, now);
	b = cv_bufq_pop(&s->ctl);
	if (!b)
		b = cv_txq_take(&s->txq);
	if (!b) {
		while (!cv_list_empty(&s->waiters))
			cv_list_append(&s->node->resumed, s->waiters.next);
		return NULL;
	}
	if (seal(s, b)) {
		cv_session_drop(s, CV_DROP_NO_BUFFER, b->dgrams);
		cv_buf_free(&s->node->pool, b);
		return NULL;
	}
	s->tx_at = now;
	s->stats.tx_packets++;
	s->stats.tx_bytes += b->len;
	return b;
}
