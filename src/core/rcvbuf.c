/* SPDX-License-Identifier: MIT */
#include "core/rcvbuf.h"

#include <assert.h>
#include <string.h>

static_assert((int)CV_BLOCK <= (int)CV_FRAMES_MAX, "a block is a large buffer");

void cv_rcvbuf_init(struct cv_rcvbuf *r, uint64_t window)
{
	*r = (struct cv_rcvbuf){ .limit = window, .final = UINT64_MAX };
}

void cv_rcvbuf_clear(
	struct cv_rcvbuf *r, const struct cv_env *env, struct cv_pool *pool)
{
	cv_bufq_clear(&r->q, pool);
	cv_ranges_clear(&r->got, env);
	r->at = NULL;
}

int64_t cv_rcvbuf_check(
	struct cv_rcvbuf *r, uint64_t offset, uint32_t len, bool fin)
{
	if (offset > r->limit || len > r->limit - offset)
		return CULVERT_EPROTO;
	uint64_t end = offset + len, highest = r->highest;
	/* a final length that is known is the highest, too */
	if (end > r->final || (fin && end < highest))
		return CULVERT_EPROTO;
	if (fin)
		r->final = end;
	if (end <= highest)
		return 0;
	r->highest = end;
	return (int64_t)(end - highest);
}

/* stored bytes that are in order: up to where */
static uint64_t ready_to(const struct cv_rcvbuf *r)
{
	bool any = r->got.count && r->got.r[0].lo <= r->next;
	return any ? r->got.r[0].hi : r->next;
}

int64_t cv_rcvbuf_direct(
	const struct cv_rcvbuf *r, uint64_t offset, uint32_t len)
{
	if (offset > r->next || r->next - offset >= len ||
		ready_to(r) > r->next)
		return -1;
	return (int64_t)(r->next - offset);
}

/* the last block up to @number, or NULL */
static struct cv_buf *find(const struct cv_rcvbuf *r, uint64_t number)
{
	struct cv_buf *b = r->at;
	if (!b || b->time > number)
		b = r->q.head;
	if (!b || b->time > number)
		return NULL;
	while (b->next && b->next->time <= number)
		b = b->next;
	return b;
}

static void insert(struct cv_rcvbuf *r, struct cv_buf *after, struct cv_buf *b)
{
	if (!after) {
		cv_bufq_prepend(&r->q, b);
	} else if (!after->next) {
		cv_bufq_push(&r->q, b);
	} else {
		b->next = after->next;
		after->next = b;
		r->q.count++;
	}
}

static struct cv_buf *block(
	struct cv_rcvbuf *r, struct cv_pool *pool, uint64_t number)
{
	struct cv_buf *b = find(r, number);
	if (!b || b->time != number) {
		struct cv_buf *after = b;
		b = cv_pool_low(pool) ? NULL : cv_buf_large(pool);
		if (!b)
			return NULL;
		b->time = number;
		insert(r, after, b);
	}
	r->at = b;
	return b;
}

int cv_rcvbuf_put(struct cv_rcvbuf *r, struct cv_pool *pool, uint64_t offset,
	const uint8_t *data, uint32_t len)
{
	uint64_t end = offset + len;
	uint64_t at = offset > r->next ? offset : r->next;
	while (at < end) {
		struct cv_buf *b = block(r, pool, at / CV_BLOCK);
		if (!b)
			return CULVERT_ENOMEM;
		size_t skip = (size_t)(at % CV_BLOCK), n = CV_BLOCK - skip;
		if (n > end - at)
			n = (size_t)(end - at);
		int err = cv_ranges_add(
			&r->got, pool->env, at, at + n, CV_RCVBUF_RANGES);
		if (err)
			return err;
		memcpy(cv_buf_data(b) + skip, data + (at - offset), n);
		at += n;
	}
	return 0;
}

const uint8_t *cv_rcvbuf_ready(struct cv_rcvbuf *r, size_t *len)
{
	uint64_t n = ready_to(r) - r->next, skip = r->next % CV_BLOCK;
	if (!n)
		return NULL;
	*len = (size_t)(n < CV_BLOCK - skip ? n : CV_BLOCK - skip);
	return cv_buf_data(r->q.head) + skip;
}

void cv_rcvbuf_advance(struct cv_rcvbuf *r, uint64_t n, struct cv_bufq *spent)
{
	struct cv_buf *b;
	r->next += n;
	if (!r->q.head)
		return;
	cv_ranges_below(&r->got, r->next);
	/* where nothing is stored any more no block is kept */
	uint64_t first = r->got.count ? r->got.r[0].lo / CV_BLOCK : UINT64_MAX;
	while ((b = r->q.head) && b->time < first) {
		if (r->at == b)
			r->at = NULL;
		cv_bufq_push(spent, cv_bufq_pop(&r->q));
	}
}

bool cv_rcvbuf_complete(const struct cv_rcvbuf *r)
{
	return r->next == r->final;
}
