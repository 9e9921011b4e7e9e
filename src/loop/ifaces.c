/* SPDX-License-Identifier: MIT */
#include "loop/ifaces.h"

#include "loop/sock.h"

#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool bridge_port(const char *name)
{
	char path[64];
	snprintf(path, sizeof path, "/sys/class/net/%s/brport", name);
	return !access(path, F_OK);
}

static bool usable(const struct ifaddrs *a)
{
	unsigned need = IFF_UP | IFF_RUNNING;
	if ((a->ifa_flags & need) != need || a->ifa_flags & IFF_LOOPBACK)
		return false;
	if (a->ifa_flags & IFF_POINTOPOINT && !(a->ifa_flags & IFF_MULTICAST))
		return false;
	return !bridge_port(a->ifa_name);
}

static unsigned prefix(const struct sockaddr *mask)
{
	struct sockaddr_storage ss = { 0 };
	struct cv_addr m = { 0 };
	unsigned bits = 0;
	if (!mask)
		return 128;
	/* the family of a mask is not always said */
	memcpy(&ss, mask,
		mask->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					    : sizeof(struct sockaddr_in));
	cv_sock_from(&ss, &m);
	for (unsigned i = 0; i < sizeof m.ip; i++)
		bits += (unsigned)__builtin_popcount(m.ip[i]);
	return bits;
}

/* every interface has an entry of AF_PACKET, whatever its addresses */
static void add_iface(struct cv_ifaces *out, const struct ifaddrs *a)
{
	const struct sockaddr_ll *ll = (const void *)a->ifa_addr;
	struct cv_iface *i = &out->iface[out->n];
	if (out->n == CV_IFACES || !usable(a))
		return;
	*i = (struct cv_iface){ .index = (uint32_t)ll->sll_ifindex,
		.ethernet = ll->sll_hatype == ARPHRD_ETHER };
	snprintf(i->name, sizeof i->name, "%s", a->ifa_name);
	if (i->ethernet && ll->sll_halen == sizeof i->mac)
		memcpy(i->mac, ll->sll_addr, sizeof i->mac);
	out->n++;
}

static void add_addr(struct cv_ifaces *out, const struct ifaddrs *a)
{
	struct cv_iface *i =
		(struct cv_iface *)cv_ifaces_named(out, a->ifa_name);
	struct sockaddr_storage ss = { 0 };
	bool v6 = a->ifa_addr->sa_family == AF_INET6;
	if (!i || i->addrs == CV_IFACE_ADDRS)
		return;
	memcpy(&ss, a->ifa_addr,
		v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
	struct cv_iface_addr *x = &i->addr[i->addrs++];
	cv_sock_from(&ss, &x->addr);
	x->bits = (uint8_t)prefix(a->ifa_netmask);
}

int cv_ifaces_read(struct cv_ifaces *out)
{
	struct ifaddrs *all;
	out->n = 0;
	if (getifaddrs(&all))
		return CULVERT_ESYS;
	for (struct ifaddrs *a = all; a; a = a->ifa_next)
		if (a->ifa_addr && a->ifa_addr->sa_family == AF_PACKET)
			add_iface(out, a);
	for (struct ifaddrs *a = all; a; a = a->ifa_next)
		if (a->ifa_addr && (a->ifa_addr->sa_family == AF_INET ||
					   a->ifa_addr->sa_family == AF_INET6))
			add_addr(out, a);
	freeifaddrs(all);
	return 0;
}

const struct cv_iface *cv_ifaces_at(const struct cv_ifaces *all, uint32_t index)
{
	for (unsigned i = 0; i < all->n; i++)
		if (all->iface[i].index == index)
			return &all->iface[i];
	return NULL;
}

const struct cv_iface *cv_ifaces_named(
	const struct cv_ifaces *all, const char *name)
{
	for (unsigned i = 0; i < all->n; i++)
		if (!strcmp(all->iface[i].name, name))
			return &all->iface[i];
	return NULL;
}

static bool link_local(const struct cv_addr *a)
{
	return a->family == CV_AF_INET6 && a->ip[0] == 0xfe &&
	       (a->ip[1] & 0xc0) == 0x80;
}

bool cv_iface_has(const struct cv_iface *i, enum cv_family family)
{
	for (unsigned k = 0; k < i->addrs; k++) {
		const struct cv_addr *a = &i->addr[k].addr;
		if (a->family == family &&
			(family == CV_AF_INET || link_local(a)))
			return true;
	}
	return false;
}

bool cv_iface_onlink(const struct cv_iface *i, const struct cv_addr *addr)
{
	if (link_local(addr))
		return true;
	for (unsigned k = 0; k < i->addrs; k++)
		if (i->addr[k].addr.family == addr->family &&
			cv_addr_in_prefix(
				addr, &i->addr[k].addr, i->addr[k].bits))
			return true;
	return false;
}
