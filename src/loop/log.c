/* SPDX-License-Identifier: MIT */
#include "loop/log.h"

#include "core/hash.h"

#include <stdio.h>
#include <string.h>

/* lines are alike if they begin with the same msg="..." */
static uint64_t kind_of(const char *line)
{
	const uint64_t key[2] = { 0, 0 };
	const char *start = strchr(line, '"');
	const char *end = start ? strchr(start + 1, '"') : NULL;
	size_t len = end ? (size_t)(end - line) : strlen(line);
	return cv_siphash(key, line, len);
}

/* a new span of time for one kind of line; how many the last left out */
static unsigned begin(
	struct cv_logger *l, unsigned i, uint64_t hash, cv_time now)
{
	unsigned more =
		l->kind[i].hash == hash && l->kind[i].lines > CV_LOG_BURST
			? l->kind[i].lines - CV_LOG_BURST
			: 0;
	l->kind[i].hash = hash;
	l->kind[i].since = now;
	l->kind[i].lines = 0;
	return more;
}

void cv_logger_write(struct cv_logger *l, enum culvert_log_level level,
	const char *line, cv_time now)
{
	char note[96];
	unsigned more = 0;
	if (level > l->level || !l->put)
		return;
	uint64_t hash = kind_of(line);
	unsigned i = (unsigned)(hash % CV_LOG_KINDS);
	if (l->kind[i].hash != hash ||
		now - l->kind[i].since >= CV_SEC(CV_LOG_SECONDS))
		more = begin(l, i, hash, now);
	if (more) {
		snprintf(note, sizeof note,
			"msg=\"left out lines like the next\" lines=%u", more);
		l->put(l->user, level, note);
	}
	if (++l->kind[i].lines <= CV_LOG_BURST)
		l->put(l->user, level, line);
}
