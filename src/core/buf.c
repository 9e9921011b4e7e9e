/* SPDX-License-Identifier: MIT */
#include "core/buf.h"

/* no power of two, so that buffers do not fall into the same cache sets */
enum { LARGE = CV_HEADROOM + CV_FRAMES_MAX + CV_TAILROOM };
enum { SMALL = CV_HEADROOM + CV_SMALL + CV_TAILROOM };

void cv_pool_init(struct cv_pool *p, const struct cv_env *env, size_t max)
{
	*p = (struct cv_pool){ .env = env, .max = max };
}

static void give_back(
	struct cv_pool *p, struct cv_buf **list, unsigned *have, unsigned n)
{
	for (; n; n--, (*have)--) {
		struct cv_buf *b = *list;
		size_t size = sizeof *b + b->cap;
		*list = b->next;
		p->bytes -= size;
		p->env->free(p->env->user, b, size);
	}
}

bool cv_pool_trim(struct cv_pool *p)
{
	give_back(p, &p->large, &p->nlarge, p->spare);
	p->spare = p->nlarge;
	return p->nlarge != 0;
}

void cv_pool_clear(struct cv_pool *p)
{
	give_back(p, &p->small, &p->nsmall, p->nsmall);
	give_back(p, &p->large, &p->nlarge, p->nlarge);
}

static size_t used(const struct cv_pool *p)
{
	size_t idle = p->nlarge * (sizeof(struct cv_buf) + LARGE) +
		      p->nsmall * (sizeof(struct cv_buf) + SMALL);
	return p->bytes - idle;
}

bool cv_pool_scarce(const struct cv_pool *p)
{
	return used(p) > p->max / 4 * 3;
}

bool cv_pool_low(const struct cv_pool *p)
{
	return used(p) > p->max / 8 * 7;
}

/* the last of it is for small ones: what ends flows gives memory back */
static size_t ceiling(const struct cv_pool *p, uint32_t cap)
{
	return cap == SMALL ? p->max : p->max - p->max / 16;
}

static struct cv_buf *get(
	struct cv_pool *p, struct cv_buf **list, unsigned *n, uint32_t cap)
{
	struct cv_buf *b = *list;
	if (b) {
		*list = b->next;
		(*n)--;
	} else {
		size_t size = sizeof *b + cap;
		if (p->bytes + size > ceiling(p, cap))
			return NULL;
		b = p->env->alloc(p->env->user, size);
		if (!b)
			return NULL;
		p->bytes += size;
		p->allocs++;
		b->cap = cap;
	}
	b->next = NULL;
	b->time = 0;
	b->off = CV_HEADROOM;
	b->len = b->dgrams = b->frames = b->sent = 0;
	return b;
}

struct cv_buf *cv_buf_small(struct cv_pool *p)
{
	return get(p, &p->small, &p->nsmall, SMALL);
}

struct cv_buf *cv_buf_large(struct cv_pool *p)
{
	struct cv_buf *b = get(p, &p->large, &p->nlarge, LARGE);
	if (p->spare > p->nlarge)
		p->spare = p->nlarge;
	return b;
}

void cv_buf_free(struct cv_pool *p, struct cv_buf *b)
{
	if (!b)
		return;
	bool small = b->cap == SMALL;
	struct cv_buf **list = small ? &p->small : &p->large;
	b->next = *list;
	*list = b;
	if (small)
		p->nsmall++;
	else
		p->nlarge++;
}

void cv_bufq_push(struct cv_bufq *q, struct cv_buf *b)
{
	b->next = NULL;
	if (q->tail)
		q->tail->next = b;
	else
		q->head = b;
	q->tail = b;
	q->count++;
	q->bytes += b->len;
}

void cv_bufq_prepend(struct cv_bufq *q, struct cv_buf *b)
{
	b->next = q->head;
	q->head = b;
	if (!q->tail)
		q->tail = b;
	q->count++;
	q->bytes += b->len;
}

void cv_bufq_grew(struct cv_bufq *q, struct cv_buf *b, size_t n)
{
	b->len += (uint32_t)n;
	q->bytes += n;
}

void cv_bufq_sent(struct cv_bufq *q, struct cv_pool *pool, size_t n)
{
	while (n) {
		struct cv_buf *b = q->head;
		size_t left = b->len - b->sent;
		if (n < left) {
			b->sent += (uint32_t)n;
			return;
		}
		n -= left;
		cv_buf_free(pool, cv_bufq_pop(q));
	}
}

struct cv_buf *cv_bufq_pop(struct cv_bufq *q)
{
	struct cv_buf *b = q->head;
	if (!b)
		return NULL;
	q->head = b->next;
	if (!q->head)
		q->tail = NULL;
	q->count--;
	q->bytes -= b->len;
	b->next = NULL;
	return b;
}

void cv_bufq_clear(struct cv_bufq *q, struct cv_pool *p)
{
	struct cv_buf *b;
	while ((b = cv_bufq_pop(q)))
		cv_buf_free(p, b);
}
