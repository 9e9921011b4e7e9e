/* SPDX-License-Identifier: MIT */
/* resolve.h - names to addresses without blocking, by c-ares */
#ifndef CV_RESOLVE_H
#define CV_RESOLVE_H

#include "loop/loop.h"

struct cv_query;

/** The answer: addresses with port 0, families alternating, or why not. */
typedef void cv_resolved(
	void *user, const struct cv_addr *addr, unsigned n, const char *why);

/**
 * cv_resolve() - Look a name up; a number answers itself, and so does one with
 * a zone, such as fe80::1%eth0
 *
 * The answer always comes later, from the loop.  NULL: out of memory, or
 * CV_LOOKUPS names are being looked up already.
 */
struct cv_query *cv_resolve(
	struct cv_loop *, const char *host, cv_resolved *, void *user);

/** cv_resolve_cancel() - the answer is not wanted any more */
void cv_resolve_cancel(struct cv_query *);

/** cv_resolver_free() - unanswered queries are cancelled */
void cv_resolver_free(struct cv_loop *);

#endif
