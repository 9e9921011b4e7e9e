/* SPDX-License-Identifier: MIT */
#include "core/parts.h"

#include <assert.h>
#include <string.h>

/* struct whole - a datagram being put together */
struct whole {
	uint64_t flow, number;
	struct cv_buf *data;
	uint32_t len, have; /* bytes in all, bytes that came */
	uint32_t n;         /* pieces, which do not touch, ascending */
	struct piece {
		uint16_t from, to;
	} piece[CV_PARTS_PIECES];
};
static_assert(sizeof(struct whole) <= CV_SMALL, "it is in a small buffer");
static_assert(CV_DGRAM_MAX <= UINT16_MAX, "a piece ends within 16 bits");
static_assert((offsetof(struct cv_buf, data) + CV_HEADROOM) % 8 == 0,
	"it is aligned there");

static struct whole *whole_in(struct cv_buf *b)
{
	return (struct whole *)(void *)cv_buf_data(b);
}

static struct cv_buf *find(const struct cv_parts *p, uint64_t number)
{
	struct cv_buf *b = p->q.head;
	while (b && whole_in(b)->number != number)
		b = b->next;
	return b;
}

static uint64_t *word(struct cv_parts *p, uint64_t number)
{
	return &p->done[number % CV_PARTS_WINDOW / 64];
}

static bool done(const struct cv_parts *p, uint64_t number)
{
	if (number >= p->top)
		return false;
	if (p->top - number > CV_PARTS_WINDOW)
		return true;
	return p->done[number % CV_PARTS_WINDOW / 64] >> number % 64 & 1;
}

/* @number becomes the highest, if it is */
static void rise(struct cv_parts *p, uint64_t number)
{
	if (number >= p->top + CV_PARTS_WINDOW) {
		memset(p->done, 0, sizeof p->done);
		p->top = number + 1;
	}
	for (; p->top <= number; p->top++)
		*word(p, p->top) &= ~(UINT64_C(1) << p->top % 64);
}

void cv_parts_skip(struct cv_parts *p, uint64_t number)
{
	rise(p, number);
	if (p->top - number <= CV_PARTS_WINDOW)
		*word(p, number) |= UINT64_C(1) << number % 64;
}

bool cv_parts_begins(const struct cv_parts *p, uint64_t number)
{
	return !done(p, number) && !find(p, number);
}

static void take_out(struct cv_parts *p, struct cv_buf *b)
{
	struct cv_buf *before = p->q.head;
	if (before == b) {
		cv_bufq_pop(&p->q);
		return;
	}
	while (before->next != b)
		before = before->next;
	before->next = b->next;
	if (!b->next)
		p->q.tail = before;
	p->q.count--;
	p->q.bytes -= b->len;
}

/* its number is done with; its bytes, which are the caller's now */
static struct cv_buf *end(
	struct cv_parts *p, struct cv_pool *pool, struct cv_buf *b)
{
	struct cv_buf *data = whole_in(b)->data;
	cv_parts_skip(p, whole_in(b)->number);
	take_out(p, b);
	cv_buf_free(pool, b);
	return data;
}

static void give_up(struct cv_parts *p, struct cv_pool *pool, struct cv_buf *b)
{
	cv_buf_free(pool, end(p, pool, b));
	p->lost++;
}

static struct cv_buf *begin(struct cv_parts *p, struct cv_pool *pool,
	const struct cv_frame *f, cv_time now)
{
	if (p->q.count == CV_PARTS_DGRAMS)
		give_up(p, pool, p->q.head);
	struct cv_buf *b = NULL, *data = NULL;
	if (!cv_pool_low(pool)) {
		b = cv_buf_small(pool);
		data = cv_buf_large(pool);
	}
	if (!b || !data) {
		cv_buf_free(pool, b);
		cv_buf_free(pool, data);
		return NULL;
	}
	struct whole *w = whole_in(b);
	*w = (struct whole){ .flow = f->flow, .number = f->taken };
	w->data = data;
	w->len = data->len = f->seg;
	b->len = sizeof *w;
	b->time = now;
	rise(p, w->number);
	cv_bufq_push(&p->q, b);
	return b;
}

/* @i..: those that are not wholly in front of it, with a gap between */
static int insert(struct whole *w, uint32_t i, struct piece x)
{
	struct piece *at = &w->piece[i];
	bool left = i < w->n && at->to == x.from;
	struct piece *next = at + left;
	bool more = i + left < w->n;
	if (more && next->from < x.to)
		return CULVERT_EPROTO;
	if (more && next->from == x.to) {
		next->from = x.from;
		if (!left)
			return 0;
		next->from = at->from;
		memmove(at, next, (--w->n - i) * sizeof *at);
		return 0;
	}
	if (left) {
		at->to = x.to;
		return 0;
	}
	if (w->n == CV_PARTS_PIECES)
		return CULVERT_EFULL;
	memmove(at + 1, at, (w->n++ - i) * sizeof *at);
	*at = x;
	return 0;
}

static int put(struct whole *w, const struct cv_frame *f)
{
	uint32_t from = (uint32_t)f->value, i = 0;
	if (w->flow != f->flow || w->len != f->seg)
		return CULVERT_EPROTO;
	while (i < w->n && w->piece[i].to < from)
		i++;
	int err = insert(w, i,
		(struct piece){ (uint16_t)from, (uint16_t)(from + f->len) });
	if (err)
		return err;
	memcpy(cv_buf_data(w->data) + from, f->data, f->len);
	w->have += f->len;
	return 0;
}

int cv_parts_add(struct cv_parts *p, struct cv_pool *pool,
	const struct cv_frame *f, cv_time now, struct cv_buf **whole)
{
	struct cv_buf *b = find(p, f->taken);
	if (!b && done(p, f->taken))
		return 0;
	if (!b)
		b = begin(p, pool, f, now);
	if (!b) {
		cv_parts_skip(p, f->taken);
		return CULVERT_ENOMEM;
	}
	int err = put(whole_in(b), f);
	if (err) {
		give_up(p, pool, b);
		return err == CULVERT_EPROTO ? err : 0;
	}
	if (whole_in(b)->have < whole_in(b)->len)
		return 0;
	*whole = end(p, pool, b);
	return 1;
}

void cv_parts_expire(struct cv_parts *p, struct cv_pool *pool, cv_time now)
{
	while (cv_parts_deadline(p) <= now)
		give_up(p, pool, p->q.head);
}

cv_time cv_parts_deadline(const struct cv_parts *p)
{
	return p->q.head ? p->q.head->time + CV_PARTS_AGE : CV_NEVER;
}

void cv_parts_clear(struct cv_parts *p, struct cv_pool *pool)
{
	while (p->q.head)
		give_up(p, pool, p->q.head);
	*p = (struct cv_parts){ .lost = p->lost };
}
