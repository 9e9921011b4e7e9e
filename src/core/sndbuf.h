/* SPDX-License-Identifier: MIT */
/**
 * sndbuf.h - the send side of a stream: bytes until they are acknowledged
 *
 * DOC: Bytes lie in buffers of the pool, from @base, below which everything
 * was acknowledged, to @end, where the writer goes on.  What was sent and
 * lost is sent again first, then what was never sent, up to @limit, the
 * peer's window.  A reader that fills its buffer gets a large one next, others
 * stay with small ones: an idle stream holds no buffer at all.
 *
 * When memory for a range runs out, bytes are sent once more than needed, but
 * never forgotten.
 */
#ifndef CV_SNDBUF_H
#define CV_SNDBUF_H

#include "core/buf.h"
#include "core/ranges.h"

enum { CV_SNDBUF_RANGES = 4096 };

/** struct cv_sndbuf_at - where a copy was: the next is near */
struct cv_sndbuf_at {
	struct cv_buf *b;
	uint64_t offset; /* of the first byte in it */
};

struct cv_sndbuf {
	struct cv_bufq q;
	struct cv_buf *room;          /* given to the writer, not yet in q */
	size_t offered;               /* bytes of it */
	struct cv_sndbuf_at old, new; /* copies of lost and of fresh bytes */
	uint64_t base, next, end, limit;
	struct cv_ranges acked; /* above base */
	struct cv_ranges lost;  /* to be sent again; none begins with bytes
				   of acked */
	struct cv_range rest;   /* lost ones for which there was no memory,
				   and what is between them */
	bool keen;              /* the last read filled its buffer */
	bool fin;               /* the writer has finished: @end is final */
	bool fin_sent, fin_lost, fin_acked;
};

/** struct cv_piece - what to send: [offset, offset + len), and with @fin the
 * end of the stream behind it */
struct cv_piece {
	uint64_t offset;
	uint32_t len;
	bool fin;
	bool again; /* it was sent before */
};

/** cv_sndbuf_clear() - forget everything, give buffers back */
void cv_sndbuf_clear(
	struct cv_sndbuf *, const struct cv_env *, struct cv_pool *);

/**
 * cv_sndbuf_room() - Where the writer may put bytes; until it says with
 * cv_sndbuf_wrote() how many it put, nothing else is to be called
 * @len:	in: how many it would like at most; out: how many have room
 * Return: NULL without memory
 */
uint8_t *cv_sndbuf_room(struct cv_sndbuf *, struct cv_pool *, size_t *len);

/** cv_sndbuf_wrote() - @n bytes were put there; 0 gives the room back */
void cv_sndbuf_wrote(struct cv_sndbuf *, struct cv_pool *, size_t n);

/** cv_sndbuf_finish() - nothing more will be written */
void cv_sndbuf_finish(struct cv_sndbuf *);

/** cv_sndbuf_held() - bytes from base to end */
uint64_t cv_sndbuf_held(const struct cv_sndbuf *);

/** cv_sndbuf_unsent() - bytes that were never sent */
uint64_t cv_sndbuf_unsent(const struct cv_sndbuf *);

/**
 * cv_sndbuf_wants() - Whether cv_sndbuf_take() has a piece
 * @fresh:	bytes that the session's window lets out beyond what was sent
 */
bool cv_sndbuf_wants(const struct cv_sndbuf *, uint64_t fresh);

/** cv_sndbuf_next() - the offset of the piece that cv_sndbuf_take() has */
uint64_t cv_sndbuf_next(const struct cv_sndbuf *);

/**
 * cv_sndbuf_take() - Choose the next piece, of at most @max bytes, and take it
 * for sent
 *
 * Return: false if there is none.  @max 0 gives only a bare end.
 */
bool cv_sndbuf_take(struct cv_sndbuf *, const struct cv_env *, uint32_t max,
	uint64_t fresh, struct cv_piece *);

/** cv_sndbuf_copy() - the bytes of a piece, none of which was acknowledged
 * since it was taken */
void cv_sndbuf_copy(
	struct cv_sndbuf *, uint64_t offset, uint32_t len, uint8_t *to);

/** cv_sndbuf_acked() - a piece arrived; buffers below the new base are given
 * back.  Return: bytes by which base advanced */
uint64_t cv_sndbuf_acked(struct cv_sndbuf *, struct cv_pool *, uint64_t lo,
	uint64_t hi, bool fin);

/** cv_sndbuf_lost() - a piece did not; what was acknowledged meanwhile is left
 * out */
void cv_sndbuf_lost(struct cv_sndbuf *, const struct cv_env *, uint64_t lo,
	uint64_t hi, bool fin);

/** cv_sndbuf_again() - nothing was acknowledged, and it is as if nothing had
 * been sent */
void cv_sndbuf_again(struct cv_sndbuf *, const struct cv_env *);

/** cv_sndbuf_done() - everything and the end were acknowledged */
bool cv_sndbuf_done(const struct cv_sndbuf *);

#endif
