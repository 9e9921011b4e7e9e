/* SPDX-License-Identifier: MIT */
#include "loop/sock.h"

#include <netinet/in.h>
#include <string.h>

socklen_t cv_sock_addr(const struct cv_addr *a, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof *ss);
	if (a->family == CV_AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;
		in->sin_family = AF_INET;
		in->sin_port = htons(a->port);
		memcpy(&in->sin_addr, a->ip, 4);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(a->port);
	in6->sin6_scope_id = a->scope;
	memcpy(&in6->sin6_addr, a->ip, 16);
	return sizeof *in6;
}

void cv_sock_from(const struct sockaddr_storage *ss, struct cv_addr *a)
{
	memset(a, 0, sizeof *a);
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
		a->family = CV_AF_INET;
		a->port = ntohs(in->sin_port);
		memcpy(a->ip, &in->sin_addr, 4);
	} else if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 =
			(const struct sockaddr_in6 *)ss;
		a->family = CV_AF_INET6;
		a->port = ntohs(in6->sin6_port);
		a->scope = in6->sin6_scope_id;
		memcpy(a->ip, &in6->sin6_addr, 16);
		cv_addr_unmap(a);
	}
}

void cv_sock_ends(int fd, struct cv_addr *local, struct cv_addr *remote)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof ss;
	if (!getsockname(fd, (struct sockaddr *)&ss, &len))
		cv_sock_from(&ss, local);
	len = sizeof ss;
	if (!getpeername(fd, (struct sockaddr *)&ss, &len))
		cv_sock_from(&ss, remote);
}

int cv_sock_new(const struct cv_addr *a, int type)
{
	bool v6 = a->family == CV_AF_INET6;
	int fd = socket(v6 ? AF_INET6 : AF_INET,
		type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* :: is every address of both families, whatever the system's default
	 */
	if (fd >= 0 && v6)
		cv_sock_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, !cv_addr_any(a));
	return fd;
}

bool cv_sock_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

void cv_sock_buffer(int fd, bool rx, int bytes)
{
	if (!cv_sock_int(fd, SOL_SOCKET, rx ? SO_RCVBUFFORCE : SO_SNDBUFFORCE,
		    bytes))
		cv_sock_int(fd, SOL_SOCKET, rx ? SO_RCVBUF : SO_SNDBUF, bytes);
}
