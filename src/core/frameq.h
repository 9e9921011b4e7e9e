/* SPDX-License-Identifier: MIT */
/**
 * frameq.h - datagrams on their way out as foreign frames; framing.h
 *
 * DOC: A datagram is copied once, to the end of the newest chunk, and a chunk
 * is what will be written.  Whole chunks are dropped, the oldest first, by
 * age, until the first byte of one is on the wire.  The queue is a cv_bufq
 * from which a stream writes.
 */
#ifndef CV_FRAMEQ_H
#define CV_FRAMEQ_H

#include "core/buf.h"
#include "core/framing.h"
#include "core/stats.h"

/** What the connection that will take the datagrams is doing. */
enum cv_frameq_mode {
	CV_FRAMEQ_FLOWS,   /* it takes them at once */
	CV_FRAMEQ_BLOCKED, /* slowly: chunks are small */
	CV_FRAMEQ_HELD,    /* it is not there yet: chunks are of few */
};

/**
 * cv_frameq_put() - Append a train, a frame for each datagram
 * @train:	data, len, seg as in cv_frame; seg at most CV_DGRAM_MAX
 * Return: how many datagrams there was no buffer for
 */
uint64_t cv_frameq_put(struct cv_bufq *, struct cv_pool *,
	const struct cv_frame *train, enum cv_frameq_mode, cv_time now);

/**
 * cv_frameq_expire() - Drop what arrived before @then, and what is too much
 * @drop:	counters: CV_DROP_AGED, CV_DROP_QUEUE_FULL
 */
void cv_frameq_expire(
	struct cv_bufq *, struct cv_pool *, cv_time then, uint64_t *drop);

/**
 * cv_frameq_trim_held() - Keep of a connection to come the newest few of the
 * last CV_HOLD_AGE
 * @drop:	counters: CV_DROP_NO_SESSION
 */
void cv_frameq_trim_held(
	struct cv_bufq *, struct cv_pool *, cv_time now, uint64_t *drop);

/** cv_frameq_restamp() - what was held for a connection arrived @now */
void cv_frameq_restamp(struct cv_bufq *, cv_time now);

#endif
