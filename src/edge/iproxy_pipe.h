/* SPDX-License-Identifier: MIT */
/**
 * iproxy_pipe.h - one TCP socket and one connection of iproxy version 1
 *
 * DOC: What the socket has is read when the connection takes it, a packet at a
 * time; what comes in is acknowledged when it is here, one packet of it, and
 * no more is taken until the socket has that.
 */
#ifndef CV_IPROXY_PIPE_H
#define CV_IPROXY_PIPE_H

#include "edge/iproxy_port.h"

struct cv_iproxy_pipe {
	struct cv_iproxy_port *port;
	struct cv_iproxy *conn;
	ev_io rx, tx;
	ev_timer clock;
	int fd;                      /* -1: none yet */
	uint8_t out[CV_IPROXY_DATA]; /* to be written to the socket ... */
	uint32_t len, off;           /* ... from @off on */
	bool finished;               /* the socket has no more to say */
	bool fin, shut;              /* nor has the other end; it was told */
	cv_time linger; /* once it is closed, to acknowledge what is repeated */
	bool heard;
	struct cv_lan_way from; /* where the other end was heard */
	/* it is over, and the socket closed: @closed in good order.  Free it */
	void (*over)(struct cv_iproxy_pipe *, bool closed);
};

/** cv_iproxy_pipe_init() - @conn, @over and the port are the owner's */
void cv_iproxy_pipe_init(struct cv_iproxy_pipe *, struct cv_iproxy_port *,
	struct cv_iproxy *conn);

/** cv_iproxy_pipe_up() - here is its socket */
void cv_iproxy_pipe_up(struct cv_iproxy_pipe *, int fd);

/** cv_iproxy_pipe_step() - send what is due; it may be over then */
void cv_iproxy_pipe_step(struct cv_iproxy_pipe *);

/** cv_iproxy_pipe_input() - a packet of its connection; likewise */
void cv_iproxy_pipe_input(struct cv_iproxy_pipe *,
	const struct cv_iproxy_packet *, const struct cv_lan_way *from);

/** cv_iproxy_pipe_moved() - of a client: interfaces or addresses have changed,
 * so everybody is called again; likewise */
void cv_iproxy_pipe_moved(struct cv_iproxy_pipe *);

/** cv_iproxy_pipe_abort() - tell the other end, and be over */
void cv_iproxy_pipe_abort(struct cv_iproxy_pipe *);

#endif
