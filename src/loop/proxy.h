/* SPDX-License-Identifier: MIT */
/**
 * proxy.h - ask a proxy, over a connected socket, for a connection beyond it
 *
 * What the proxy says is looked at before it is read, so that the first bytes
 * of the tunnel are left for who gets the socket.
 */
#ifndef CV_PROXY_H
#define CV_PROXY_H

#include "loop/connect.h"

struct cv_proxy;

/**
 * cv_proxy_new() - The proxy of @target's option via=
 * @target:	must live as long
 * @done:	as of cv_connect(), from the loop, after cv_proxy_start()
 *
 * Return: NULL if out of memory, or if that option cannot be parsed
 */
struct cv_proxy *cv_proxy_new(struct cv_loop *, const struct cv_url *target,
	cv_connected *done, void *user);

/** cv_proxy_free() - also the socket, if it is not handed over */
void cv_proxy_free(struct cv_proxy *);

/** cv_proxy_url() - host and port to connect to */
const struct cv_url *cv_proxy_url(const struct cv_proxy *);

/** cv_proxy_start() - ask; @fd is connected there, and ours from now on */
void cv_proxy_start(struct cv_proxy *, int fd);

#endif
