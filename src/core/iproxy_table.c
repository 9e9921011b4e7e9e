/* SPDX-License-Identifier: MIT */
#include "core/iproxy_table.h"

#include <string.h>

struct cv_iproxy_entry *cv_iproxy_find(
	struct cv_iproxy_table *t, uint32_t client)
{
	for (unsigned i = 0; i < CV_IPROXY_TABLE; i++)
		if (t->entry[i].used && t->entry[i].conn.client == client)
			return &t->entry[i];
	return NULL;
}

bool cv_iproxy_opens(const struct cv_iproxy_packet *x)
{
	return x->flags == CV_IPROXY_ALIVE && x->client && !x->offset;
}

/* a free place, or of those that are closed the one that was so first */
static struct cv_iproxy_entry *place(struct cv_iproxy_table *t)
{
	struct cv_iproxy_entry *oldest = NULL;
	for (unsigned i = 0; i < CV_IPROXY_TABLE; i++) {
		struct cv_iproxy_entry *e = &t->entry[i];
		if (!e->used)
			return e;
		if (e->closed && (!oldest || e->closed < oldest->closed))
			oldest = e;
	}
	return oldest;
}

struct cv_iproxy_entry *cv_iproxy_add(
	struct cv_iproxy_table *t, uint32_t client, cv_time now)
{
	struct cv_iproxy_entry *e = place(t);
	if (!e)
		return NULL;
	cv_iproxy_init(&e->conn, client, t->server, false, now);
	e->owner = NULL;
	e->used = true;
	e->gone = false;
	e->closed = 0;
	return e;
}

void cv_iproxy_close(struct cv_iproxy_entry *e, bool gone, cv_time now)
{
	e->owner = NULL;
	e->gone = gone;
	e->closed = now;
}

void cv_iproxy_sweep(struct cv_iproxy_table *t, cv_time now)
{
	for (unsigned i = 0; i < CV_IPROXY_TABLE; i++) {
		struct cv_iproxy_entry *e = &t->entry[i];
		if (e->used && e->closed && cv_iproxy_expired(&e->conn, now))
			e->used = false;
	}
}
