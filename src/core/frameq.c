/* SPDX-License-Identifier: MIT */
#include "core/frameq.h"

#include <string.h>

/* datagrams and arrival times that share a chunk for a connection to come */
enum { HELD_DGRAMS = CV_HOLD_DGRAMS / 8 };
#define HELD_SPAN (CV_HOLD_AGE / 8)

static bool has_room(const struct cv_buf *b, size_t need,
	enum cv_frameq_mode mode, cv_time now)
{
	if (mode == CV_FRAMEQ_HELD)
		return b->dgrams < HELD_DGRAMS && cv_buf_room(b) >= need &&
		       now - b->time <= HELD_SPAN;
	return cv_buf_takes(b, need,
		mode == CV_FRAMEQ_BLOCKED ? CV_CHUNK_BLOCKED : UINT32_MAX, now);
}

/* the chunk to append to; the first one is small if it may be: most
   connections never have two */
static struct cv_buf *tail(struct cv_bufq *q, struct cv_pool *pool, size_t need,
	enum cv_frameq_mode mode, cv_time now)
{
	struct cv_buf *b = q->tail;
	if (b && has_room(b, need, mode, now))
		return b;
	bool small = need <= CV_SMALL && (!b || mode == CV_FRAMEQ_HELD);
	b = small ? cv_buf_small(pool) : cv_buf_large(pool);
	if (b) {
		b->time = now;
		cv_bufq_push(q, b);
	}
	return b;
}

static void put_one(
	struct cv_bufq *q, struct cv_buf *b, const uint8_t *p, uint32_t len)
{
	uint8_t *to = cv_buf_end(b);
	cv_put16(to, (uint16_t)len);
	memcpy(to + CV_FRAMING_HEAD, p, len);
	cv_bufq_grew(q, b, CV_FRAMING_HEAD + len);
	b->dgrams++;
}

uint64_t cv_frameq_put(struct cv_bufq *q, struct cv_pool *pool,
	const struct cv_frame *train, enum cv_frameq_mode mode, cv_time now)
{
	uint64_t left = cv_frame_count(train);
	const uint8_t *p = train->data, *end = p + train->len;
	for (; left; left--) {
		uint32_t len = train->seg;
		if ((size_t)(end - p) < len)
			len = (uint32_t)(end - p);
		struct cv_buf *b =
			tail(q, pool, CV_FRAMING_HEAD + len, mode, now);
		if (!b)
			break;
		put_one(q, b, p, len);
		p += len;
	}
	return left;
}

/* the oldest chunk of which nothing is on the wire goes */
static void drop_one(struct cv_bufq *q, struct cv_pool *pool, uint64_t *counter)
{
	struct cv_buf *begun = q->head->sent ? cv_bufq_pop(q) : NULL;
	struct cv_buf *b = cv_bufq_pop(q);
	*counter += b->dgrams;
	cv_buf_free(pool, b);
	if (begun)
		cv_bufq_prepend(q, begun);
}

/* the oldest chunk that may be dropped, or NULL */
static const struct cv_buf *oldest(const struct cv_bufq *q)
{
	return q->head && q->head->sent ? q->head->next : q->head;
}

void cv_frameq_expire(
	struct cv_bufq *q, struct cv_pool *pool, cv_time then, uint64_t *drop)
{
	const struct cv_buf *b;
	while ((b = oldest(q)) && b->time < then)
		drop_one(q, pool, &drop[CV_DROP_AGED]);
	while (q->bytes > CV_TXQ_BYTES && oldest(q))
		drop_one(q, pool, &drop[CV_DROP_QUEUE_FULL]);
}

static uint32_t dgrams(const struct cv_bufq *q)
{
	uint32_t n = 0;
	for (const struct cv_buf *b = q->head; b; b = b->next)
		n += b->dgrams;
	return n;
}

void cv_frameq_trim_held(
	struct cv_bufq *q, struct cv_pool *pool, cv_time now, uint64_t *drop)
{
	while (q->head &&
		(now - q->head->time > CV_HOLD_AGE ||
			dgrams(q) - q->head->dgrams >= CV_HOLD_DGRAMS))
		drop_one(q, pool, &drop[CV_DROP_NO_SESSION]);
}

void cv_frameq_restamp(struct cv_bufq *q, cv_time now)
{
	for (struct cv_buf *b = q->head; b; b = b->next)
		b->time = now;
}
