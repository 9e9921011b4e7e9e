/* SPDX-License-Identifier: MIT */
/**
 * buf.h - packets being built, and the pool they come from
 *
 * A buffer holds one packet: CV_HEADROOM bytes in front, where record and
 * packet header are written, its frames, and CV_TAILROOM bytes behind for
 * the tag.  Nothing is copied between being queued and being sent.
 */
#ifndef CV_BUF_H
#define CV_BUF_H

#include "core/limits.h"

struct cv_buf {
	struct cv_buf *next;
	cv_time time;    /* when the first datagram in it arrived */
	uint32_t off;    /* first used byte of data[] */
	uint32_t len;    /* used bytes */
	uint32_t cap;    /* bytes of data[] */
	uint32_t dgrams; /* datagrams inside */
	uint32_t frames; /* control frames inside */
	uint32_t sent;   /* bytes a stream link already wrote */
	uint8_t data[];
};

struct cv_bufq {
	struct cv_buf *head, *tail;
	uint32_t count;
	size_t bytes;
};

/** struct cv_pool - free buffers of two sizes, under one ceiling, of which
 * large ones leave a sixteenth to small ones */
struct cv_pool {
	const struct cv_env *env;
	struct cv_buf *small, *large; /* free lists */
	unsigned nsmall, nlarge;      /* their lengths */
	size_t bytes, max;            /* allocated, allowed */
	unsigned spare;               /* large ones not needed since the
					 last trim */
	uint64_t allocs;              /* times the allocator was asked */
};

/** cv_pool_init(), cv_pool_clear() - @max: ceiling in bytes */
void cv_pool_init(struct cv_pool *, const struct cv_env *, size_t max);
void cv_pool_clear(struct cv_pool *);

/** cv_buf_small() - room for CV_SMALL bytes; NULL at the ceiling */
struct cv_buf *cv_buf_small(struct cv_pool *);

/** cv_buf_large() - room for CV_FRAMES_MAX bytes; NULL at the ceiling */
struct cv_buf *cv_buf_large(struct cv_pool *);

/** cv_buf_free() - give a buffer back; NULL is fine */
void cv_buf_free(struct cv_pool *, struct cv_buf *);

/**
 * cv_pool_trim() - Return to the allocator what was never needed since the
 * last call
 *
 * Return: true if free buffers are left, for another call to return
 */
bool cv_pool_trim(struct cv_pool *);

/** cv_pool_scarce() - three quarters of the ceiling are in use: no program's
 * bytes are read any more; what is left is for getting rid of those there are
 */
bool cv_pool_scarce(const struct cv_pool *);

/** cv_pool_low() - seven eighths: nothing that is out of order is kept, or no
 * packet could leave, and nothing ever be given back */
bool cv_pool_low(const struct cv_pool *);

static inline uint8_t *cv_buf_data(struct cv_buf *b)
{
	return b->data + b->off;
}

static inline uint8_t *cv_buf_end(struct cv_buf *b)
{
	return b->data + b->off + b->len;
}

/** cv_buf_room() - bytes that may be appended, tailroom kept free */
static inline size_t cv_buf_room(const struct cv_buf *b)
{
	return b->cap - CV_TAILROOM - b->off - b->len;
}

/**
 * cv_buf_takes() - Whether @need more bytes may be queued in @b: it is young,
 * has room, and fewer than @limit bytes
 */
static inline bool cv_buf_takes(
	const struct cv_buf *b, size_t need, uint32_t limit, cv_time now)
{
	return b->len < limit && cv_buf_room(b) >= need &&
	       now - b->time <= CV_CHUNK_SPAN;
}

/** cv_bufq_push(), cv_bufq_prepend() - put @b at the end, or in front */
void cv_bufq_push(struct cv_bufq *, struct cv_buf *);
void cv_bufq_prepend(struct cv_bufq *, struct cv_buf *);

/** cv_bufq_grew() - @n bytes were written at the end of @b, which is in @q */
void cv_bufq_grew(struct cv_bufq *, struct cv_buf *b, size_t n);

/** cv_bufq_sent() - @n bytes were written off the front; what is used up goes
 * back to the pool */
void cv_bufq_sent(struct cv_bufq *, struct cv_pool *, size_t n);

/** cv_bufq_pop() - the first, or NULL; cv_bufq_clear() frees all */
struct cv_buf *cv_bufq_pop(struct cv_bufq *);
void cv_bufq_clear(struct cv_bufq *, struct cv_pool *);

#endif
