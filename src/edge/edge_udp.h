/* SPDX-License-Identifier: MIT */
/* edge_udp.h - a local UDP port whose clients are forwarded to a peer */
#ifndef CV_EDGE_UDP_H
#define CV_EDGE_UDP_H

#include "loop/udp_io.h"

struct cv_udp_port;

/**
 * cv_udp_listen() - Forward every client of a local port
 * @at:		address and port to bind
 * @peer:	a client known beforehand, whose flow is opened now and never
 *		expires, so that the far side may speak first; or family NONE
 * @via:	session that carries the flows
 * @target:	URL the peer is asked for; must outlive the port
 *
 * Return: the port, or NULL and errno
 */
struct cv_udp_port *cv_udp_listen(struct cv_udp_io *, const struct cv_addr *at,
	const struct cv_addr *peer, struct cv_session *via, const char *target);

/** cv_udp_unlisten() - close it; its flows must be gone */
void cv_udp_unlisten(struct cv_udp_port *);

#endif
