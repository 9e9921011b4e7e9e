/* SPDX-License-Identifier: MIT */
/**
 * sent.h - packets on their way, and what is in them
 *
 * DOC: A ring of packets in the order of their numbers, and a ring of the
 * parts in them that would have to be sent again.  Both grow by doubling up to
 * a bound and never move what the other points to: a packet names its parts
 * by their count since the beginning.  A packet leaves the ring when it and
 * all before it are settled: acknowledged, or lost for so long that no late
 * acknowledgement is waited for.  States of a packet:
 *
 *	FLYING	 counted in flight
 *	LOST	 declared lost, its parts handed back; an acknowledgement now
 *		 says that this was wrong
 *	SETTLED	 acknowledged, or lost and forgotten, or never to be
 *		 acknowledged at all (a number that was skipped)
 */
#ifndef CV_SENT_H
#define CV_SENT_H

#include "core/buf.h"

enum cv_part_type {
	CV_PART_STREAM,  /* bytes of a stream; with @fin also its end */
	CV_PART_WINDOW,  /* a stream's, or with flow CV_NO_FLOW the session's */
	CV_PART_CONTROL, /* @ctl: control frames as they were written */
	CV_PART_ACK,     /* @offset: largest number acknowledged in it */
	CV_PART_PROBE,   /* a packet of a size that is being tried */
};

#define CV_NO_FLOW UINT64_MAX

enum {
	CV_SENT_MAX = 65536,  /* packets in the ring, skipped numbers too */
	CV_PARTS_MAX = 65536, /* their parts */
	CV_SENT_SPARE = 2048, /* of both, left for probes: cv_flights_full() */
};

struct cv_part {
	uint64_t flow;   /* as we write it */
	uint64_t offset; /* STREAM: of the first byte */
	union {
		uint64_t len;       /* STREAM: bytes */
		struct cv_buf *ctl; /* CONTROL: belongs to the part */
	};
	uint8_t type; /* enum cv_part_type */
	bool fin;
};

enum cv_sent_state { CV_SENT_SETTLED, CV_SENT_FLYING, CV_SENT_LOST };

/** struct cv_sent - one packet; the rate sampler's fields are in rate.h */
struct cv_sent {
	cv_time at;           /* when it left */
	uint64_t delivered;   /* bytes acknowledged when it left, ... */
	cv_time delivered_at; /* ... the time of the last of these, and ... */
	cv_time first_at;     /* ... when that flight began */
	uint64_t first_part;  /* parts before its own, since the beginning */
	uint32_t inflight;    /* bytes in flight with it */
	uint32_t lost;        /* bytes lost before it left, modulo 2^32 */
	uint32_t size;        /* bytes on the wire, IP and UDP included */
	uint16_t parts;
	uint8_t state; /* enum cv_sent_state */
	uint8_t path;  /* which path it took: counts up with each change */
	bool limited;  /* the application had no more to send */
	bool ignored;  /* its loss is no sign of congestion: a probe */
};

struct cv_flights {
	const struct cv_env *env;
	struct cv_sent *ring;
	uint64_t first, next; /* numbers in the ring: first <= n < next */
	uint32_t size;        /* a power of two, or 0 */
	struct cv_part *part;
	uint64_t first_part, next_part;
	uint64_t sent_part; /* from here on: of the packet being built */
	uint32_t part_size;
	uint64_t oldest;   /* no packet before it is FLYING */
	uint64_t inflight; /* bytes FLYING */
	uint32_t flying;   /* packets FLYING */
};

/** cv_flights_init() - empty, and nothing allocated; its first number will be
 * @number */
void cv_flights_init(
	struct cv_flights *, const struct cv_env *, uint64_t number);

/**
 * cv_flights_clear() - Forget everything
 * @pool:	control buffers that are still in parts go there
 */
void cv_flights_clear(struct cv_flights *, struct cv_pool *pool);

/** cv_flights_idle() - give the memory back if nothing is in the rings */
void cv_flights_idle(struct cv_flights *);

/**
 * cv_flights_skip() - Numbers below @number will not be sent any more, or
 * were sent and need no acknowledgement: SETTLED
 *
 * With nothing in the ring it costs nothing; to be called before packets that
 * are built after many that were not put in here.
 *
 * Return: 0, or CULVERT_EFULL or CULVERT_ENOMEM with nothing changed
 */
int cv_flights_skip(struct cv_flights *, uint64_t number);

/**
 * cv_flights_reserve() - Room for one more packet with up to @parts parts
 *
 * Return: 0, or CULVERT_EFULL or CULVERT_ENOMEM: nothing may be sent now
 */
int cv_flights_reserve(struct cv_flights *, unsigned parts);

/**
 * cv_flights_full() - Whether nothing but probes may be sent: without the last
 * few entries a probe could not leave, and nothing ever be acknowledged
 */
static inline bool cv_flights_full(const struct cv_flights *f)
{
	return f->next - f->first >= CV_SENT_MAX - CV_SENT_SPARE ||
	       f->next_part - f->first_part >= CV_PARTS_MAX - CV_SENT_SPARE;
}

/** cv_flights_part() - another part of the packet being built; there is room.
 * Return: it, zeroed; valid until the next call of anything here */
struct cv_part *cv_flights_part(struct cv_flights *);

/** cv_flights_undo() - the parts since cv_flights_reserve() are none; control
 * buffers in them are the caller's */
void cv_flights_undo(struct cv_flights *);

/**
 * cv_flights_sent() - The packet left, FLYING, under @number, which is not
 * less than ->next; numbers between are SETTLED
 *
 * Return: its entry, for the rate sampler to fill in.  NULL, and the parts as
 * before, only if numbers between had no room: not with cv_flights_skip() to
 * @number before
 */
struct cv_sent *cv_flights_sent(
	struct cv_flights *, uint64_t number, uint32_t size, cv_time now);

/** cv_flights_at() - the packet of a number, or NULL if it is not in the ring
 */
static inline struct cv_sent *cv_flights_at(
	struct cv_flights *f, uint64_t number)
{
	if (number - f->first >= f->next - f->first)
		return NULL;
	return &f->ring[number & (f->size - 1)];
}

/** cv_flights_part_of() - part @i of a packet in the ring */
static inline struct cv_part *cv_flights_part_of(
	struct cv_flights *f, const struct cv_sent *s, unsigned i)
{
	return &f->part[(s->first_part + i) & (f->part_size - 1)];
}

/** cv_flights_set() - a change of state; inflight and flying follow it */
static inline void cv_flights_set(
	struct cv_flights *f, struct cv_sent *s, enum cv_sent_state state)
{
	if (s->state == CV_SENT_FLYING) {
		f->inflight -= s->size;
		f->flying--;
	}
	s->state = (uint8_t)state;
	if (state == CV_SENT_FLYING) {
		f->inflight += s->size;
		f->flying++;
		f->oldest = f->first; /* no way to tell its number from here */
	}
}

/** cv_flights_oldest() - number of the oldest FLYING packet, or ->next; each
 * packet is passed over once in its life */
uint64_t cv_flights_oldest(struct cv_flights *);

/**
 * cv_flights_trim() - What is settled at the front leaves the rings; LOST
 * packets that left before @before are settled first
 *
 * Whoever handles a packet's acknowledgement or loss takes the control buffers
 * of its parts and sets ->ctl to NULL: none is looked for here.
 */
void cv_flights_trim(struct cv_flights *, cv_time before);

#endif
