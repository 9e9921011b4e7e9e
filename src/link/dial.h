/* SPDX-License-Identifier: MIT */
/**
 * dial.h - keep links open to a peer's endpoint
 *
 * Attempts are connect.h's, the waiting between them is backoff.h's.  Each
 * place of the session has its own; as long as there is no session only the
 * first is to be filled.
 */
#ifndef CV_DIAL_H
#define CV_DIAL_H

#include "core/url.h"
#include "loop/loop.h"

struct cv_dialer;

/**
 * cv_dialer_new() - for @s, to tcp://host:port[?connections=N] or
 * udp://host:port[?cc=MODEL]; checked
 * Return: NULL if out of memory
 */
struct cv_dialer *cv_dialer_new(
	struct cv_loop *, struct cv_session *, const struct cv_url *);
void cv_dialer_free(struct cv_dialer *);

/**
 * cv_dialer_kick() - the session wants links: at once if the last attempt is
 * CV_DIAL_MIN ago, otherwise when that is so
 */
void cv_dialer_kick(struct cv_dialer *);

#endif
