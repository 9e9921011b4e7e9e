/* SPDX-License-Identifier: MIT */
/**
 * lanurl.h - the ports of a LAN, as people write them
 *
 *	lan://[ID@][IFACE][:PORT]	whatever needs no configuration
 *	bcast://[ID@][IFACE][:PORT]	IPv4 broadcast
 *	mcast://[ID@]GROUP[%IFACE][:PORT]	multicast, ?ttl=
 *
 * For iproxy version 1 with "iproxy+" in front.  IFACE left out: every
 *interface.
 */
#ifndef CV_LANURL_H
#define CV_LANURL_H

#include "core/url.h"

enum cv_lan_scheme {
	CV_LAN_ANY,
	CV_LAN_BCAST,
	CV_LAN_MCAST,
};

struct cv_lanurl {
	enum cv_lan_scheme scheme;
	uint32_t id;          /* of a server; 0: not given */
	char ifname[16];      /* "": all */
	struct cv_addr group; /* of MCAST, port 0 */
	uint16_t port;        /* 0: not given */
	uint8_t ttl;          /* of multicast; 0: not given */
	uint8_t cc;           /* enum cv_cc_kind */
};

/** cv_lanurl_is() - @text is one of these schemes, or begins with one and ":"
 */
bool cv_lanurl_is(const char *text);

/** cv_lanurl_iproxy() - @text is of iproxy, whatever carries it */
bool cv_lanurl_iproxy(const char *text);

/**
 * cv_lanurl_parse() - Understand one
 * @why:	on failure what is wrong, a constant
 *
 * Return: 0 or CULVERT_ESYNTAX
 */
int cv_lanurl_parse(
	struct cv_lanurl *, const struct cv_url *, const char **why);

#endif
