/* SPDX-License-Identifier: MIT */
/* timer.h - a heap of deadlines in virtual time */
#ifndef CV_TIMER_H
#define CV_TIMER_H

#include "core/types.h"

struct cv_timer {
	cv_time when;
	size_t place; /* in the heap, plus one; 0: not set */
	void (*fire)(struct cv_timer *, cv_time now);
};

struct cv_timers {
	const struct cv_env *env;
	struct cv_timer **heap;
	size_t count, size;
	cv_time running; /* the run under way, or 0 */
};

/** cv_timers_init(), cv_timers_clear() - an empty heap; give it back */
void cv_timers_init(struct cv_timers *, const struct cv_env *);
void cv_timers_clear(struct cv_timers *);

/** cv_timers_reserve() - make sure that @n timers can be set at once */
int cv_timers_reserve(struct cv_timers *, size_t n);

/** cv_timer_set() - fire at @when; CV_NEVER unsets */
void cv_timer_set(struct cv_timers *, struct cv_timer *, cv_time when);

/** cv_timers_next() - the earliest deadline, or CV_NEVER */
cv_time cv_timers_next(const struct cv_timers *);

/** cv_timers_run() - fire everything due at @now, each once */
void cv_timers_run(struct cv_timers *, cv_time now);

#endif
