/* SPDX-License-Identifier: MIT */
/**
 * parts.h - datagrams larger than a packet, put together
 *
 * DOC: What is known of such a datagram (its flow, size, and which bytes have
 * come) is in a small buffer of the pool, its bytes are in a large one, while
 * it is being put together and no longer.  Its number is then done with, and
 * whatever comes of it later is ignored, so that each is delivered or counted
 * once.  doc/protocol.md, section 12.8.
 */
#ifndef CV_PARTS_H
#define CV_PARTS_H

#include "core/buf.h"
#include "core/frame.h"

/** struct cv_parts - zeroed: nothing has come */
struct cv_parts {
	struct cv_bufq q; /* what is known of each, begun first first */
	uint64_t top;     /* one more than the highest number that was seen */
	uint64_t done[CV_PARTS_WINDOW / 64]; /* bits of those below */
	uint64_t lost;                       /* given up: the owner counts them,
						and sets this to 0 */
};

/** cv_parts_begins() - a part with this number would begin a datagram */
bool cv_parts_begins(const struct cv_parts *, uint64_t number);

/** cv_parts_skip() - whatever comes of that datagram is ignored */
void cv_parts_skip(struct cv_parts *, uint64_t number);

/**
 * cv_parts_add() - A PART frame came
 * @whole:	a datagram that it completes; the caller's to free
 *
 * Return: 1: *@whole was set; 0: it was taken or ignored; CULVERT_ENOMEM: the
 * datagram was not begun, and will not be; CULVERT_EPROTO: it is malformed, and
 * the datagram was given up
 */
int cv_parts_add(struct cv_parts *, struct cv_pool *, const struct cv_frame *,
	cv_time now, struct cv_buf **whole);

/** cv_parts_expire() - give up what has taken too long */
void cv_parts_expire(struct cv_parts *, struct cv_pool *, cv_time now);

/** cv_parts_deadline() - when cv_parts_expire() has something to do */
cv_time cv_parts_deadline(const struct cv_parts *);

/** cv_parts_clear() - give up everything; numbers may begin anew */
void cv_parts_clear(struct cv_parts *, struct cv_pool *);

#endif
