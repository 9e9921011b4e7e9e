/* SPDX-License-Identifier: MIT */
/**
 * rcvbuf.h - the receive side of a stream: bytes until they are in order
 *
 * DOC: What comes in order and finds nothing waiting need not be stored: its
 * owner hands it on where it lies.  The rest lies in blocks of CV_BLOCK bytes
 * at the place of its offset, so that nothing is ever moved.  A block is a
 * large buffer of the pool; @got says which bytes are there.
 */
#ifndef CV_RCVBUF_H
#define CV_RCVBUF_H

#include "core/buf.h"
#include "core/ranges.h"

enum {
	CV_BLOCK = 65536,
	CV_RCVBUF_RANGES = 1024,
};

struct cv_rcvbuf {
	struct cv_bufq q;     /* blocks, ascending; buf->time holds the block's
				 number */
	struct cv_buf *at;    /* the block written to last */
	struct cv_ranges got; /* stored, above next */
	uint64_t next;        /* handed on so far */
	uint64_t taken;       /* of these, what the consumer has used up */
	uint64_t limit;       /* the window told to the peer ends here */
	uint64_t highest;     /* end of the highest byte that came in */
	uint64_t final;       /* the stream's length; UINT64_MAX: unknown */
};

/** cv_rcvbuf_init() - @window: bytes that the peer may send at once */
void cv_rcvbuf_init(struct cv_rcvbuf *, uint64_t window);

/** cv_rcvbuf_clear() - forget what is stored, give blocks back */
void cv_rcvbuf_clear(
	struct cv_rcvbuf *, const struct cv_env *, struct cv_pool *);

/**
 * cv_rcvbuf_check() - Whether the peer may send this; updates highest and
 * final
 *
 * Return: by how many bytes highest rose; CULVERT_EPROTO beyond the window, or
 * if it contradicts the final length (RFC 9000, sections 4.1 and 4.5)
 */
int64_t cv_rcvbuf_check(
	struct cv_rcvbuf *, uint64_t offset, uint32_t len, bool fin);

/**
 * cv_rcvbuf_direct() - Whether bytes at @offset can be handed on where they
 * lie: they reach @next, and no stored ones wait there
 *
 * So a gap is closed without memory.  After cv_rcvbuf_advance(), stored bytes
 * may follow: see cv_rcvbuf_ready().
 *
 * Return: how many of the @len bytes are old: skip these; or -1
 */
int64_t cv_rcvbuf_direct(
	const struct cv_rcvbuf *, uint64_t offset, uint32_t len);

/** cv_rcvbuf_put() - store bytes; 0, or CULVERT_ENOMEM or EFULL: not stored,
 * or not all of them (storing them again is harmless) */
int cv_rcvbuf_put(struct cv_rcvbuf *, struct cv_pool *, uint64_t offset,
	const uint8_t *data, uint32_t len);

/** cv_rcvbuf_ready() - stored bytes that are in order: *@len of them, NULL if
 * there are none; a block at a time */
const uint8_t *cv_rcvbuf_ready(struct cv_rcvbuf *, size_t *len);

/**
 * cv_rcvbuf_advance() - @n bytes were handed on, stored ones or not
 * @spent:	blocks that are used up go there and stay valid until the owner
 *		frees them
 */
void cv_rcvbuf_advance(struct cv_rcvbuf *, uint64_t n, struct cv_bufq *spent);

/** cv_rcvbuf_complete() - everything up to the end was handed on */
bool cv_rcvbuf_complete(const struct cv_rcvbuf *);

#endif
