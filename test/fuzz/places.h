/* SPDX-License-Identifier: MIT */
/* places.h - what must hold of a session's links, whatever happened to them */
#ifndef PLACES_H
#define PLACES_H

#include "core/node.h"
#include "fuzz/fuzz.h"

/** check_place() - a path and its link know each other */
static inline void check_place(const struct cv_session *s, unsigned i)
{
	const struct cv_path *p = &s->path[i];
	if (!p->link) {
		CHECK(!p->ready && !p->joining && !p->ctl.count);
		CHECK(s->hs_path != p && s->turn != p);
		return;
	}
	CHECK(i < s->places && p->link->path == p && p->link->session == s);
	CHECK(cv_path_number(p) == i && p->ctl.count <= CV_PATH_BUFS);
	CHECK(!(p->ready && p->joining));
	CHECK(p->link->dialled || (p->ready && p->link->trusted));
}

/** check_session() - its counts are those of its places */
static inline void check_session(const struct cv_session *s)
{
	unsigned links = 0, ready = 0;
	for (unsigned i = 0; i < CV_LINKS_SESSION; i++) {
		check_place(s, i);
		links += s->path[i].link != NULL;
		ready += s->path[i].ready;
	}
	CHECK(s->links == links && s->ready == ready);
	CHECK(!s->places || s->path[s->places - 1].link);
	CHECK((s->turn != NULL) == (ready > 0));
	CHECK(!s->turn || s->turn->ready);
	CHECK((s->hs_path != NULL) == (s->hs_sent > 0));
	CHECK(!s->cur || s->cur->links <= s->allowed);
}

/** check_places() - of every session of a node */
static inline void check_places(const struct cv_node *n)
{
	for (const struct cv_list *l = n->sessions.next; l != &n->sessions;
		l = l->next)
		check_session(CV_CONTAINER(l, struct cv_session, all));
}

/** free_place() - that is to be dialled next; -1: there are enough links */
static inline int free_place(const struct cv_session *s)
{
	unsigned wants = cv_session_wants(s);
	for (unsigned i = 0; s->links < wants && i < wants; i++) {
		if (!s->path[i].link)
			return (int)i;
	}
	return -1;
}

#endif
