/* SPDX-License-Identifier: MIT */
#include "core/replay.h"

enum { WORDS = CV_REPLAY_BITS / 64 };

bool cv_replay_check(struct cv_replay *r, uint64_t number)
{
	uint64_t word = number / 64, bit = UINT64_C(1) << number % 64;

	/* one word is kept clear, so the window is that much shorter */
	if (number == UINT64_MAX ||
		(r->max > CV_REPLAY_BITS - 64 &&
			number < r->max - (CV_REPLAY_BITS - 64)))
		return false;
	if (number >= r->max) {
		uint64_t from = r->max ? (r->max - 1) / 64 + 1 : 0;
		uint64_t n = word >= from ? word - from + 1 : 0;
		for (uint64_t i = 0; i < n && i < WORDS; i++)
			r->word[(word - i) % WORDS] = 0;
		r->max = number + 1;
	}
	if (r->word[word % WORDS] & bit)
		return false;
	r->word[word % WORDS] |= bit;
	return true;
}
