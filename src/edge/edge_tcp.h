/* SPDX-License-Identifier: MIT */
/* edge_tcp.h - a local TCP port whose connections are forwarded to a peer */
#ifndef CV_EDGE_TCP_H
#define CV_EDGE_TCP_H

#include "core/url.h"
#include "loop/sock.h"

struct cv_tcp_port;

/**
 * struct cv_tcp_route - where the connections of a port go
 * @via:	session that carries the flows, or ...
 * @far:	... the edge where they end
 * @target:	URL the peer is asked for; with proxy=v2, &client= is added
 * @proxied:	each connection begins with a PROXY header, which is believed
 */
struct cv_tcp_route {
	struct cv_session *via;
	struct cv_edge *far;
	bool proxied;
	char target[CV_TARGET_MAX + 1];
};

/**
 * cv_tcp_port_listen() - A local port, whose connections go nowhere yet
 * @url:	address and options of the socket
 *
 * Return: the port, or NULL and @why or errno, as cv_sock_listen()
 */
struct cv_tcp_port *cv_tcp_port_listen(
	struct cv_loop *, const struct cv_url *url, char why[CV_SOCK_WHY]);

/**
 * cv_tcp_port_route() - Where its connections go from now on
 *
 * Flows that went elsewhere end; if nothing differs nothing happens.
 */
void cv_tcp_port_route(struct cv_tcp_port *, const struct cv_tcp_route *);

/** cv_tcp_port_pause() - accept nothing more; what is there goes on */
void cv_tcp_port_pause(struct cv_tcp_port *);

/** cv_tcp_port_close() - end its flows and close it */
void cv_tcp_port_close(struct cv_tcp_port *);

#endif
