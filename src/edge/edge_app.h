/* SPDX-License-Identifier: MIT */
/* edge_app.h - the embedding program's own flows, by its callbacks */
#ifndef CV_EDGE_APP_H
#define CV_EDGE_APP_H

#include "core/node.h"

struct cv_app;

/**
 * cv_app_new() - The edge of a program
 * @options:	its callbacks; stay the caller's
 * @now:	where the time stands, for a node without a loop; NULL: the
 *		system's clock
 *
 * Return: the edge, or NULL without memory
 */
struct cv_app *cv_app_new(struct cv_node *,
	const struct culvert_options *options, const cv_time *now);

/** cv_app_free() - its flows must be gone; NULL is fine */
void cv_app_free(struct cv_app *);

/** cv_app_edge() - what the node is given */
struct cv_edge *cv_app_edge(struct cv_app *);

/**
 * cv_app_peer() - A session came up or went down: tell the program soon
 * cv_app_gone() - It goes by this name no longer: if it was up, it is down
 */
void cv_app_peer(struct cv_app *, struct cv_session *);
void cv_app_gone(struct cv_app *, struct cv_session *);

/** cv_app_mute() - no callback is made any more */
void cv_app_mute(struct cv_app *);

/**
 * cv_app_enter(), cv_app_leave() - Around a callback that others make
 * cv_app_calling() - Is one being made?
 */
void cv_app_enter(struct cv_app *);
void cv_app_leave(struct cv_app *);
bool cv_app_calling(const struct cv_app *);

/** cv_app_open() - culvert_open(), with the session that carries it */
int cv_app_open(struct cv_app *, struct cv_session *, const char *target,
	culvert_flow **out);

/** cv_app_yours() - the place of the program's own pointer */
void **cv_app_yours(culvert_flow *);

/** cv_app_send(), cv_app_close() - culvert_send(), culvert_close() */
int cv_app_send(culvert_flow *, const void *data, size_t len);
void cv_app_close(culvert_flow *);

#endif
