/* SPDX-License-Identifier: MIT */
/**
 * bytes.h - two nodes without a loop, and the streams between them
 *
 * Time is a number that the test moves.  Streams hand over bytes in pieces of
 * random size, or hold them back.
 */
#ifndef BYTES_H
#define BYTES_H

#include "side.h"

enum { A, B };

#define MS(n) ((uint64_t)(n)*1000u)
#define SEC(n) ((uint64_t)(n)*1000000u)

/* µs: any beginning will do, this one shows that none is assumed */
#define BEGIN 5000u

/** struct wire - a stream: end[A] writes q[A], which end[B] reads */
struct wire {
	culvert_link *end[2];
	uint8_t *q[2];
	size_t len[2];
	bool hold[2]; /* keep what end[i] writes */
	bool mute[2]; /* do not even ask end[i] for it */
	int err[2];   /* what culvert_link_input() said last */
};

struct pair {
	struct side side[2];
	struct keys keys[2];
	struct wire wire;
	uint64_t now, seed;
	size_t piece; /* largest piece, bytes */
};

/** pair_conf() - the text of side @i; @more lines in [Node] */
const char *pair_conf(
	const struct pair *, int i, const char *more, char out[CONF]);

/** pair_begin() - nodes exist; @more lines in [Node] of both; Plain if it says
 * so */
void pair_begin(struct pair *, const char *more);

/** pair_reload() - culvert_reload() of side @i with pair_conf() */
int pair_reload(struct pair *, int i, const char *more);

/** pair_wire() - A greets B over a new stream; an old one must be cut */
void pair_wire(struct pair *);

/** pair_cut() - the stream is gone at both ends */
void pair_cut(struct pair *);

/** pair_settle() - move bytes until there are none */
void pair_settle(struct pair *);

/** pair_run() - let @span of time pass, ticking when it is asked for */
void pair_run(struct pair *, uint64_t span);

/** pair_end() - both nodes go, in either order */
void pair_end(struct pair *);

/** pair_open() - a flow from A that B accepted */
culvert_flow *pair_open(struct pair *, const char *target);

/** pair_random() - below @n */
size_t pair_random(struct pair *, size_t n);

#endif
