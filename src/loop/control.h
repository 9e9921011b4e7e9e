/* SPDX-License-Identifier: MIT */
/* control.h - a running node's unix socket */
#ifndef CV_CONTROL_H
#define CV_CONTROL_H

#include "loop/loop.h"

#include <stdio.h>

struct cv_control;

/** cv_compose - write the answer to a request of one line */
typedef void cv_compose(void *user, const char *request, FILE *);

/**
 * cv_control_new() - Listen at DIR/NAME.sock, mode 0600
 * @name:	of the node
 * @exact:	EADDRINUSE if a node of that name runs already; otherwise it
 *		becomes NAME-PID
 *
 * DIR is /run/culvert for root, else $XDG_RUNTIME_DIR/culvert, else
 * /tmp/culvert-UID; it is made with mode 0700.
 *
 * Return: the control socket, or NULL and errno
 */
struct cv_control *cv_control_new(struct cv_loop *, const char *name,
	bool exact, cv_compose *, void *user);

/** cv_control_path() - where its socket is */
const char *cv_control_path(const struct cv_control *);

/** cv_control_name() - what it is called */
const char *cv_control_name(const struct cv_control *);

/** cv_control_free() - close and unlink; NULL is fine */
void cv_control_free(struct cv_control *);

/** cv_control_ask() - culvert_ask() */
int cv_control_ask(const char *name, const char *request,
	void (*answer)(void *user, const char *piece, size_t len), void *user);

#endif
