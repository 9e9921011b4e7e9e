/* SPDX-License-Identifier: MIT */
/* replay.h - which packet numbers were seen (RFC 6479) */
#ifndef CV_REPLAY_H
#define CV_REPLAY_H

#include "core/limits.h"

struct cv_replay {
	uint64_t max; /* highest number seen, plus one */
	uint64_t word[CV_REPLAY_BITS / 64];
};

/**
 * cv_replay_check() - Accept a number once, after its packet was verified
 *
 * Return: true if @number is new and inside the window
 */
bool cv_replay_check(struct cv_replay *, uint64_t number);

#endif
