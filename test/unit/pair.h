/* SPDX-License-Identifier: MIT */
/**
 * pair.h - two nodes back to back: links and edges in memory, virtual time
 *
 *	   edge ── node[A] ── end ~~~ wire ~~~ end ── node[B] ── edge
 *
 * A dials B.  A wire is a byte stream's worth of packets: in order, nothing
 * lost, late by @delay.  What one end closes, the other sees as closed when
 * everything before it has arrived.  Packets are handed over in the buffers
 * they were sealed in.
 */
#ifndef PAIR_H
#define PAIR_H

#include "core/node.h"
#include "unit/env.h"

enum { A, B, WIRES = 8 };

struct pair;
struct side;

/** struct end - one end of a wire */
struct end {
	struct cv_link link;
	struct pair *pair;
	struct side *side;
	struct end *far;
	struct cv_bufq out; /* packets under way to the far end */
	bool open;          /* the node knows it */
	bool closing;       /* the far end is gone */
	const char *why;    /* of its node, when it closed */
	bool mending;       /* what its gauge says */
	bool narrow;        /* one packet at a time blocks it */
};

struct wire {
	struct end end[2];
};

/** struct edge - takes what is delivered and remembers it */
struct edge {
	struct cv_edge edge;
	struct side *side;
	int answer;       /* of open */
	char target[512]; /* last asked for */
	unsigned opens, closes, flushes;
	bool blocked;             /* what it says of a datagram */
	struct cv_waiter *waiter; /* told to wait */
	uint64_t dgrams, bytes;   /* delivered */
	struct cv_end *last;      /* end of the last open or datagram */
	size_t len;               /* of the last datagram */
	enum cv_reset why;        /* of the last close */
	/* of streams, see streams.h */
	bool hoard; /* takes nothing by itself */
	bool any;   /* streams bring what nobody has written */
	uint64_t streamed;
	unsigned fins, resumes;
	const cv_time *now;
	/* told of every single datagram, if not NULL */
	void (*take)(struct edge *, struct cv_end *, const uint8_t *, size_t);
	void *user;
	uint8_t data[CV_DGRAM_MAX]; /* last: it need not be cleared */
};

struct side {
	struct cv_node node;
	struct mem mem;
	struct cv_session *s; /* to the other side; B plain: NULL */
	uint8_t priv[CV_KEY];
	unsigned dials; /* times the session asked for a link */
	unsigned resumed;
	struct edge edge; /* last: likewise */
};

struct pair {
	struct side side[2];
	struct wire wire[WIRES];
	cv_time now, delay;
	bool plain;
	/* sees each packet before its far end does; false: it is lost */
	bool (*tap)(struct pair *, struct end *to, uint8_t *p, size_t len);
	void *user;
	uint64_t seed; /* of the test's own */
};

/**
 * pair_init() - both nodes and their sessions
 * @fail_at:	the allocation of each side that fails, 0: none
 *
 * Return: 0 or what failed; pair_clear() in any case
 */
int pair_init(struct pair *, bool plain, const uint64_t fail_at[2]);

/** pair_new() - the same in new memory, must succeed; @plain as above */
struct pair *pair_new(bool plain);

/** pair_clear() - close every wire, clear both nodes, nothing may be left */
void pair_clear(struct pair *);
void pair_free(struct pair *);

/** pair_session() - (re)make the session of @side to the other one */
int pair_session(struct pair *, int side);

/** pair_restart() - @side forgets everything, as a killed process does */
void pair_restart(struct pair *, int side);

/** pair_wire() - a new connection from A to B; @s: dialled for it, or NULL */
struct wire *pair_wire(struct pair *, struct cv_session *s);

/** pair_join() - the same for the place @number of @s */
struct wire *pair_join(struct pair *, struct cv_session *s, unsigned number);

/** pair_up() - a wire, and the handshake done on it */
struct wire *pair_up(struct pair *);

/** pair_cut() - both ends of a wire fail, what is under way is lost */
void pair_cut(struct pair *, struct wire *);

/** pair_settle() - let everything happen that happens now */
void pair_settle(struct pair *);

/** pair_run() - let time pass until @until, tick by tick */
void pair_run(struct pair *, cv_time until);

/** pair_block() - @e takes nothing more; pair_unblock() takes again */
void pair_block(struct end *e);
void pair_unblock(struct end *e);

/** pair_client() - the address of local client @n */
struct cv_addr pair_client(unsigned n);

/** pair_open() - a flow of A's client @n, found or new; NULL: refused */
struct cv_flow *pair_open(struct pair *, unsigned n, const char *target);

/** pair_send() - a train from an end of a flow; @seg: see cv_frame */
int pair_send(struct pair *, struct cv_end *from, const void *data, size_t len,
	size_t seg);

/** pair_say() - a datagram of @len random bytes from end[0] of a flow */
int pair_say(struct pair *, struct cv_flow *, size_t len);

/** pair_drop() - how often @side counted a drop */
uint64_t pair_drop(const struct pair *, int side, enum cv_drop);

/** pair_drops() - everything it dropped */
uint64_t pair_drops(const struct pair *, int side);

#endif
