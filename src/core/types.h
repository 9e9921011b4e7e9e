/* SPDX-License-Identifier: MIT */
/* types.h - time, environment and small helpers that every part uses */
#ifndef CV_TYPES_H
#define CV_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "culvert.h"

/** Monotonic time in microseconds; always an argument, never asked for. */
typedef uint64_t cv_time;

#define CV_NEVER UINT64_MAX
#define CV_MS(n) ((cv_time)(n)*1000u)
#define CV_SEC(n) ((cv_time)(n)*1000000u)

#define CV_COUNT(a) (sizeof(a) / sizeof *(a))
#define CV_CONTAINER(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct cv_session;

/**
 * struct cv_env - what the core needs from outside
 * @alloc:	zeroed memory or NULL
 * @random:	fill with unpredictable bytes
 * @log:	one line in logfmt, without level and newline
 * @trace:	what the transport does, a JSON object; or NULL
 * @dial:	open a link to the session's endpoint, soon
 * @state:	a session came up or went down; may be NULL
 * @wall:	wall clock minus monotonic clock, µs since 1970
 */
struct cv_env {
	void *(*alloc)(void *user, size_t size);
	void (*free)(void *user, void *ptr, size_t size);
	void (*random)(void *user, void *out, size_t len);
	void (*log)(void *user, enum culvert_log_level, const char *line);
	void (*trace)(void *user, const char *line);
	void (*dial)(void *user, struct cv_session *);
	void (*state)(void *user, struct cv_session *);
	uint64_t wall;
	void *user;
};

static inline cv_time cv_earlier(cv_time a, cv_time b)
{
	return a < b ? a : b;
}

static inline uint16_t cv_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t cv_get32(const uint8_t *p)
{
	return (uint32_t)cv_get16(p) << 16 | cv_get16(p + 2);
}

static inline uint64_t cv_get64(const uint8_t *p)
{
	return (uint64_t)cv_get32(p) << 32 | cv_get32(p + 4);
}

static inline void cv_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void cv_put32(uint8_t *p, uint32_t v)
{
	cv_put16(p, (uint16_t)(v >> 16));
	cv_put16(p + 2, (uint16_t)v);
}

static inline void cv_put64(uint8_t *p, uint64_t v)
{
	cv_put32(p, (uint32_t)(v >> 32));
	cv_put32(p + 4, (uint32_t)v);
}

#endif
