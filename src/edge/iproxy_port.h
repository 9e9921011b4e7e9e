/* SPDX-License-Identifier: MIT */
/**
 * iproxy_port.h - where packets of iproxy version 1 leave and arrive
 *
 * iproxy+udp://[ID@]HOST[:PORT], iproxy+bcast:// and iproxy+mcast://.
 */
#ifndef CV_IPROXY_PORT_H
#define CV_IPROXY_PORT_H

#include "core/iproxy.h"
#include "core/lanurl.h"
#include "loop/lan.h"

struct cv_query;

struct cv_iproxy_port {
	struct cv_loop *loop;
	struct cv_lan *lan;
	struct cv_lan_user user;
	bool serves;
	unsigned kinds; /* of what leads to everybody; 0: one address */
	uint32_t id;    /* of the server; 0: not given */
	uint16_t to;    /* the servers' port */
	char host[CV_URL_HOST];
	struct cv_addr server; /* of iproxy+udp:// */
	struct cv_query *query;
	/* true if it was for this one */
	bool (*input)(struct cv_iproxy_port *, const struct cv_iproxy_packet *,
		const struct cv_lan_way *from);
};

/** cv_iproxy_port_open() - @input is set by then
 * Return: 0, or CULVERT_ESYS with @why filled in */
int cv_iproxy_port_open(struct cv_iproxy_port *, struct cv_loop *,
	const struct cv_url *, bool serves, char why[CV_SOCK_WHY]);
void cv_iproxy_port_close(struct cv_iproxy_port *);

/** cv_iproxy_port_call() - a packet to the server, by every way that there is
 */
void cv_iproxy_port_call(
	struct cv_iproxy_port *, const struct cv_iproxy_packet *);

/** cv_iproxy_port_seek() - a packet to a client that may be where one came from
 * no more: there, and to its port by every way that there is */
void cv_iproxy_port_seek(struct cv_iproxy_port *,
	const struct cv_iproxy_packet *, const struct cv_lan_way *from);

/** cv_iproxy_port_answer() - a packet to where one came from */
void cv_iproxy_port_answer(struct cv_iproxy_port *,
	const struct cv_iproxy_packet *, const struct cv_lan_way *from);

#endif
