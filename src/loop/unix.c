/* SPDX-License-Identifier: MIT */
#include "loop/unix.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE = 3 }; /* seconds */

static bool address(struct sockaddr_un *a, const char *path)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int n = snprintf(a->sun_path, sizeof a->sun_path, "%s", path);
	errno = ENAMETOOLONG;
	return n > 0 && (size_t)n < sizeof a->sun_path;
}

/* -1, with the error that was there before */
static int give_up(int fd)
{
	int e = errno;
	close(fd);
	errno = e;
	return -1;
}

/* nobody answers, or there is nothing at all; else errno */
static bool deserted(const char *path)
{
	struct stat st;
	int fd = cv_unix_dial(path);
	if (fd >= 0)
		close(fd);
	else if (errno == ENOENT)
		return true;
	else if (errno == ECONNREFUSED && !lstat(path, &st) &&
		 S_ISSOCK(st.st_mode))
		return !unlink(path);
	else if (errno != EAGAIN && errno != ECONNREFUSED)
		return false;
	/* it answers, is too busy for that, or is no socket at all */
	errno = EADDRINUSE;
	return false;
}

int cv_unix_listen(const char *path, int backlog)
{
	struct sockaddr_un at;
	if (!address(&at, path) || !deserted(path))
		return -1;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* the file takes over the mode that the socket has before bind() */
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&at, sizeof at) ||
		listen(fd, backlog))
		return give_up(fd);
	return fd;
}

int cv_unix_dial(const char *path)
{
	const struct timeval limit = { .tv_sec = PATIENCE };
	struct sockaddr_un at;
	if (!address(&at, path))
		return -1;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* a node that is stopped keeps nobody waiting for ever */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (connect(fd, (struct sockaddr *)&at, sizeof at))
		return give_up(fd);
	return fd;
}

bool cv_unix_ours(int fd)
{
	struct ucred who;
	socklen_t len = sizeof who;
	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) &&
	       (who.uid == 0 || who.uid == geteuid());
}
