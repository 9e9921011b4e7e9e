/* SPDX-License-Identifier: MIT */
/**
 * acks.h - what came in and is to be acknowledged (RFC 9000, sections 13.2,
 * 19.3)
 *
 * DOC: An acknowledgement is due at once when a gap appears or closes and
 * every few packets; otherwise a quarter of the round trip after the first
 * packet that asks for one, at most CV_ACK_DELAY and, so that short paths
 * batch, at least CV_ACK_FLOOR.  Packets that do not ask never make one due,
 * or two ends would acknowledge each other's acknowledgements for ever; a gap
 * that such a packet made is told with the next one that asks.
 *
 * Every few packets: a sixteenth of what came in during the last round trip,
 * of which a round on a short path is at least CV_ACK_ROUND.  The newest
 * CV_ACK_KEPT ranges are kept, of these the newest CV_ACK_RANGES told; older
 * ones were told often enough.
 */
#ifndef CV_ACKS_H
#define CV_ACKS_H

#include "core/ranges.h"

enum {
	CV_ACK_RANGES = 24,    /* told in a frame */
	CV_ACK_KEPT = 64,      /* remembered */
	CV_ACK_EVERY_MIN = 2,  /* packets, at first ... */
	CV_ACK_EVERY_MAX = 16, /* ... and on a fast path */
	CV_ACK_SIZE = 400,     /* bytes of the longest ACK frame: type, four
				  varints, two more for each range */
};
#define CV_ACK_DELAY CV_MS(25)
#define CV_ACK_FLOOR ((cv_time)500)
#define CV_ACK_ROUND CV_MS(1)
#define CV_ACK_TYPE 0x0d /* of the frame; the one that cv_acks_put() writes */

struct cv_acks {
	const struct cv_env *env;
	struct cv_ranges got;
	uint64_t largest;   /* plus one; 0: nothing came in */
	cv_time largest_at; /* when it came in */
	cv_time due;        /* CV_NEVER: nothing to tell */
	uint32_t pending;   /* packets that ask and were not told of */
	uint32_t recent;    /* of these packets in the last round: pace */
	cv_time round;
	uint32_t every; /* tell after this many */
	bool gap;       /* gaps appeared or closed since the last one */
};

/** cv_acks_init(), cv_acks_clear() - nothing came in, nothing allocated */
void cv_acks_init(struct cv_acks *, const struct cv_env *);
void cv_acks_clear(struct cv_acks *);

/**
 * cv_acks_got() - A packet came in, was authentic, new and wholly taken
 * @asks:	it holds something that is to be acknowledged
 * @rtt:	of the path, smoothed, µs; 0: unknown
 */
void cv_acks_got(
	struct cv_acks *, uint64_t number, bool asks, cv_time rtt, cv_time now);

/** cv_acks_told() - the peer acknowledged an ACK frame whose largest number was
 * @largest (CV_PART_ACK): what is below is told no more */
void cv_acks_told(struct cv_acks *, uint64_t largest);

/** cv_acks_due() - when an ACK must leave; it may leave earlier, with others */
cv_time cv_acks_due(const struct cv_acks *);

/** cv_acks_pending() - whether an ACK would tell of a packet that asks */
bool cv_acks_pending(const struct cv_acks *);

/**
 * cv_acks_put() - Write an ACK frame: type, largest, delay in µs, number of
 * further ranges, first range, then gap and length of each (RFC 9000,
 * section 19.3.1: all as there)
 * @p:		room for @room bytes; fewer ranges are told if that is little
 *
 * Return: bytes written, and nothing is pending any more; 0 if nothing came in
 * yet or @room is less than 32
 */
size_t cv_acks_put(struct cv_acks *, uint8_t *p, size_t room, cv_time now);

/**
 * struct cv_ack_walk - the ranges of an ACK frame, newest first
 *
 * cv_ack_read() checks the whole frame behind its type byte and moves *@p
 * behind it; cv_ack_range() then cannot fail.
 */
struct cv_ack_walk {
	uint64_t largest, delay;
	uint8_t *p, *end;
	uint64_t left; /* ranges still to come */
	uint64_t next; /* lowest number of the last range */
	bool first;    /* no range was taken yet */
};

/** cv_ack_read() - CULVERT_EPROTO if there is no whole, possible frame */
int cv_ack_read(uint8_t **p, uint8_t *end, struct cv_ack_walk *);

/** cv_ack_range() - the next range [lo, hi); false at the end */
bool cv_ack_range(struct cv_ack_walk *, struct cv_range *);

#endif
