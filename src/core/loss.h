/* SPDX-License-Identifier: MIT */
/**
 * loss.h - which packets are lost, and when to probe (RFC 9002, RFC 8985)
 *
 * DOC: A packet is lost when one sent later was acknowledged and it is either
 * far behind that one (packet threshold) or long ago (time threshold).  When
 * an acknowledgement comes for a packet that was declared lost, the path
 * reorders: from then on time alone counts, and its tolerance grows with the
 * lateness seen, up to one smoothed round trip; after CV_LOSS_CALM rounds
 * without it is halved, down to a quarter of the least round trip (RFC 8985,
 * section 6.2, step 4).
 *
 * A tolerant sender sees no spurious loss on a path that reorders, so their
 * absence is no reason to count packets again.  What is: no packet overtaken
 * by CV_LOSS_PACKETS others for CV_LOSS_QUIET rounds.  On a path that does it
 * more rarely one round's spurious losses in so many cost less than waiting
 * longer for each real one.
 *
 * The probe timer: with nothing else to be sent the last flight is copied
 * early, after 1/4 round trip and the peer's acknowledgement delay, before
 * an answer can be there: some bytes for a repaired loss within 1.6 round
 * trips.  Later probes follow RFC 9002, section 6.2, doubling each time.
 *
 * Floors: no probe leaves within CV_PROBE_MIN, since on a path below 1 ms it
 * is the scheduling of two processes that takes the time, and probing would
 * add to it.  No two are further apart than CV_PROBE_MAX, or it would take
 * long to notice that a path works again.  The peer keeps an acknowledgement
 * no longer than acks.h says, so the delay is taken as a quarter of the round
 * trip where that is less than the peer's longest; or as what was seen, since
 * the peer's idea of the round trip may be another.
 */
#ifndef CV_LOSS_H
#define CV_LOSS_H

#include "core/rtt.h"
#include "core/sent.h"

enum {
	CV_LOSS_PACKETS = 3,    /* RFC 9002, section 6.1.1 */
	CV_LOSS_CALM = 16,      /* rounds until tolerance is halved */
	CV_LOSS_QUIET = 256,    /* rounds until packets are counted again */
	CV_LOSS_PERSISTENT = 3, /* probes: 7 times the first timeout */
};
#define CV_PROBE_MIN CV_MS(2)
#define CV_PROBE_MAX CV_SEC(3)

struct cv_loss {
	uint64_t largest;   /* number acknowledged, plus one; 0: none */
	cv_time largest_at; /* when that packet left */
	cv_time asked; /* when the last packet left that is to be acknowledged
			*/
	cv_time deadline;   /* next time-threshold loss, or CV_NEVER */
	cv_time extra;      /* tolerance above 9/8 round trip, µs */
	bool reorders;      /* packet threshold off */
	unsigned calm;      /* rounds since the last spurious loss, or since
			       tolerance was halved */
	unsigned quiet;     /* rounds since a packet was overtaken */
	uint64_t before;    /* largest, before this ACK */
	uint64_t raised;    /* largest, when tolerance last grew by a step */
	uint64_t round_end; /* number that ends the present round */
	unsigned probes;    /* in a row, unanswered */
	cv_time held;       /* how long the peer kept acknowledgements lately */
	bool early;         /* the early probe of this flight was sent */
	uint64_t spurious;  /* packets, for show */
};

/** cv_loss_init() - nothing known */
void cv_loss_init(struct cv_loss *);

/** cv_loss_acked() - @number, which left @at, is newly acknowledged; to be
 * called for each packet of an ACK, in any order */
void cv_loss_acked(struct cv_loss *, uint64_t number, cv_time at);

/** cv_loss_delayed() - the peer says how long it kept an acknowledgement */
void cv_loss_delayed(struct cv_loss *, cv_time delay);

/** cv_loss_spurious() - @number, declared lost, was acknowledged @late µs
 * after it left */
void cv_loss_spurious(
	struct cv_loss *, const struct cv_rtt *, uint64_t number, cv_time late);

/**
 * cv_loss_next() - The next FLYING packet that is lost by now
 * @from:	number to begin at; moved behind the one returned
 *
 * Called in a loop behind each ACK and when the deadline passes; the caller
 * sets the packet's state to LOST.  At the end (NULL) @deadline is set, and an
 * ACK's rounds are counted.  Begins at the oldest packet FLYING and stops at
 * the first that is younger than the thresholds: no scan of the flight.
 */
struct cv_sent *cv_loss_next(struct cv_loss *, struct cv_flights *,
	const struct cv_rtt *, uint64_t *from, cv_time now);

/**
 * cv_loss_probe_at() - When to send a probe, or CV_NEVER with nothing in flight
 * @ack_delay:	the peer's longest
 * @limited:	there is nothing else to be sent: probe early
 */
cv_time cv_loss_probe_at(const struct cv_loss *, const struct cv_flights *,
	const struct cv_rtt *, cv_time ack_delay, bool limited);

/** cv_loss_probed() - a probe was sent, for which cv_loss_probe_at() was asked
 * with the same @limited; cv_loss_progress() - an ACK settled something: the
 * back-off ends */
void cv_loss_probed(struct cv_loss *, bool limited);
void cv_loss_progress(struct cv_loss *);

/** cv_loss_persistent() - nothing got through for so long that what is known
 * of the path is worthless (RFC 9002, section 7.6) */
bool cv_loss_persistent(const struct cv_loss *);

#endif
