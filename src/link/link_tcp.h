/* SPDX-License-Identifier: MIT */
/* link_tcp.h - packets over TCP connections, as records */
#ifndef CV_LINK_TCP_H
#define CV_LINK_TCP_H

#include "loop/sock.h"

struct cv_tcp_listener;

/** cv_tcp_listen() - accept links on an address; NULL: as cv_sock_listen() */
struct cv_tcp_listener *cv_tcp_listen(struct cv_loop *, const struct cv_addr *,
	const struct cv_url *, char why[CV_SOCK_WHY]);
void cv_tcp_unlisten(struct cv_tcp_listener *);

/** cv_tcp_adopt() - make a link of a connected socket, for place @number */
int cv_tcp_adopt(
	struct cv_loop *, int fd, struct cv_session *, unsigned number);

#endif
