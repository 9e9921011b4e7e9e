/* SPDX-License-Identifier: MIT */
/** iproxy_server.h - a TCP service for clients of iproxy version 1 */
#ifndef CV_IPROXY_SERVER_H
#define CV_IPROXY_SERVER_H

#include "loop/sock.h"

struct cv_iproxy_server;

/** cv_iproxy_server_new() - @url: iproxy+...://ID@..., @to: tcp:// and the
 * service.  Return: NULL with @why filled in */
struct cv_iproxy_server *cv_iproxy_server_new(struct cv_loop *,
	const struct cv_url *url, const struct cv_url *to,
	char why[CV_SOCK_WHY]);

/** cv_iproxy_server_pause() - open no more connections */
void cv_iproxy_server_pause(struct cv_iproxy_server *);

/** cv_iproxy_server_free() - its connections are given up */
void cv_iproxy_server_free(struct cv_iproxy_server *);

#endif
