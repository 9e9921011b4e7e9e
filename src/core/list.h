/* SPDX-License-Identifier: MIT */
/* list.h - a doubly linked ring; an element not on a list points to itself */
#ifndef CV_LIST_H
#define CV_LIST_H

#include "core/types.h"

struct cv_list {
	struct cv_list *prev, *next;
};

static inline void cv_list_init(struct cv_list *l)
{
	l->prev = l->next = l;
}

static inline bool cv_list_empty(const struct cv_list *l)
{
	return l->next == l;
}

/** cv_list_del() - take @e off its list; harmless if it is on none */
static inline void cv_list_del(struct cv_list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	cv_list_init(e);
}

/** cv_list_append() - move @e to the end of @l */
static inline void cv_list_append(struct cv_list *l, struct cv_list *e)
{
	cv_list_del(e);
	e->prev = l->prev;
	e->next = l;
	l->prev->next = e;
	l->prev = e;
}

/** cv_list_prepend() - move @e to the front of @l */
static inline void cv_list_prepend(struct cv_list *l, struct cv_list *e)
{
	cv_list_del(e);
	cv_list_append(l->next, e);
}

#endif
