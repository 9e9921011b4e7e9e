/* SPDX-License-Identifier: MIT */
#include "loop/log.h"

#include "loop/loop.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {
	[CULVERT_ERROR] = "error",
	[CULVERT_WARN] = "warn",
	[CULVERT_INFO] = "info",
	[CULVERT_DEBUG] = "debug",
};

static void put(enum culvert_log_level level, const char *line)
{
	char text[800], when[32];
	struct timespec t;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	int n = snprintf(text, sizeof text, "time=%s.%03ldZ level=%s %s\n",
		when, t.tv_nsec / 1000000, level_names[level], line);
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

/* lines are alike if they begin with the same msg="..." */
static uint64_t kind_of(const char *line)
{
	const uint64_t key[2] = { 0, 0 };
	const char *start = strchr(line, '"');
	const char *end = start ? strchr(start + 1, '"') : NULL;
	size_t len = end ? (size_t)(end - line) : strlen(line);
	return cv_siphash(key, line, len);
}

void cv_logger_write(
	struct cv_logger *l, enum culvert_log_level level, const char *line)
{
	char note[96];
	if (level > l->level)
		return;
	uint64_t hash = kind_of(line);
	unsigned i = (unsigned)(hash % CV_LOG_KINDS);
	cv_time now = cv_now();
	if (l->kind[i].hash != hash ||
		now - l->kind[i].since >= CV_SEC(CV_LOG_SECONDS)) {
		unsigned more = l->kind[i].lines > CV_LOG_BURST
					? l->kind[i].lines - CV_LOG_BURST
					: 0;
		if (more && l->kind[i].hash == hash) {
			snprintf(note, sizeof note,
				"msg=\"left out lines like the next\" "
				"lines=%u",
				more);
			put(level, note);
		}
		l->kind[i].hash = hash;
		l->kind[i].since = now;
		l->kind[i].lines = 0;
	}
	if (++l->kind[i].lines <= CV_LOG_BURST)
		put(level, line);
}
