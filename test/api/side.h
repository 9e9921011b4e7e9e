/* SPDX-License-Identifier: MIT */
/**
 * side.h - a program with a node in it, as the tests of culvert.h see it
 *
 * Everything here knows only culvert.h: what it stands on is the shared
 * library, so that a symbol that is not exported is found missing.
 */
#ifndef SIDE_H
#define SIDE_H

#include "unit/check.h"

#include "culvert.h"

#include <stdbool.h>

enum { SAID = 16 << 10, CONF = 4 << 10 };

/* the callbacks, as bits */
enum call {
	ON_LOG = 1,
	ON_STATE = 2,
	ON_ACCEPT = 4,
	ON_OPENED = 8,
	ON_DGRAM = 16,
	ON_CLOSED = 32,
	ON_STOPPED = 64,
	ON_WOKEN = 128,
	ON_REQUEST = 256,
};

/** struct side - what a program was told, and what it answers */
struct side {
	culvert *node;
	char said[SAID]; /* log lines */
	size_t nsaid;
	unsigned up, down, asked, opened, dgrams, closed, stopped, woken;
	uint64_t bytes;
	char peer[64]; /* of the last state or accept */
	char target[512];
	int answer;                      /* to accept */
	int why;                         /* of the last closed */
	culvert_flow *flow;              /* accepted last */
	culvert_flow *from;              /* of the last datagram */
	culvert_flow *gone;              /* closed last */
	uint8_t data[CULVERT_DGRAM_MAX]; /* the last datagram */
	size_t len;
	bool echo;
	/* called within callbacks, after the above was noted */
	void (*within)(struct side *, enum call, culvert_flow *);
	bool deep; /* in a callback */
};

/** struct keys - a private key and its public one */
struct keys {
	char priv[CULVERT_KEYTEXT], pub[CULVERT_KEYTEXT];
};

/** side_options() - every callback is ours */
struct culvert_options side_options(struct side *);

/** side_new() - a node of a text; fails the test if it cannot be had */
void side_new(struct side *, const struct culvert_options *, const char *conf);

/** side_end() - culvert_free(); NULL in its place */
void side_end(struct side *);

/** side_clear() - forget what was told */
void side_clear(struct side *);

/** keys_make() - new ones */
struct keys keys_make(void);

/** side_shows() - the answer to a request holds @text */
bool side_shows(struct side *, const char *request, const char *text);

/** side_count() - the number behind "@name": in "show -j", first place */
uint64_t side_count(struct side *, const char *name);

/** fill(), filled() - contents of a datagram, by its number */
void fill(uint8_t *data, size_t len, unsigned number);
bool filled(const uint8_t *data, size_t len, unsigned number);

/** descriptors(), threads() - how many this process has */
int descriptors(void);
int threads(void);

#endif
