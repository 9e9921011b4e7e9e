/* SPDX-License-Identifier: MIT */
/* events.h - what happens at a time, the earliest first */
#ifndef SIM_EVENTS_H
#define SIM_EVENTS_H

#include "core/types.h"

/** struct event - something that happens once, at a time */
struct event {
	cv_time when;
	uint64_t order; /* the one set first fires first */
	size_t place;   /* in the heap, plus one; 0: not set */
	void (*fire)(struct event *);
};

struct events {
	struct event **heap;
	size_t count, size;
	uint64_t order;
};

/** events_set() - fire at @when; CV_NEVER: do not */
void events_set(struct events *, struct event *, cv_time when);

/** events_next() - take out the earliest one, if it is not after @until */
struct event *events_next(struct events *, cv_time until);

/** events_clear() - forget all */
void events_clear(struct events *);

#endif
