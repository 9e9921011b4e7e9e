/* SPDX-License-Identifier: MIT */
/**
 * talk.h - streams: programs that write and read, and what must hold of them
 *
 * What one side reads is a prefix of what the other has written, and all of it
 * when its end has come.  Nobody loses a stream but by his own doing, the far
 * program's, or a crash.
 */
#ifndef SIM_UDP_TALK_H
#define SIM_UDP_TALK_H

#include "sim/udp/host.h"

struct side {
	struct talk *talk;
	struct cv_end *end; /* NULL: not open, or not any more */
	bool opened, closed;
	enum cv_reset why;
	/* what it writes */
	uint32_t key; /* where in the pattern its bytes begin */
	uint64_t length, written;
	bool finished, paused;
	uint64_t abort_at; /* bytes written or read; UINT64_MAX: never */
	cv_time gap;       /* longest between two portions */
	uint32_t portion;
	/* what it reads */
	uint64_t got, took;
	bool fin, slow;
	struct event write, take;
	/* what is still to be flushed */
	struct cv_list dirty;
	const uint8_t *piece;
	size_t len;
	uint64_t at;
};

struct talk {
	struct world *w;
	unsigned no, client;
	char target[16];
	struct side side[2]; /* the client's, the server's */
	bool late, refused;  /* how the target takes it */
	bool excused;        /* it may end early, by a crash or a program */
	struct event open, opened;
};

/** talks_new(), talks_free() - all streams of a life */
void talks_new(struct world *);
void talks_free(struct world *);

/** talks_plain() - the first one writes @bytes at full speed, begins now, and
 * nothing comes back */
void talks_plain(struct world *, uint64_t bytes);

/** talks_start() - of a host that has just started */
void talks_start(struct host *);

/** talks_leave() - the host is about to stop: its streams are excused */
void talks_leave(struct host *);

/** talks_stopped() - the host is gone: its streams are excused */
void talks_stopped(struct host *);

/** talks_heal() - no new ones, nobody is slow */
void talks_heal(struct world *);

/** talks_over() - every stream has ended at both ends */
bool talks_over(const struct world *);

/** talks_judge() - those that have not are told of */
void talks_judge(struct world *);

extern const struct cv_edge_ops talk_ops;

#endif
