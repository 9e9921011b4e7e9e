/* SPDX-License-Identifier: MIT */
#include "core/txq.h"

#include <string.h>

static struct cv_buf *begin_chunk(
	struct cv_txq *t, struct cv_pool *pool, cv_time now)
{
	struct cv_buf *b = cv_buf_large(pool);
	if (!b)
		return NULL;
	b->time = now;
	b->len = (uint32_t)cv_frame_put_time(cv_buf_data(b), now);
	t->seg = 0;
	cv_bufq_push(&t->q, b);
	return b;
}

/* the chunk to append to: the newest one if it is young and has room */
static struct cv_buf *tail(struct cv_txq *t, struct cv_pool *pool, size_t need,
	uint32_t limit, cv_time now)
{
	struct cv_buf *b = t->q.tail;
	if (b && cv_buf_takes(b, need, limit, now) &&
		b->dgrams < CV_PACKET_DGRAMS)
		return b;
	return begin_chunk(t, pool, now);
}

static void append(struct cv_txq *t, struct cv_buf *b, const void *p, size_t n)
{
	memcpy(cv_buf_end(b), p, n);
	cv_bufq_grew(&t->q, b, n);
}

static void begin_train(
	struct cv_txq *t, struct cv_buf *b, uint64_t flow, uint32_t seg)
{
	uint8_t head[CV_DGRAM_HEAD];
	size_t n = 1;
	head[0] = CV_FRAME_DGRAM;
	n += cv_varint_put(head + n, flow);
	n += cv_varint_put(head + n, seg);
	cv_varint_put4(head + n, 0);
	append(t, b, head, n + 4);
	t->flow = flow;
	t->seg = seg;
	t->train = 0;
	t->train_at = b->len - 4;
}

/* as much of the train as fits; returns bytes taken */
static uint32_t put_some(
	struct cv_txq *t, struct cv_buf *b, const struct cv_frame *f)
{
	bool joins =
		t->seg && f->seg && t->flow == f->flow &&
		(t->seg == f->seg || (f->len == f->seg && f->len < t->seg));
	if (!joins)
		begin_train(t, b, f->flow, f->seg);
	uint32_t n = f->len, room = (uint32_t)cv_buf_room(b);
	if (f->seg && n > room)
		n = room / f->seg * f->seg;
	if (f->seg && n > (CV_PACKET_DGRAMS - b->dgrams) * f->seg)
		n = (CV_PACKET_DGRAMS - b->dgrams) * f->seg;
	append(t, b, f->data, n);
	t->train += n;
	cv_varint_put4(cv_buf_data(b) + t->train_at, t->train);
	b->dgrams += f->seg ? (n + f->seg - 1) / f->seg : 1;
	/* after a short or empty datagram a train is complete */
	if (!t->seg || t->train % t->seg)
		t->seg = 0;
	return n;
}

/* step over the @n bytes of a train that were taken; false at its end */
static bool advance(struct cv_frame *f, uint32_t n)
{
	f->data += n;
	f->len -= n;
	if (f->len && f->len < f->seg)
		f->seg = f->len;
	return f->len != 0;
}

uint64_t cv_txq_put(struct cv_txq *t, struct cv_pool *pool,
	const struct cv_frame *train, uint32_t limit, cv_time now)
{
	struct cv_frame f = *train;
	struct cv_buf *b;
	do {
		b = tail(t, pool, CV_DGRAM_HEAD + f.seg, limit, now);
		if (!b)
			return cv_frame_count(&f);
	} while (advance(&f, put_some(t, b, &f)));
	return 0;
}

/* a chunk of its own, or two if a datagram has no room beside the OPEN */
static struct cv_buf *begin_held(struct cv_txq *t, struct cv_pool *pool,
	const struct cv_frame *open, uint32_t seg, cv_time now)
{
	struct cv_buf *b = begin_chunk(t, pool, now);
	if (!b || !open)
		return b;
	size_t n = cv_frame_put_open(cv_buf_end(b), open);
	cv_bufq_grew(&t->q, b, n);
	b->frames++;
	return cv_buf_room(b) < CV_DGRAM_HEAD + seg ? begin_chunk(t, pool, now)
						    : b;
}

/* room for a datagram behind an OPEN, or in a chunk of its own behind that */
static struct cv_buf *tail_opened(struct cv_txq *t, struct cv_pool *pool,
	const struct cv_frame *open, uint32_t seg, cv_time now)
{
	size_t need = CV_OPEN_HEAD + open->len + CV_DGRAM_HEAD + seg;
	struct cv_buf *b = t->q.tail;
	if (!b || b->frames >= CV_PACKET_OPENS || cv_buf_room(b) < need)
		return begin_held(t, pool, open, seg, now);
	b = tail(t, pool, need, CV_CHUNK_SPREAD, now);
	if (!b)
		return NULL;
	cv_bufq_grew(&t->q, b, cv_frame_put_open(cv_buf_end(b), open));
	b->frames++;
	t->seg = 0;
	return b;
}

uint64_t cv_txq_put_open(struct cv_txq *t, struct cv_pool *pool,
	const struct cv_frame *open, const struct cv_frame *train, cv_time now)
{
	struct cv_frame f = *train;
	struct cv_buf *b;
	do {
		b = tail_opened(t, pool, open, f.seg, now);
		if (!b)
			return cv_frame_count(&f);
	} while (advance(&f, put_some(t, b, &f)));
	return 0;
}

uint64_t cv_txq_hold(struct cv_txq *t, struct cv_pool *pool,
	const struct cv_frame *open, const struct cv_frame *train, cv_time now)
{
	struct cv_frame f = *train;
	struct cv_buf *b;
	do {
		b = begin_held(t, pool, open, f.seg, now);
		if (!b)
			return cv_frame_count(&f);
	} while (advance(&f, put_some(t, b, &f)));
	t->seg = 0;
	return 0;
}

void cv_txq_restamp(struct cv_txq *t, cv_time now)
{

	for (struct cv_buf *b = t->q.head; b; b = b->next) {
		b->time = now;
		cv_frame_put_time(cv_buf_data(b), now);
	}
}

struct cv_buf *cv_txq_take(struct cv_txq *t)
{
	if (t->q.head == t->q.tail)
		t->seg = 0;
	return cv_bufq_pop(&t->q);
}

cv_time cv_txq_oldest(const struct cv_txq *t)
{
	return t->q.head ? t->q.head->time : CV_NEVER;
}
