/* SPDX-License-Identifier: MIT */
/**
 * edge_suite.h - what every edge must do
 *
 * A new edge is one more fixture: how it is opened on a pair of nodes, and
 * how a local program and a target reach it.  Its main() calls edge_suite().
 */
#ifndef EDGE_SUITE_H
#define EDGE_SUITE_H

#include "conform/link_suite.h"

enum edge_flags {
	EDGE_DATAGRAMS = 1, /* keeps boundaries, may drop, counts drops */
	EDGE_TARGETS = 2,   /* the far end is a socket to a target's URL */
	EDGE_ANY = 4,       /* may listen on every address at once */
	EDGE_BIND = 8,      /* ?bind= and a client known beforehand */
	EDGE_LINK = 16,     /* its flows go over the link */
};

/**
 * struct edge_setup - NULL means the usual
 * @at:		where local clients come
 * @client:	one known beforehand, whose flow is opened unasked
 * @allow:	policy at the far end
 * @to:		the far end's own target, for an empty URL
 */
struct edge_setup {
	const struct cv_addr *at, *client;
	const char *target, *allow, *to;
};

/**
 * struct edge_fixture
 * @open:	local edge on A, target edge on B; returns where clients go
 * @close:	both; the nodes are quiet
 * @url:	of a target at an address
 * @client:	a program's socket, from an address or anywhere; connected to
 *		@to unless that is NULL
 * @target:	a socket that waits at an address, with much room
 */
struct edge_fixture {
	const char *name;
	unsigned flags;
	const struct link_fixture *link;
	struct cv_addr (*open)(
		struct node *a, struct node *b, const struct edge_setup *);
	void (*close)(void);
	void (*url)(const struct cv_addr *, char out[CV_URL_TEXT]);
	int (*client)(const struct cv_addr *from, const struct cv_addr *to);
	int (*target)(const struct cv_addr *at);
};

extern const struct edge_fixture edge_udp_fixture, edge_frames_fixture;

/** edge_suite() - run it; a process's exit code */
int edge_suite(const struct edge_fixture *);

#endif
