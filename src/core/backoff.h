/* SPDX-License-Identifier: MIT */
/**
 * backoff.h - how long to wait between attempts to connect
 *
 * DOC: Between attempts that fail the wait grows from CV_DIAL_MIN to
 * CV_DIAL_MAX, with jitter.  Traffic that wants to go out cuts it short to
 * CV_DIAL_MIN, or, where connections were had and did not last, to
 * CV_DIAL_FAILED at most.  All zeroes is a new one.
 */
#ifndef CV_BACKOFF_H
#define CV_BACKOFF_H

#include "core/limits.h"

struct cv_backoff {
	cv_time began; /* the last attempt; 0: none yet */
	cv_time wait;  /* what it grew to, without jitter; 0: not yet */
};

/** cv_backoff_began() - an attempt begins */
void cv_backoff_began(struct cv_backoff *, cv_time now);

/** cv_backoff_failed() - it failed: µs until the next, between half and all of
 * what it grew to; @jitter: a random byte */
cv_time cv_backoff_failed(struct cv_backoff *, uint8_t jitter);

/**
 * cv_backoff_kicked() - a connection is wanted now
 * @failures:	connections in a row that were had and did not last
 *
 * The growing starts anew if the last attempt is CV_DIAL_MAX ago.
 *
 * Return: µs to wait at most
 */
cv_time cv_backoff_kicked(struct cv_backoff *, unsigned failures, cv_time now);

#endif
