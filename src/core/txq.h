/* SPDX-License-Identifier: MIT */
/**
 * txq.h - a session's datagrams on their way out
 *
 * DOC: A datagram is copied once, from the buffer it was received in to the
 * end of the newest chunk, and a chunk is already a packet: sealing happens
 * in place.  Datagrams of one flow and one size that follow each other share
 * a frame (a train).  Nothing is sealed before a link can take it, so that
 * what waits can still be dropped: whole chunks, the oldest first, by age.
 */
#ifndef CV_TXQ_H
#define CV_TXQ_H

#include "core/buf.h"
#include "core/frame.h"

struct cv_txq {
	struct cv_bufq q;  /* chunks, oldest first */
	uint64_t flow;     /* of the train at the very end, ... */
	uint32_t seg;      /* its segment size, 0: nothing can be added */
	uint32_t train;    /* its bytes so far */
	uint32_t train_at; /* where its length stands in the tail chunk */
};

/**
 * cv_txq_put() - Append a datagram or a train
 * @train:	flow (the id as the peer knows it), data, len, and seg: the size
 *		of each datagram but the last, which may be shorter
 * @limit:	bytes at which a chunk is closed
 *
 * Return: how many datagrams there was no buffer for
 */
uint64_t cv_txq_put(struct cv_txq *, struct cv_pool *,
	const struct cv_frame *train, uint32_t limit, cv_time now);

/**
 * cv_txq_hold() - Keep a train for a session to come, in a chunk of its own
 * @open:	OPEN frame to go in front of it, or NULL
 *
 * Return: as cv_txq_put()
 */
uint64_t cv_txq_hold(struct cv_txq *, struct cv_pool *,
	const struct cv_frame *open, const struct cv_frame *train, cv_time now);

/**
 * cv_txq_put_open() - Append a datagram or a train, an OPEN in front of it in
 * each chunk
 *
 * Return: as cv_txq_put()
 */
uint64_t cv_txq_put_open(struct cv_txq *, struct cv_pool *,
	const struct cv_frame *open, const struct cv_frame *train, cv_time now);

/**
 * cv_txq_restamp() - What was held for a session counts as arrived @now
 */
void cv_txq_restamp(struct cv_txq *, cv_time now);

/** cv_txq_take() - The oldest chunk, or NULL; the caller owns it */
struct cv_buf *cv_txq_take(struct cv_txq *);

/** cv_txq_oldest() - arrival of the oldest datagram, or CV_NEVER */
cv_time cv_txq_oldest(const struct cv_txq *);

#endif
