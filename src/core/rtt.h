/* SPDX-License-Identifier: MIT */
/* rtt.h - a path's round trip time (RFC 9002, section 5) */
#ifndef CV_RTT_H
#define CV_RTT_H

#include "core/types.h"

#define CV_RTT_INITIAL CV_MS(333) /* RFC 9002, section 6.2.2 */
#define CV_GRANULARITY CV_MS(1)   /* at most; smaller on shorter paths */

/** struct cv_rtt - all in µs; smoothed 0: no sample yet */
struct cv_rtt {
	cv_time latest, smoothed, var, min;
};

/**
 * cv_rtt_sample() - A packet was acknowledged
 * @sample:	time from its being sent to now, µs
 * @delay:	of it, how long the peer says it kept the acknowledgement; taken
 *		off unless the sample would fall below the minimum
 */
void cv_rtt_sample(struct cv_rtt *, cv_time sample, cv_time delay);

/** cv_rtt_smoothed() - or CV_RTT_INITIAL before the first sample */
cv_time cv_rtt_smoothed(const struct cv_rtt *);

/**
 * cv_rtt_pto() - smoothed + max(4 var, granularity) + @ack_delay (RFC 9002,
 * section 6.2.1); granularity is a quarter of the smoothed, at most 1 ms
 */
cv_time cv_rtt_pto(const struct cv_rtt *, cv_time ack_delay);

#endif
