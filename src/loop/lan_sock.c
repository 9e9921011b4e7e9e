/* SPDX-License-Identifier: MIT */
#include "loop/lan_sock.h"

#include "loop/udp_io.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

enum { HOPS = 255 }; /* that it came from this link shows by them */

static void enlarge(int fd)
{
	cv_sock_buffer(fd, true, CV_UDP_BUFFER);
	cv_sock_buffer(fd, false, CV_UDP_BUFFER);
	cv_udp_gather(fd);
}

static int bound(const struct cv_addr *at)
{
	struct sockaddr_storage ss;
	socklen_t len = cv_sock_addr(at, &ss);
	int fd = cv_sock_new(at, SOCK_DGRAM);
	if (fd < 0)
		return -1;
	if (at->family == CV_AF_INET6)
		cv_sock_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!bind(fd, (struct sockaddr *)&ss, len))
		return fd;
	int e = errno;
	close(fd);
	errno = e;
	return -1;
}

/* where the socket of that family goes; false: nowhere */
static bool bind_to(const struct cv_lan_options *o, struct cv_addr *at)
{
	if (o->at.family && o->at.family != at->family) {
		errno = EAFNOSUPPORT;
		return false;
	}
	if (o->at.family)
		*at = o->at;
	at->port = o->port;
	return true;
}

/* bound, with large buffers */
static int open_bound(const struct cv_lan_options *o, enum cv_family family)
{
	struct cv_addr at = { .family = (uint8_t)family };
	int fd = bind_to(o, &at) ? bound(&at) : -1;
	if (fd >= 0)
		enlarge(fd);
	return fd;
}

int cv_lan_sock4(const struct cv_lan_options *o)
{
	int hops = o->hops ? o->hops : HOPS;
	int fd = open_bound(o, CV_AF_INET);
	if (fd < 0)
		return -1;
	cv_sock_int(fd, SOL_SOCKET, SO_BROADCAST, 1);
	cv_sock_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	cv_sock_int(fd, IPPROTO_IP, IP_TTL, HOPS);
	cv_sock_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, hops);
	/* only groups that this socket joined */
	cv_sock_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
	cv_sock_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	return fd;
}

int cv_lan_sock6(const struct cv_lan_options *o)
{
	int hops = o->hops ? o->hops : HOPS;
	int fd = open_bound(o, CV_AF_INET6);
	if (fd < 0)
		return -1;
	cv_sock_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	cv_sock_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, HOPS);
	cv_sock_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops);
	cv_sock_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
	return fd;
}
