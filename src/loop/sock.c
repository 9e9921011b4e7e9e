/* SPDX-License-Identifier: MIT */
#include "loop/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 128 };

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

static int create(const struct cv_addr *a, int type, int protocol)
{
	bool v6 = a->family == CV_AF_INET6;
	int fd = socket(v6 ? AF_INET6 : AF_INET,
		type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	/* :: is every address of both families, whatever the system's default
	 */
	if (fd >= 0 && v6)
		cv_sock_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, !cv_addr_any(a));
	return fd;
}

int cv_sock_new(const struct cv_addr *a, int type)
{
	return create(a, type, 0);
}

/* errno in words; @need: what it would take if that is EPERM */
static bool refused(char why[CV_SOCK_WHY], const char *option,
	const char *value, const char *need)
{
	const char *words = strerror(errno);
	if (errno == EPERM)
		words = need;
	if (errno == ENODEV)
		words = "no such device";
	snprintf(why, CV_SOCK_WHY, "%s%s%s: %s", option, *value ? " " : "",
		value, words);
	return false;
}

static bool set_mark(int fd, const char *value, char why[CV_SOCK_WHY])
{
	uint32_t mark;
	if (cv_url_number(value, &mark))
		errno = EINVAL;
	else if (!setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark))
		return true;
	return refused(why, "mark", "", "needs CAP_NET_ADMIN");
}

static bool set_interface(int fd, const char *value, char why[CV_SOCK_WHY])
{
	if (!setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, value,
		    (socklen_t)strlen(value)))
		return true;
	return refused(why, "interface", value, "needs CAP_NET_RAW");
}

static bool set_cc(int fd, const char *value, char why[CV_SOCK_WHY])
{
	char has[80];
	if (!setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, value,
		    (socklen_t)strlen(value)))
		return true;
	refused(why, "cc", value, "needs CAP_NET_ADMIN");
	if (errno != ENOENT)
		return false;
	FILE *f = fopen(
		"/proc/sys/net/ipv4/tcp_available_congestion_control", "re");
	if (f && fgets(has, sizeof has, f))
		snprintf(why, CV_SOCK_WHY, "cc %s: this kernel has %.*s", value,
			(int)strcspn(has, "\n"), has);
	if (f)
		fclose(f);
	return false;
}

static const struct option {
	const char *key;
	bool (*set)(int fd, const char *value, char why[CV_SOCK_WHY]);
} options[] = {
	{ "mark", set_mark }, { "interface", set_interface },
	{ "cc", set_cc }, /* the last: of streams alone */
};

static bool set_options(
	int fd, int type, const struct cv_url *u, char why[CV_SOCK_WHY])
{
	unsigned n = CV_COUNT(options) - (type == SOCK_DGRAM);
	for (unsigned i = 0; i < n; i++) {
		const char *value = cv_url_option(u, options[i].key);
		if (value && !options[i].set(fd, value, why))
			return false;
	}
	return true;
}

/* @fd, or -1 and @why */
static int with_options(
	int fd, int type, const struct cv_url *u, char why[CV_SOCK_WHY])
{
	if (fd < 0) {
		snprintf(why, CV_SOCK_WHY, "%s", strerror(errno));
		return -1;
	}
	if (set_options(fd, type, u, why))
		return fd;
	close(fd);
	return -1;
}

/* RFC 8684; what it can do, both ends and the path decide */
static int create_mptcp(struct cv_loop *l, const struct cv_addr *a)
{
	int fd = create(a, SOCK_STREAM, IPPROTO_MPTCP);
	if (fd >= 0 || (errno != EPROTONOSUPPORT && errno != ENOPROTOOPT &&
			       errno != EINVAL))
		return fd;
	if (!l->no_mptcp)
		cv_log(&l->node, CULVERT_WARN,
			"msg=\"this kernel has no MPTCP: plain TCP is used\" "
			"error=\"%s\"",
			strerror(errno));
	l->no_mptcp = true;
	return create(a, SOCK_STREAM, 0);
}

int cv_sock_stream(struct cv_loop *l, const struct cv_addr *a,
	const struct cv_url *u, char why[CV_SOCK_WHY])
{
	const char *mptcp = cv_url_option(u, "mptcp");
	int fd = mptcp && !strcmp(mptcp, "yes") ? create_mptcp(l, a)
						: create(a, SOCK_STREAM, 0);
	return with_options(fd, SOCK_STREAM, u, why);
}

int cv_sock_dgram(
	const struct cv_addr *a, const struct cv_url *u, char why[CV_SOCK_WHY])
{
	return with_options(create(a, SOCK_DGRAM, 0), SOCK_DGRAM, u, why);
}

static bool is_bound(int fd, const struct cv_addr *at, int type)
{
	struct cv_addr here = { 0 }, there;
	int is = 0, listens = 0;
	socklen_t len = sizeof is;
	cv_sock_ends(fd, &here, &there);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &is, &len) || is != type ||
		!cv_addr_equal(&here, at))
		return false;
	len = sizeof listens;
	return type != SOCK_STREAM ||
	       (!getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) &&
		       listens);
}

int cv_sock_inherited(
	const struct cv_loop *l, const struct cv_addr *at, int type)
{
	for (size_t i = 0; i < l->nfds; i++) {
		if (!is_bound(l->fds[i], at, type))
			continue;
		/* ours is another name for it */
		int fd = fcntl(l->fds[i], F_DUPFD_CLOEXEC, 0);
		int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
		if (flags >= 0)
			fcntl(fd, F_SETFL, flags | O_NONBLOCK);
		return fd;
	}
	return -1;
}

int cv_sock_listen(struct cv_loop *l, const struct cv_addr *a,
	const struct cv_url *u, char why[CV_SOCK_WHY])
{
	struct sockaddr_storage ss;
	socklen_t len = cv_sock_addr(a, &ss);
	int fd = cv_sock_inherited(l, a, SOCK_STREAM);
	if (fd >= 0)
		return fd;
	fd = cv_sock_stream(l, a, u, why);
	if (fd < 0)
		return -1;
	cv_sock_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!bind(fd, (struct sockaddr *)&ss, len) && !listen(fd, BACKLOG))
		return fd;
	int e = errno;
	close(fd);
	errno = e;
	*why = '\0';
	return -1;
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
