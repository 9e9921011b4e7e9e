/* SPDX-License-Identifier: MIT */
/**
 * again.h - answers to handshakes, to be given once more
 *
 * DOC: Who knows no way yet begins a handshake by all of them at once.  One of
 * its copies comes in first and is answered where it came from, which may lead
 * nowhere: a receiver that checks addresses drops it.  The others look like
 * replays.  So what was answered is kept for a moment, and whatever way an
 * exact copy comes by, the same bytes go back.  An answer is no longer than
 * what asks for it.
 */
#ifndef CV_AGAIN_H
#define CV_AGAIN_H

#include "core/wire.h"

enum {
	CV_AGAIN = 4,        /* handshakes that are remembered */
	CV_AGAIN_TIMES = 32, /* of each: more copies are no use to anybody */
	CV_AGAIN_SIZE = CV_RESPONSE_SIZE
};

#define CV_AGAIN_AGE CV_MS(500)

struct cv_again {
	struct cv_again_answer {
		uint8_t asked[CV_INIT_SIZE];
		uint8_t said[CV_AGAIN_SIZE];
		uint32_t len; /* of it; 0: none */
		unsigned times;
		cv_time since;
	} answer[CV_AGAIN];
	unsigned next; /* to be forgotten */
	bool asking;   /* its place has a handshake without an answer */
};

/** cv_again_begin() - A handshake is about to be worked off, and changed by
 * that; one of another size is not remembered */
void cv_again_begin(struct cv_again *, const uint8_t *init, uint32_t len);

/** cv_again_keep() - It was answered; the first answer that fits is kept, and
 * without a handshake none */
void cv_again_keep(
	struct cv_again *, const uint8_t *said, uint32_t len, cv_time now);

/** cv_again_end() - There is no answer to it, or no further one */
void cv_again_end(struct cv_again *);

/**
 * cv_again_find() - What was said to exactly this packet a moment ago
 * Return: @out filled in with up to CV_AGAIN_SIZE bytes: how many; 0: nothing
 */
uint32_t cv_again_find(struct cv_again *, const uint8_t *init, uint32_t len,
	uint8_t out[CV_AGAIN_SIZE], cv_time now);

#endif
