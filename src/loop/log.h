/* SPDX-License-Identifier: MIT */
/* log.h - what comes too often is left out, and counted */
#ifndef CV_LOG_H
#define CV_LOG_H

#include "core/types.h"

enum {
	CV_LOG_KINDS = 64,  /* messages told apart by the rate limit */
	CV_LOG_BURST = 10,  /* lines of one message ... */
	CV_LOG_SECONDS = 5, /* ... in this time; the rest is counted */
};

/** struct cv_logger - @put: takes the lines that are let through, or NULL */
struct cv_logger {
	void (*put)(void *user, enum culvert_log_level, const char *line);
	void *user;
	enum culvert_log_level level;
	struct {
		uint64_t hash;
		cv_time since;
		unsigned lines;
	} kind[CV_LOG_KINDS];
};

/** cv_logger_write() - "msg=\"...\" key=value ...", at @now */
void cv_logger_write(struct cv_logger *, enum culvert_log_level,
	const char *line, cv_time now);

#endif
