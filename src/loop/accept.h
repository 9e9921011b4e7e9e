/* SPDX-License-Identifier: MIT */
/* accept.h - a port on which TCP connections are accepted */
#ifndef CV_ACCEPT_H
#define CV_ACCEPT_H

#include "loop/sock.h"

/**
 * struct cv_accept
 * @accepted:	a connection came; its socket is the callee's
 */
struct cv_accept {
	struct cv_loop *loop;
	ev_io io;
	ev_timer pause; /* out of descriptors: wait before accepting again */
	void (*accepted)(struct cv_accept *, int fd);
};

/**
 * cv_accept_start() - Listen on an address; @accepted is set by then
 * @url:	whose options the socket has
 *
 * Return: 0, or CULVERT_ESYS and @why or errno, as cv_sock_listen()
 */
int cv_accept_start(struct cv_accept *, struct cv_loop *,
	const struct cv_addr *, const struct cv_url *url,
	char why[CV_SOCK_WHY]);

/** cv_accept_stop() - what was accepted lives on */
void cv_accept_stop(struct cv_accept *);

#endif
