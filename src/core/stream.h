/* SPDX-License-Identifier: MIT */
/**
 * stream.h - a STREAM flow's bytes, between its edge and its session
 *
 * DOC: Out: the edge reads straight into the send buffer, as much as
 * cv_flow_room() gives; a stream that has something to send stands in its
 * transport's ring and gets its turn there.  In: what comes in order goes to
 * the edge where it lies; the rest waits in the receive buffer.  Windows grow
 * with what the consumer takes in a round trip.
 *
 * A direction ends with FIN, both with the flow: when everything written was
 * acknowledged and everything that came in was taken.  A flow that is closed
 * otherwise ends with RESET, and what was under way is dropped.
 */
#ifndef CV_STREAM_H
#define CV_STREAM_H

#include "core/flow.h"
#include "core/rcvbuf.h"
#include "core/sndbuf.h"

struct cv_part;
struct cv_transport;

/**
 * struct cv_tuned - a window that grows
 * @most:	bytes, in the end
 * @since:	when this stretch began, and ...
 * @at:		... how much was used by then
 */
struct cv_tuned {
	uint32_t most;
	cv_time since;
	uint64_t at;
};

struct cv_stream {
	struct cv_flow *flow;
	struct cv_end *end; /* the session's, ours to write to */
	struct cv_transport *transport;
	struct cv_list turn; /* in the transport's ring, or alone */
	struct cv_sndbuf tx;
	struct cv_rcvbuf rx;
	uint32_t window;       /* bytes that the peer may send at once */
	uint64_t taken;        /* of what we sent, by the far consumer */
	uint64_t told;         /* of what came in, that we said was taken */
	cv_time took;          /* when some was, or since when some waits */
	cv_time asked;         /* when its OPEN was first to be sent, or 0 */
	bool tell;             /* WINDOW is to be sent */
	bool stalled;          /* by the session's window: in that list */
	bool starved;          /* the edge wants room */
	bool ended;            /* the edge knows that its bytes have ended */
	struct cv_tuned tuned; /* of the window */
	struct cv_waiter room; /* resumes the edge */
};

/** cv_stream_new() - the state of a STREAM flow whose end @e is in a session
 * Return: 0 or CULVERT_ENOMEM */
int cv_stream_new(struct cv_flow *, struct cv_end *e);

/** cv_stream_find() - that of a session's flow, by the number that we write, or
 * NULL; it has not left */
struct cv_stream *cv_stream_find(struct cv_session *, uint64_t id);

/** cv_stream_free() - NULL is fine */
void cv_stream_free(struct cv_stream *, struct cv_node *);

/** cv_stream_leave() - its session end is gone: nothing more is sent */
void cv_stream_leave(struct cv_stream *);

/** cv_stream_wants() - it has something to send now */
bool cv_stream_wants(const struct cv_stream *);

/** cv_stream_turn() - into the ring, or out of it, as it now should be */
void cv_stream_turn(struct cv_stream *);

/** cv_stream_wake() - the same, and the session is told */
void cv_stream_wake(struct cv_stream *, cv_time now);

/**
 * cv_stream_put() - Write STREAM frames of this stream
 * @room:	bytes at @p, all that are left in the packet
 *
 * A frame that leaves less than CV_FRAME_LEAST bytes has no length: the packet
 * ends with it.  Each is a part of the packet being built.
 *
 * Return: bytes written, 0 if there is nothing or no room
 */
size_t cv_stream_put(struct cv_stream *, uint8_t *p, size_t room);

/** cv_stream_input() - a STREAM frame of the peer: 0; CULVERT_EPROTO; or
 * another error if it could not be kept: the packet does not count as received
 */
int cv_stream_input(struct cv_stream *, const struct cv_frame *, cv_time now);

/** cv_stream_window() - a WINDOW frame; CULVERT_EPROTO if more was taken than
 * sent */
int cv_stream_window(struct cv_stream *, const struct cv_frame *, cv_time now);

/** cv_stream_acked(), cv_stream_lost() - what became of a part */
void cv_stream_acked(struct cv_stream *, const struct cv_part *);
void cv_stream_lost(struct cv_stream *, const struct cv_part *, cv_time now);

/**
 * cv_stream_unmet() - Whether a peer that was restarted has not met it before
 * @began:	when the new one has begun, at the latest; 0: unknown
 * @until:	what was sent by then would have been answered by now
 *
 * True if this end opened it and sent nothing of it, or all of it in between:
 * whoever was there before @began cannot have handed its bytes on.
 */
bool cv_stream_unmet(const struct cv_stream *, cv_time began, cv_time until);

/** cv_stream_again() - such a one is opened anew, and all of it sent again */
void cv_stream_again(struct cv_stream *, cv_time now);

/** cv_stream_settle() - if both directions have ended, so does the flow, soon
 */
void cv_stream_settle(struct cv_stream *);

#endif
