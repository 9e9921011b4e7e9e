/* SPDX-License-Identifier: MIT */
#include "systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { FIRST = 3, STATE = 1024 };

/* a variable that is a number and nothing else; 0: it is not */
static unsigned long long number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	return *end || errno ? 0 : n;
}

static bool is_ours(const char *name)
{
	return number(name) == (unsigned long long)getpid();
}

/* the length of the address of $NOTIFY_SOCKET; 0: there is none */
static socklen_t address(struct sockaddr_un *a)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;
	if (n < 2 || n >= sizeof a->sun_path || !strchr("/@", *path))
		return 0;
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(a->sun_path, path, n);
	if (*path == '@')
		*a->sun_path = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

/* what has begun before this moment was done before the reload */
static int add_time(char text[STATE], const char *state)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return snprintf(text, STATE, "%s\nMONOTONIC_USEC=%llu", state,
		(unsigned long long)t.tv_sec * 1000000u +
			(unsigned long long)t.tv_nsec / 1000u);
}

void systemd_notify(const char *state)
{
	struct sockaddr_un to;
	char text[STATE];
	socklen_t len = address(&to);
	int fd = len ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
	if (fd < 0)
		return;
	/* a manager that is stuck shall not be the end of us as well */
	const struct timeval patience = { .tv_sec = 1 };
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	int n = strncmp(state, "RELOADING=1", 11)
			? snprintf(text, sizeof text, "%s", state)
			: add_time(text, state);
	if (n > 0 && n < STATE)
		(void)!sendto(fd, text, (size_t)n, MSG_NOSIGNAL,
			(struct sockaddr *)&to, len);
	close(fd);
}

static bool close_on_exec(int fd)
{
	int flags = fcntl(fd, F_GETFD);
	return flags >= 0 && !fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

static int take(int n, int **out)
{
	int *fds = calloc((size_t)n, sizeof *fds);
	for (int i = 0; fds && i < n; i++) {
		fds[i] = FIRST + i;
		if (close_on_exec(fds[i]))
			continue;
		free(fds);
		return -1;
	}
	if (!fds)
		return -1;
	*out = fds;
	return n;
}

int systemd_listen_fds(int **fds)
{
	const char *announced = getenv("LISTEN_FDS");
	bool ours = announced && is_ours("LISTEN_PID");
	unsigned long long n = ours ? number("LISTEN_FDS") : 0;
	bool wrong = ours && !n && strcmp(announced, "0");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (wrong || n > INT_MAX - FIRST) {
		errno = EINVAL;
		return -1;
	}
	return n ? take((int)n, fds) : 0;
}

uint64_t systemd_watchdog(void)
{
	if (getenv("WATCHDOG_PID") && !is_ours("WATCHDOG_PID"))
		return 0;
	return number("WATCHDOG_USEC");
}
