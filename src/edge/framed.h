/* SPDX-License-Identifier: MIT */
/**
 * framed.h - a flow's end that is one TCP connection in a foreign framing
 *
 * DOC: What edge_frames, which accepts such connections, and
 * edge_frames_out, which opens them, have in common.  A connection is up
 * while it has a stream; before that datagrams are held, afterwards they
 * are written, or age behind what is written.
 */
#ifndef CV_FRAMED_H
#define CV_FRAMED_H

#include "core/frameq.h"
#include "loop/conn.h"

struct cv_framed;

/**
 * struct cv_framed_set - the connections of one edge
 * @wanted:	a datagram is held: connect soon; NULL if that is not ours to do
 * @lost:	the stream ended (@why NULL: by the other end) and will be gone
 * @gone:	... is gone: connect again, or free
 */
struct cv_framed_set {
	struct cv_edge edge;
	struct cv_loop *loop;
	bool led, dials; /* udptunnel's preamble; we say it */
	struct cv_list all, dirty;
	struct cv_list slow; /* datagrams wait for them, and age */
	ev_timer age;
	void (*wanted)(struct cv_framed *, cv_time now);
	void (*lost)(struct cv_framed *, const char *why);
	void (*gone)(struct cv_framed *);
};

struct cv_framed {
	struct cv_framed_set *set;
	struct cv_end *end; /* its flow's, NULL: that has ended */
	struct cv_conn conn;
	struct cv_framing framing;
	struct cv_bufq held; /* while it is not up */
	struct cv_list all, dirty, slow;
	struct cv_list waiters;
	bool up;
	bool refused; /* what it says is none of our frames, or too much */
	bool begun;   /* a frame was written since it is up */
};

/** cv_framed_set_init() - @scheme: of the URL, frames+tcp or udptunnel+tcp */
void cv_framed_set_init(
	struct cv_framed_set *, struct cv_loop *, const char *scheme);

/** cv_framed_set_clear() - end every connection and its flow */
void cv_framed_set_clear(struct cv_framed_set *);

/** cv_framed_init() - a connection of a flow's end, not up yet */
void cv_framed_init(
	struct cv_framed *, struct cv_framed_set *, struct cv_end *);

/** cv_framed_up() - a connected socket, which then belongs to @c; what is
 * held goes out */
void cv_framed_up(struct cv_framed *c, int fd, cv_time now);

/** cv_framed_down() - close the stream; @gone follows, perhaps at once */
void cv_framed_down(struct cv_framed *);

/** cv_framed_end_flow() - its flow ends with it */
void cv_framed_end_flow(struct cv_framed *, cv_time now);

/** cv_framed_clear() - drop what is held; @c may be freed */
void cv_framed_clear(struct cv_framed *c);

/* for the edges' struct cv_edge_ops */
int cv_framed_dgram(struct cv_edge *, struct cv_end *,
	const struct cv_frame *train, cv_time now);
void cv_framed_flush(struct cv_edge *);
void cv_framed_wait(struct cv_edge *, struct cv_end *, struct cv_waiter *);

#endif
