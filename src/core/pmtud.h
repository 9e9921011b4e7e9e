/* SPDX-License-Identifier: MIT */
/**
 * pmtud.h - the largest packet a path takes (RFC 8899)
 *
 * DOC: Sizes are of IP packets.  Search begins at CV_MTU_BASE, which is taken
 * for granted, and probes first the interface's own MTU, then by halves of
 * what is between, to within CV_MTU_STEP.  A size is too large after three
 * lost probes (MAX_PROBES); one probe is under way at a time, so there is not
 * more than one in a round trip.
 *
 * When packets larger than base get lost in a row and none so large arrives
 * (black hole), the path is back at base and the search begins anew.  Three in
 * a row will do if a smaller one arrived meanwhile: without one they may be
 * a burst, of which the acknowledgement at hand told all at once, and the row
 * has to last for CV_MTU_PATIENCE.  So when nothing is acknowledged any more,
 * small packets should be among those sent to find out (PTO).
 *
 * States as in RFC 8899, section 5.2:
 *
 *	SEARCHING  probes are to be sent
 *	COMPLETE   nothing to be tried until @again, CV_MTU_AGAIN later
 */
#ifndef CV_PMTUD_H
#define CV_PMTUD_H

#include "core/types.h"

enum {
	CV_MTU_BASE = 1280,
	CV_MTU_USUAL = 1500, /* of an interface not known */
	CV_MTU_MAX = 9216,
	CV_MTU_STEP = 16,
	CV_MTU_TRIES = 3, /* of one size */
	CV_MTU_BLACK = 3, /* full-size packets lost in a row */
};
#define CV_MTU_AGAIN CV_SEC(600) /* PMTU_RAISE_TIMER */
#define CV_MTU_PATIENCE CV_SEC(1)

struct cv_pmtud {
	uint32_t mtu;    /* in use */
	uint32_t top;    /* no larger one can work, as far as is known */
	uint32_t device; /* the interface's */
	uint32_t probe;  /* size under way, 0: none */
	unsigned tries;  /* of that size, lost so far */
	unsigned black;  /* full-size losses in a row */
	uint32_t least;  /* the smallest of these */
	bool small;      /* a smaller one arrived meanwhile */
	cv_time since;   /* when the first of these was noticed */
	cv_time again;   /* no probe before */
};

/** cv_pmtud_init() - @device: MTU of the interface, bytes; what is beyond
 * CV_MTU_MAX does not count; 0: unknown.  If it is less than CV_MTU_BASE, that
 * is the path's MTU, and there is no search */
void cv_pmtud_init(struct cv_pmtud *, uint32_t device, cv_time now);

/** cv_pmtud_want() - the size of a probe to send now, or 0 */
uint32_t cv_pmtud_want(struct cv_pmtud *, cv_time now);

/** cv_pmtud_sent() - it was */
void cv_pmtud_sent(struct cv_pmtud *, uint32_t size);

/**
 * cv_pmtud_refused() - The system would not send a packet of @size, a probe or
 * not (EMSGSIZE)
 *
 * Return: true if the MTU in use has changed
 */
bool cv_pmtud_refused(struct cv_pmtud *, uint32_t size, cv_time now);

/** cv_pmtud_probe_acked() - a probe arrived, even if late.
 * Return: true if the MTU in use has changed */
bool cv_pmtud_probe_acked(struct cv_pmtud *, uint32_t size, cv_time now);

/** cv_pmtud_probe_lost() - it did not; that is no sign of congestion */
void cv_pmtud_probe_lost(struct cv_pmtud *, uint32_t size, cv_time now);

/** cv_pmtud_acked() - an ordinary packet of @size arrived */
void cv_pmtud_acked(struct cv_pmtud *, uint32_t size);

/** cv_pmtud_lost() - it did not.
 * Return: true if the MTU in use has changed: a black hole */
bool cv_pmtud_lost(struct cv_pmtud *, uint32_t size, cv_time now);

/** cv_pmtud_deadline() - when there will be something to probe;
 * CV_NEVER while a probe is under way */
cv_time cv_pmtud_deadline(const struct cv_pmtud *);

#endif
