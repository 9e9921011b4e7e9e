/* SPDX-License-Identifier: MIT */
/* log.c - one line per event on standard error, in logfmt */
#include "cli.h"

#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

void log_line(void *user, enum culvert_log_level level, const char *line)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	char text[800], when[32];
	struct timespec t;
	struct tm tm;
	(void)user;
	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	int n = snprintf(text, sizeof text, "time=%s.%03ldZ level=%s %s\n",
		when, t.tv_nsec / 1000000, names[level], line);
	if (n >= (int)sizeof text) {
		n = sizeof text;
		text[n - 1] = '\n';
	}
	/* a line is written whole or, where nobody reads, not at all: a pipe
	   that polls writable takes PIPE_BUF bytes without blocking */
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	if (poll(&p, 1, 0) == 1 && p.revents & POLLOUT)
		(void)!write(STDERR_FILENO, text, (size_t)n);
}
