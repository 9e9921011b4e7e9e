/* SPDX-License-Identifier: MIT */
/**
 * conn.h - one TCP connection: buffers out, bytes in
 *
 * DOC: Out: what is in the queue is written while the socket takes it, in
 * small helpings behind a slow path, and a queue that has run dry is filled by
 * the owner; TCP_NOTSENT_LOWAT keeps the kernel from hoarding.  In: bytes are
 * read into the loop's one area and worked off in place; what is cut by the
 * end of a read is kept aside until its rest comes.  One stream gets CV_TURN
 * of a turn of the loop.
 */
#ifndef CV_CONN_H
#define CV_CONN_H

#include "loop/loop.h"

struct cv_conn;

/**
 * struct cv_conn_ops - what the owner does
 * @fill:	before every write: drop from @out what is stale; if it is empty
 *		put about @bytes into it of what there is
 * @input:	work off what lies between *@p and @end, move *@p behind it;
 *		begins anew after cv_conn_time_up().  NULL, or why the
 *		stream is of no use any more
 * @worked:	a helping of input was worked off, or NULL
 * @writable:	a blocked stream takes bytes again
 * @ended:	by the other end (@why NULL) or by an error; the owner closes
 * @gone:	closed: the owner frees it
 */
struct cv_conn_ops {
	void (*fill)(struct cv_conn *, size_t bytes, cv_time now);
	const char *(*input)(struct cv_conn *, uint8_t **p, uint8_t *end);
	void (*worked)(struct cv_conn *);
	void (*writable)(struct cv_conn *);
	void (*ended)(struct cv_conn *, const char *why);
	void (*gone)(struct cv_conn *);
};

struct cv_conn {
	const struct cv_conn_ops *ops;
	struct cv_loop *loop;
	struct cv_bufq out; /* to be written, oldest first */
	bool blocked;       /* the socket is full: wait for @writable */
	bool closed;        /* while its input was worked off */

	/* its own */
	ev_io rx, tx;
	size_t helping;
	struct cv_bufq rest; /* read, and to be worked off with the next turn */
	ev_timer more;       /* ... which comes even if nothing more arrives */
	cv_time until;       /* end of this turn */
	bool reading;
	bool time_up; /* the turn ended before what was read did */
	int broken;   /* error of a write, until the loop turns */
};

/** cv_conn_start() - read from a connected socket, which belongs to @s */
void cv_conn_start(struct cv_conn *s, struct cv_loop *, int fd,
	const struct cv_conn_ops *);

/**
 * cv_conn_close() - Close the socket and call @gone, at once or, from
 * within @input, when that returns
 *
 * Datagrams that were not written are counted as CV_DROP_LINK_LOST.
 */
void cv_conn_close(struct cv_conn *);

/** cv_conn_flush() - Write while the socket takes it */
void cv_conn_flush(struct cv_conn *, cv_time now);

/** cv_conn_time_up() - from @input: whether to return, at time @now */
bool cv_conn_time_up(struct cv_conn *, cv_time now);

#endif
