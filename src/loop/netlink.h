/* SPDX-License-Identifier: MIT */
/**
 * netlink.h - the machine's addresses, routes and interfaces have changed
 *
 * DOC: rtnetlink(7) says so.  The first change counts at once; what follows
 * within CALM of it is one more, and the longer changes keep coming the more
 * are taken together, up to a second's, or of interfaces and addresses a tenth
 * of that: a router with many routes has its peers told of them once a second.
 * Where there is no such socket nothing is ever said.
 */
#ifndef CV_NETLINK_H
#define CV_NETLINK_H

#include "loop/loop.h"

/** struct cv_moves - somebody who wants to know; @moved: called from the loop,
 * before the node is told */
struct cv_moves {
	struct cv_list list;
	void (*moved)(struct cv_moves *);
};

/** cv_moves_watch() - call @m->moved from now on */
void cv_moves_watch(struct cv_loop *, struct cv_moves *m);

/** cv_moves_leave() - no more; harmless if it never was watched */
void cv_moves_leave(struct cv_loop *, struct cv_moves *m);

#endif
