/* SPDX-License-Identifier: MIT */
/**
 * streams.h - the edges of a pair learn streams
 *
 * Byte @n of each direction is streams_byte(@n), which the reader checks.
 */
#ifndef STREAMS_H
#define STREAMS_H

#include "core/stream.h"
#include "unit/pair.h"

#define STREAM_TARGET "tcp://127.0.0.1:5"

/** streams_on() - again after pair_restart() */
void streams_on(struct pair *);

static inline uint8_t streams_byte(uint64_t n)
{
	return (uint8_t)(n * 31 + (n >> 8) * 7 + (n >> 16));
}

/** streams_open() - a STREAM flow of A's client @n to B; NULL: refused */
struct cv_flow *streams_open(struct pair *, unsigned n);

/** streams_write() - up to @len more bytes from an edge's end
 * Return: how many it took */
size_t streams_write(struct pair *, struct cv_end *, size_t len);

/** streams_finish() - ... and no more */
void streams_finish(struct pair *, struct cv_end *);

/** streams_take() - use up @len bytes that a hoarding edge was given */
void streams_take(struct pair *, struct cv_end *, size_t len);

/** streams_got() - bytes that this end was given */
uint64_t streams_got(const struct cv_end *);

#endif
