/* SPDX-License-Identifier: MIT */
#include "sim/events.h"

#include <stdlib.h>

static bool before(const struct event *a, const struct event *b)
{
	return a->when < b->when || (a->when == b->when && a->order < b->order);
}

static void put(struct events *q, size_t i, struct event *e)
{
	q->heap[i] = e;
	e->place = i + 1;
}

static void sift(struct events *q, size_t i, struct event *e)
{
	for (; i && before(e, q->heap[(i - 1) / 2]); i = (i - 1) / 2)
		put(q, i, q->heap[(i - 1) / 2]);
	for (;;) {
		size_t kid = 2 * i + 1;
		if (kid >= q->count)
			break;
		if (kid + 1 < q->count &&
			before(q->heap[kid + 1], q->heap[kid]))
			kid++;
		if (before(e, q->heap[kid]))
			break;
		put(q, i, q->heap[kid]);
		i = kid;
	}
	put(q, i, e);
}

static void unset(struct events *q, struct event *e)
{
	size_t i = e->place - 1;
	struct event *last = q->heap[--q->count];
	e->place = 0;
	if (last != e)
		sift(q, i, last);
}

void events_set(struct events *q, struct event *e, cv_time when)
{
	if (e->place)
		unset(q, e);
	if (when == CV_NEVER)
		return;
	if (q->count == q->size) {
		q->size = q->size ? 2 * q->size : 64;
		q->heap = realloc(q->heap, q->size * sizeof(*q->heap));
		if (!q->heap)
			abort();
	}
	e->when = when;
	e->order = q->order++;
	q->count++;
	sift(q, q->count - 1, e);
}

struct event *events_next(struct events *q, cv_time until)
{
	struct event *e = q->count ? q->heap[0] : NULL;
	if (!e || e->when > until)
		return NULL;
	unset(q, e);
	return e;
}

void events_clear(struct events *q)
{
	free(q->heap);
	*q = (struct events){ 0 };
}
