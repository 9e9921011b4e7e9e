/* SPDX-License-Identifier: MIT */
/**
 * pacer.h - when the next train may leave, and how long it may be
 *
 * DOC: A train is at most two packets or what the rate sends in 1 ms, up to
 * CV_TRAIN bytes; credit that a sleepy timer left unused is kept, for up to
 * two trains, 2 ms at most.
 */
#ifndef CV_PACER_H
#define CV_PACER_H

#include "core/types.h"

enum { CV_TRAIN = 65000 }; /* bytes of one UDP GSO send */

struct cv_pacer {
	cv_time next; /* when the next train may begin */
};

/** cv_pacer_quantum() - bytes of a train at @rate (bytes/s; 0: unknown) */
uint32_t cv_pacer_quantum(uint64_t rate, uint32_t mss);

/** cv_pacer_when() - when something may leave: <= now means now */
cv_time cv_pacer_when(const struct cv_pacer *);

/** cv_pacer_sent() - a train of @bytes left at @now */
void cv_pacer_sent(
	struct cv_pacer *, uint64_t bytes, uint64_t rate, cv_time now);

/** cv_pacer_reset() - after idleness: no credit is kept */
void cv_pacer_reset(struct cv_pacer *, cv_time now);

#endif
