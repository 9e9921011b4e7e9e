/* SPDX-License-Identifier: MIT */
/**
 * transport.h - what makes a session reliable: streams, acknowledgements,
 * recovery, and on datagram links congestion control and the path's size
 *
 * DOC: A session has a transport from its first stream or datagram link on.
 * Packets of all its links are numbered in one space; what was in one is
 * remembered until it is acknowledged, and sent again in another if it is
 * lost.
 *
 *	transport.c	its life, its one timer, windows of the session
 *	transport_tx.c	packets and trains out
 *	transport_rx.c	acknowledgements in, losses, probes
 *
 * On a byte stream nothing is ever lost but by the loss of the link, so there
 * the clocks stand still: acknowledgements only free what would be sent again
 * over the next link.  On a datagram link the rest counts, and belongs to the
 * path in use: when the peer has moved, it begins anew.
 */
#ifndef CV_TRANSPORT_H
#define CV_TRANSPORT_H

#include "core/acks.h"
#include "core/cc.h"
#include "core/loss.h"
#include "core/pacer.h"
#include "core/parts.h"
#include "core/pmtud.h"
#include "core/rate.h"
#include "core/slice.h"
#include "core/stream.h"
#include "core/timer.h"

struct cv_path;
struct cv_session;
struct cv_train;

struct cv_transport {
	struct cv_session *session;
	struct cv_flights flights;
	struct cv_acks acks;
	struct cv_ranges opened; /* flows that the peer has opened, halved */
	struct cv_list turns;    /* streams with something to send */
	struct cv_list stalled;  /* ... that the session's window holds back */
	struct cv_timer timer;
	struct cv_slice slice; /* the chunk of datagrams being sent */
	struct cv_parts whole; /* datagrams that come in parts */

	/* the session's windows: bytes of all streams that are open, sent and
	   not yet said to be taken */
	uint64_t tx_out, tx_window;
	uint64_t rx_out, rx_window; /* the same of the peer's; what we said */
	uint64_t untold;            /* of these, taken */
	uint64_t taken;             /* bytes ever */
	uint32_t window;            /* what we would say now */
	bool tell;
	cv_time crowded; /* when to look who is stuck; 0: never */
	struct cv_tuned tuned;

	/* a datagram path, while there is one */
	struct cv_path *path;
	uint8_t generation; /* of the path: what left before does not count */
	struct cv_rtt rtt;
	struct cv_loss loss;
	struct cv_rate rate;
	struct cv_cc cc;
	struct cv_pacer pacer;
	struct cv_pmtud pmtud;
	cv_time waiting;  /* since when nothing has come in, though we ask; 0:
			     something has */
	cv_time silent;   /* the same, from its first doubt on */
	bool said_silent; /* people know */
	cv_time retry;    /* nothing left when something could: not before */
	unsigned probes;  /* packets that may leave whatever the window says */
	bool ping;        /* one of them must ask, even if it is empty */
	bool pad;         /* ... and be of full size */
	bool copies;      /* they are copies, sent early */
	uint64_t fresh;   /* the newest packet that is worth a copy */
	cv_time heard;    /* the last packet of a busy sender, or 0 */
	uint32_t heard_n; /* packets since the last round began */
	cv_time traced;   /* when the path's state last was */
	unsigned parts;   /* that the packet being built may still have */
	uint64_t retransmitted; /* bytes, for show */
};

/** cv_transport_get() - the session's, made if it has none; NULL: no memory */
struct cv_transport *cv_transport_get(struct cv_session *);
void cv_transport_free(struct cv_transport *);

/** cv_transport_drop_slice() - the datagrams that were next are not sent */
void cv_transport_drop_slice(struct cv_transport *, enum cv_drop);

/** cv_transport_count_lost() - datagrams in parts that were given up */
void cv_transport_count_lost(struct cv_transport *);

/** cv_transport_path() - a datagram path is ready, or another took its place;
 * NULL: it is gone, and what was on it is lost */
void cv_transport_path(struct cv_transport *, struct cv_path *, cv_time now);

/** cv_transport_moved() - the peer's address changed: what is under way went
 * elsewhere, and what was learnt of the path is void, unless @same host */
void cv_transport_moved(struct cv_transport *, bool same, cv_time now);

/** cv_transport_resized() - packets of the path are of another size now */
void cv_transport_resized(struct cv_transport *, cv_time now);

/** cv_transport_restart() - the peer has forgotten everything */
void cv_transport_restart(struct cv_transport *);

/** cv_transport_doubt() - nothing comes back: its link may know other ways */
void cv_transport_doubt(struct cv_transport *, cv_time now);

/** cv_transport_link_lost() - the path goes, and packets on it are lost */
void cv_transport_link_lost(
	struct cv_transport *, const struct cv_path *, cv_time now);

/** cv_transport_heard() - a packet of a busy sender came in */
void cv_transport_heard(struct cv_transport *, size_t len, cv_time now);

/** cv_transport_stir() - after input: send what may be sent, or set the timer
 */
void cv_transport_stir(struct cv_transport *, cv_time now);

/** cv_transport_schedule() - set the timer */
void cv_transport_schedule(struct cv_transport *, cv_time now);

/** cv_transport_ping() - ask for an acknowledgement at once; @pad: with a
 * packet of full size */
void cv_transport_ping(struct cv_transport *, bool pad, cv_time now);

/** cv_transport_revive() - the peer has agreed on keys: so it is there, and is
 * shown at once that we have them, however full the path's window is */
void cv_transport_revive(struct cv_transport *, cv_time now);

/**
 * cv_transport_grow() - @count bytes in all were used of a window: double it,
 * up to its most, if an eighth of it went within a round trip
 *
 * In start-up the sender is four times as fast when it hears of it, and a hole
 * in what arrived holds the consumer up until it is filled, two round trips or
 * more if that is lost, too, while the sender goes on.
 */
void cv_transport_grow(const struct cv_transport *, uint32_t *window,
	struct cv_tuned *, uint64_t count, cv_time now);

/** cv_transport_widen() - a stream's window is now @window: the session's is
 * twice that, if it can, so that a consumer that stops does not stop others */
void cv_transport_widen(struct cv_transport *, uint32_t window);

/** cv_transport_took() - @n bytes were used up: the session's window */
void cv_transport_took(struct cv_transport *, size_t n, cv_time now);

/** cv_transport_relax() - the session's window may let out more */
void cv_transport_relax(struct cv_transport *);

/** cv_transport_part() - another part of the packet being built, of which
 * ->parts are left; @flow: whose, or CV_NO_FLOW */
struct cv_part *cv_transport_part(
	struct cv_transport *, enum cv_part_type, uint64_t flow);

/** cv_transport_fresh() - bytes that the peer's session window lets out */
uint64_t cv_transport_fresh(const struct cv_transport *);

/* transport_tx.c */

/** cv_transport_wants() - something could be sent on a byte stream */
bool cv_transport_wants(const struct cv_transport *);

/** cv_transport_when() - when something can be sent on the datagram path */
cv_time cv_transport_when(const struct cv_transport *, cv_time now);

/** cv_transport_size_at() - when a probe of the path's size can leave; may
 * begin a search that is due */
cv_time cv_transport_size_at(struct cv_transport *, cv_time now);

/** cv_transport_train() - the next packets for the datagram path */
bool cv_transport_train(struct cv_transport *, struct cv_train *, cv_time now);

/** cv_transport_chunk() - frames of streams for a byte stream, or NULL */
struct cv_buf *cv_transport_chunk(struct cv_transport *);

/** cv_transport_ack() - an ACK frame for a byte stream if one is due, or NULL
 */
struct cv_buf *cv_transport_ack(struct cv_transport *, cv_time now);

/** cv_transport_track() - remember the control frames of @b, on a byte stream
 * Return: false if there is no memory for that: they may get lost */
bool cv_transport_track(struct cv_transport *, const struct cv_buf *b);

/** cv_transport_left() - a packet from these left on a byte stream */
void cv_transport_left(struct cv_transport *, uint64_t number, uint32_t size,
	unsigned place, cv_time now);

/** cv_transport_spoilt() - a packet with parts could not be sealed: its number
 * is used by none, and what was in it is sent again */
void cv_transport_spoilt(struct cv_transport *, cv_time now);

/* transport_rx.c */

/** cv_transport_acked() - an ACK frame; CULVERT_EPROTO if it acknowledges what
 * was never sent */
int cv_transport_acked(
	struct cv_transport *, const struct cv_frame *, cv_time now);

/** cv_transport_probe_at() - when to send a probe, or CV_NEVER */
cv_time cv_transport_probe_at(struct cv_transport *);

/** cv_transport_lapse() - losses and probes that are due */
void cv_transport_lapse(struct cv_transport *, cv_time now);

/** cv_transport_give_up() - a packet is lost: its parts are sent again */
void cv_transport_give_up(struct cv_transport *, struct cv_sent *, cv_time now);

#endif
