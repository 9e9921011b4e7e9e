/* SPDX-License-Identifier: MIT */
#include "loop/lan_options.h"

#include <stdio.h>

static unsigned kinds_of(const struct cv_lanurl *u)
{
	switch (u->scheme) {
	case CV_LAN_BCAST:
		return 1 << CV_LAN_BROADCAST | 1 << CV_LAN_FRAMECAST;
	case CV_LAN_MCAST:
		return u->group.family == CV_AF_INET6 ? 1 << CV_LAN_MULTICAST6
						      : 1 << CV_LAN_MULTICAST4;
	case CV_LAN_ANY:
	default:
		return CV_LAN_CASTS;
	}
}

struct cv_lan_options cv_lan_options_of(const struct cv_lanurl *u, bool serves)
{
	struct cv_lan_options o = { .kinds = kinds_of(u),
		.port = serves ? CV_LAN_PORT : CV_LAN_ASKING,
		.fallback = !serves,
		.hops = u->ttl };
	if (serves && u->port)
		o.port = u->port;
	snprintf(o.ifname, sizeof o.ifname, "%s", u->ifname);
	if (u->group.family == CV_AF_INET6)
		o.group6 = u->group;
	else if (u->group.family)
		o.group4 = u->group;
	return o;
}
