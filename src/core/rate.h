/* SPDX-License-Identifier: MIT */
/* rate.h - how fast a path delivers
 * (draft-cheng-iccrg-delivery-rate-estimation) */
#ifndef CV_RATE_H
#define CV_RATE_H

#include "core/sent.h"

/** struct cv_rate - the connection's side of the sampler */
struct cv_rate {
	uint64_t delivered;   /* bytes acknowledged so far */
	cv_time delivered_at; /* the last of them */
	cv_time first_at;     /* when the flight being sampled began */
	uint64_t lost;        /* bytes declared lost so far */
	uint64_t limited;     /* delivered + inflight when the application last
				 had no more, or 0 */
};

/** struct cv_sample - what one ACK says; interval 0: nothing */
struct cv_sample {
	uint64_t delivered; /* bytes in the interval */
	cv_time interval;   /* µs */
	uint64_t lost;      /* bytes declared lost in it */
	uint64_t before;    /* ->delivered when the packet left: rounds */
	uint64_t inflight;  /* bytes in flight when the packet left */
	bool limited;       /* the application was the bound, not the path */
	cv_time rtt;        /* of the newest packet, µs; 0: none */
};

/** cv_rate_sent() - fill in the sampler's fields; @inflight before it */
void cv_rate_sent(
	struct cv_rate *, struct cv_sent *, uint64_t inflight, cv_time now);

/**
 * cv_rate_acked() - One packet; call for each of an ACK, in any order, @s
 * zeroed before the first, then cv_rate_sample() once
 *
 * @s follows the packet that left last; until it is complete ->delivered is the
 * time and ->lost the count that this packet left with.
 */
void cv_rate_acked(struct cv_rate *, struct cv_sample *s,
	const struct cv_sent *, cv_time now);

/** cv_rate_lost() - @bytes were declared lost */
void cv_rate_lost(struct cv_rate *, uint64_t bytes);

/** cv_rate_sample() - complete @s; @min_rtt: shorter intervals are no measure,
 * of which the rest of @s is true all the same */
void cv_rate_sample(
	struct cv_rate *, struct cv_sample *s, cv_time min_rtt, cv_time now);

/** cv_rate_limited() - the application has no more: samples until @inflight
 * bytes are acknowledged say little */
void cv_rate_limited(struct cv_rate *, uint64_t inflight);

#endif
