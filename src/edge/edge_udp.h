/* SPDX-License-Identifier: MIT */
/* edge_udp.h - a local UDP port whose clients are forwarded to a peer */
#ifndef CV_EDGE_UDP_H
#define CV_EDGE_UDP_H

#include "loop/udp_io.h"

struct cv_udp_port;

/**
 * struct cv_udp_route - where the clients of a port go
 * @peer:	a client known beforehand, whose flow is opened at once and
 *		never expires, so that the far side may speak first; or family
 *		NONE
 * @via:	session that carries the flows, or ...
 * @far:	... the edge where they end
 * @target:	URL the peer is asked for
 */
struct cv_udp_route {
	struct cv_addr peer;
	struct cv_session *via;
	struct cv_edge *far;
	char target[CV_TARGET_MAX + 1];
};

/**
 * cv_udp_listen() - A local port, whose clients go nowhere yet
 * Return: the port, or NULL and errno
 */
struct cv_udp_port *cv_udp_listen(struct cv_udp_io *, const struct cv_addr *at);

/**
 * cv_udp_route() - Where its clients go from now on
 *
 * Flows that went elsewhere end; if nothing differs nothing happens.
 */
void cv_udp_route(struct cv_udp_port *, const struct cv_udp_route *);

/** cv_udp_unlisten() - end its flows and close it */
void cv_udp_unlisten(struct cv_udp_port *);

#endif
