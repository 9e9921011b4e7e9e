/* SPDX-License-Identifier: MIT */
/* cc_events.h - what happens next, in virtual time */
#ifndef CC_EVENTS_H
#define CC_EVENTS_H

#include "core/types.h"

struct event {
	cv_time at;
	uint64_t order;
	uint32_t n;
	uint8_t type, flow;
};

/** struct events - a heap; zeroed: empty; free() its @heap in the end */
struct events {
	struct event *heap;
	uint64_t order; /* of those at the same time: as they were put */
	uint32_t count, room;
};

/** events_put() - @e will happen */
void events_put(struct events *, const struct event *e);

/** events_take() - the next one up to @until into @e; false: none */
bool events_take(struct events *, cv_time until, struct event *e);

#endif
