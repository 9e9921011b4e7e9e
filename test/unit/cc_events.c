/* SPDX-License-Identifier: MIT */
#include "unit/cc_events.h"

#include <stdlib.h>

static bool sooner(const struct event *a, const struct event *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

void events_put(struct events *q, const struct event *new)
{
	struct event e = *new;
	uint32_t i = q->count++;
	e.order = q->order++;
	if (i == q->room) {
		q->room = i ? 2 * i : 1024;
		q->heap = realloc(q->heap, q->room * sizeof e);
		if (!q->heap)
			abort();
	}
	for (; i && sooner(&e, &q->heap[(i - 1) / 2]); i = (i - 1) / 2)
		q->heap[i] = q->heap[(i - 1) / 2];
	q->heap[i] = e;
}

bool events_take(struct events *q, cv_time until, struct event *first)
{
	struct event e;
	uint32_t i = 0, c;
	if (!q->count || q->heap[0].at > until)
		return false;
	*first = q->heap[0];
	e = q->heap[--q->count];
	while ((c = 2 * i + 1) < q->count) {
		if (c + 1 < q->count && sooner(&q->heap[c + 1], &q->heap[c]))
			c++;
		if (!sooner(&q->heap[c], &e))
			break;
		q->heap[i] = q->heap[c];
		i = c;
	}
	q->heap[i] = e;
	return true;
}
