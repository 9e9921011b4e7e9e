/* SPDX-License-Identifier: MIT */
/**
 * link_udp.h - packets as UDP datagrams
 *
 * A port is a socket.  One that listens is bound, and its links are of peers
 * that found it; a dialled endpoint has one of its own, with one link.
 */
#ifndef CV_LINK_UDP_H
#define CV_LINK_UDP_H

#include "loop/sock.h"

struct cv_port;

enum {
	CV_PORT_BUFFER = 8 << 20, /* socket buffers asked for */
	CV_PORT_ADDRS = 8,        /* of one endpoint's name */
};

/** cv_port_listen() - accept links on an address; NULL: as cv_sock_listen() */
struct cv_port *cv_port_listen(struct cv_loop *, const struct cv_addr *,
	const struct cv_url *, char why[CV_SOCK_WHY]);

/** cv_port_pause() - who begins a handshake is not heard any more */
void cv_port_pause(struct cv_port *);

/** cv_port_unlisten() - close it and its links */
void cv_port_unlisten(struct cv_port *);

/** cv_port_new() - to dial from, both families if the system has both; NULL
 * and @why */
struct cv_port *cv_port_new(
	struct cv_loop *, const struct cv_url *, char why[CV_SOCK_WHY]);

/** cv_port_leave() - close it as soon as its link is gone */
void cv_port_leave(struct cv_port *);

/**
 * cv_port_dial() - make a link to a peer, for place 0 of its session
 * @addr:	where it may be, with ports: one after the other is tried, a
 *		handshake each, until one of them answers
 *
 * Return: 0 or CULVERT_ENOMEM
 */
int cv_port_dial(struct cv_port *, struct cv_session *,
	const struct cv_addr *addr, unsigned n);

/** cv_port_moved() - the machine's interfaces have changed: ask for the MTU of
 * each link's anew */
void cv_port_moved(struct cv_port *);

/** cv_port_of() - the port of a link, NULL if it is not of UDP */
struct cv_port *cv_port_of(const struct cv_link *);

#endif
