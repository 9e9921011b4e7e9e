/* SPDX-License-Identifier: MIT */
/**
 * slice.h - a queued chunk of datagrams, cut into packets of a datagram link
 *
 * DOC: txq.c lays datagrams out as one large packet.  Where packets are small
 * the chunk is walked, and as many datagrams as have room go into each.  An
 * OPEN in the chunk goes again in front of every packet with datagrams of its
 * flow, because packets may overtake each other.  A datagram that fits into no
 * packet is cut into parts, one in a packet.
 */
#ifndef CV_SLICE_H
#define CV_SLICE_H

#include "core/frame.h"
#include "core/txq.h"

struct cv_slice {
	struct cv_buf *buf;    /* the chunk, or NULL */
	struct cv_buf *lead;   /* an OPEN that had no room in it, or NULL */
	uint8_t *p, *end;      /* frames still to be read */
	struct cv_frame open;  /* type 0: none */
	struct cv_frame train; /* rest of it; type 0: none */
	uint32_t cut;  /* bytes of its first datagram that left in parts */
	cv_time begun; /* when the first of them did */

	/* of the packet being built: the caller's to reset */
	unsigned opens;
	bool part;

	/* the caller's */
	cv_time now;
	uint32_t most;   /* the largest datagram that may be cut; 0: none */
	uint64_t number; /* of the next one that is cut */
};

/** cv_slice_clear() - give the chunk back */
void cv_slice_clear(struct cv_slice *, struct cv_pool *);

/** cv_slice_pending() - there is more in the chunk */
bool cv_slice_pending(const struct cv_slice *);

/** cv_slice_left() - datagrams that are still to be sent */
uint64_t cv_slice_left(const struct cv_slice *);

/** cv_slice_begin() - walk @chunk, which then belongs to @s; the one before is
 * given back */
void cv_slice_begin(struct cv_slice *s, struct cv_pool *, struct cv_buf *chunk);

/**
 * cv_slice_put() - Write frames for one packet
 * @room:	bytes at @p
 * @whole:	room of an empty packet: a datagram that does not even fit into
 *		that is cut, or if it may not be, skipped and counted in *@big
 *
 * Return: bytes written; 0 if the next datagram needs an emptier packet, or
 * there is none
 */
size_t cv_slice_put(struct cv_slice *, uint8_t *p, size_t room, size_t whole,
	uint64_t *big);

#endif
