/* SPDX-License-Identifier: MIT */
#include "core/timer.h"

#include <string.h>

void cv_timers_init(struct cv_timers *t, const struct cv_env *env)
{
	*t = (struct cv_timers){ .env = env };
}

void cv_timers_clear(struct cv_timers *t)
{
	if (t->heap)
		t->env->free(t->env->user, t->heap, t->size * sizeof *t->heap);
	t->heap = NULL;
	t->count = t->size = 0;
}

int cv_timers_reserve(struct cv_timers *t, size_t n)
{
	if (n <= t->size)
		return 0;
	size_t size = t->size ? t->size : 16;
	while (size < n)
		size *= 2;
	struct cv_timer **heap =
		t->env->alloc(t->env->user, size * sizeof *heap);
	if (!heap)
		return CULVERT_ENOMEM;
	if (t->heap) {
		memcpy(heap, t->heap, t->count * sizeof *heap);
		t->env->free(t->env->user, t->heap, t->size * sizeof *heap);
	}
	t->heap = heap;
	t->size = size;
	return 0;
}

static void put(struct cv_timers *t, size_t i, struct cv_timer *x)
{
	t->heap[i] = x;
	x->place = i + 1;
}

static void sift_up(struct cv_timers *t, size_t i, struct cv_timer *x)
{
	for (; i && t->heap[(i - 1) / 2]->when > x->when; i = (i - 1) / 2)
		put(t, i, t->heap[(i - 1) / 2]);
	put(t, i, x);
}

static void sift_down(struct cv_timers *t, size_t i, struct cv_timer *x)
{
	for (;;) {
		size_t kid = 2 * i + 1;
		if (kid >= t->count)
			break;
		if (kid + 1 < t->count &&
			t->heap[kid + 1]->when < t->heap[kid]->when)
			kid++;
		if (t->heap[kid]->when >= x->when)
			break;
		put(t, i, t->heap[kid]);
		i = kid;
	}
	put(t, i, x);
}

static void unset(struct cv_timers *t, struct cv_timer *x)
{
	size_t i = x->place - 1;
	struct cv_timer *last = t->heap[--t->count];
	x->place = 0;
	if (last == x)
		return;
	if (i && t->heap[(i - 1) / 2]->when > last->when)
		sift_up(t, i, last);
	else
		sift_down(t, i, last);
}

void cv_timer_set(struct cv_timers *t, struct cv_timer *x, cv_time when)
{
	/* set again from a run, it waits for the next one */
	if (when <= t->running)
		when = t->running + 1;
	if (x->place && x->when == when)
		return;
	if (x->place)
		unset(t, x);
	x->when = when;
	if (when != CV_NEVER && t->count < t->size)
		sift_up(t, t->count++, x);
}

cv_time cv_timers_next(const struct cv_timers *t)
{
	return t->count ? t->heap[0]->when : CV_NEVER;
}

void cv_timers_run(struct cv_timers *t, cv_time now)
{
	t->running = now;
	while (t->count && t->heap[0]->when <= now) {
		struct cv_timer *x = t->heap[0];
		unset(t, x);
		x->fire(x, now);
	}
	t->running = 0;
}
