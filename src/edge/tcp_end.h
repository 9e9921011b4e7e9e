/* SPDX-License-Identifier: MIT */
/**
 * tcp_end.h - one TCP connection that is one end of a STREAM flow
 *
 * DOC: In: the flow is asked for room and the socket read straight into it; if
 * there is none, reading stops until there is.  Out: what one turn of the loop
 * brings is written with one call, and only what the socket does not take is
 * copied.  What it took is told, which opens the window.  Either direction ends
 * by itself: a FIN is a FIN at the other end, and what ends before both have is
 * reset.  A connection that is idle holds no buffer.
 */
#ifndef CV_TCP_END_H
#define CV_TCP_END_H

#include "loop/loop.h"

enum { CV_TCP_PIECES = 256 }; /* given before a flush, of one edge */

struct cv_tcp_end {
	struct cv_tcp_ends *set;
	struct cv_end *end; /* NULL: the flow is over, some bytes wait */

	/* its own */
	ev_io rx, tx;
	struct cv_list place; /* of the set: dirty, or late */
	struct cv_bufq out;   /* to be written, oldest first */
	uint16_t first, last; /* its pieces, counted from 1; 0: none */
	int error;            /* told from the loop, not from a flush */
	bool up : 1;          /* it has a connected socket */
	bool finished : 1;    /* nothing more comes from the socket */
	bool fin : 1;         /* nothing more comes from the flow ... */
	bool shut : 1;        /* ... and all of it was written */
	bool reset : 1;       /* close it with a RST */
	bool telling : 1;     /* in cv_flow_took() */
};

/** struct cv_tcp_ends - those of one edge */
struct cv_tcp_ends {
	struct cv_edge edge;
	struct cv_loop *loop;
	struct cv_list dirty; /* have something to flush */
	struct cv_list late;  /* are written to though their flow is over */
	struct {
		const uint8_t *data;
		size_t len;
		uint16_t next;
	} piece[CV_TCP_PIECES];
	uint16_t pieces;
	void (*gone)(struct cv_tcp_end *); /* closed: the owner frees it */
};

/** cv_tcp_ends_init() - @ops, @gone and the rest are the owner's to set */
void cv_tcp_ends_init(struct cv_tcp_ends *, struct cv_loop *);

/** cv_tcp_ends_clear() - close them; their flows are gone */
void cv_tcp_ends_clear(struct cv_tcp_ends *);

/** cv_tcp_end_init() - not connected yet: what comes for it waits */
void cv_tcp_end_init(
	struct cv_tcp_end *, struct cv_tcp_ends *, struct cv_end *);

/** cv_tcp_end_up() - its socket is connected: write what waits, and read
 * from the next turn on */
void cv_tcp_end_up(struct cv_tcp_end *, int fd);

/** cv_tcp_end_read() - read at once; it may be gone when this returns */
void cv_tcp_end_read(struct cv_tcp_end *);

/** cv_tcp_end_drop() - it was never connected: give back what waits */
void cv_tcp_end_drop(struct cv_tcp_end *);

/** cv_tcp_reset() - close a socket with a RST */
void cv_tcp_reset(int fd);

/* what an edge of such ends has in its struct cv_edge_ops; close() may be
   called with an end that has no context any more */
void cv_tcp_end_stream(struct cv_edge *, struct cv_end *, const uint8_t *data,
	size_t len, bool fin);
void cv_tcp_end_flush(struct cv_edge *);
void cv_tcp_end_resume(struct cv_edge *, struct cv_end *);
void cv_tcp_end_close(struct cv_edge *, struct cv_end *, enum cv_reset why);

#endif
