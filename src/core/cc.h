/* SPDX-License-Identifier: MIT */
/**
 * cc.h - congestion control: how fast, and how much at a time
 *
 * DOC: One struct, two models: the rate model (cc_rate.c), default, and CUBIC
 * (cc_cubic.c; RFC 9438, HyStart++ RFC 9406).  Events in, two numbers out:
 * the congestion window and the pacing rate.  doc/protocol.md says why.
 */
#ifndef CV_CC_H
#define CV_CC_H

#include "core/rate.h"
#include "core/rtt.h"

enum cv_cc_kind { CV_CC_RATE, CV_CC_CUBIC };

/** cv_cc_named() - the kind that ?cc= names; the default if it is NULL */
enum cv_cc_kind cv_cc_named(const char *name);

/** struct cv_cc_ack - everything one ACK frame brought */
struct cv_cc_ack {
	cv_time now;
	struct cv_sample sample;
	const struct cv_rtt *rtt; /* with this ACK's sample in it */
	uint64_t acked;           /* bytes newly acknowledged */
	uint64_t lost;            /* bytes declared lost, by it or since the
				     last event */
	uint64_t inflight;        /* bytes, after both */
	uint64_t delivered;       /* bytes ever acknowledged on this path */
	cv_time lost_sent_at;     /* when the newest lost one left; 0: none */
	bool limited;             /* the window was not used up */
};

enum { CV_CC_ROUNDS = 10 }; /* of memory of the rate model */

/** struct cv_cc_rate - the rate model; rates in bytes/s, gains in per cent */
struct cv_cc_rate {
	uint8_t state;   /* its own enum */
	uint8_t slot;    /* of ring and extra: this round */
	uint8_t plateau; /* start-up: rounds without growth */
	uint8_t rounds;  /* that ended in this state */
	uint8_t cruise;  /* rounds until the next probe */
	uint8_t slow;    /* evidence that bw is too much */
	uint8_t lossy;   /* rounds in succession with loss beyond the floor */
	uint8_t acks;    /* in few_rtt */
	bool measured;   /* this round has a sample that counts */
	bool crowded;    /* the last few ACKs saw a queue, ... */
	bool high_water; /* ... more than the one that is kept */
	uint16_t gain;   /* what is paced at, of bw */
	uint16_t high;   /* the highest gain of this round, ... */
	uint16_t before; /* ... and of the one before */
	uint32_t floor;  /* loss of the path itself, of a million */
	uint32_t events; /* ACKs with losses in the lossy rounds */
	uint64_t bw;     /* the highest of the ring */
	uint64_t ring[CV_CC_ROUNDS];  /* best sample of each round */
	uint64_t extra[CV_CC_ROUNDS]; /* bytes acknowledged ahead of bw */
	uint64_t full;      /* bw at the last growth, in start-up or probe */
	uint64_t kept;      /* bw before it was doubted, or 0 */
	cv_time doubt_rtt;  /* the round's RTT then */
	uint64_t round_end; /* ->delivered that ends the round */
	uint64_t round_acked, round_lost;
	uint64_t calm_all, calm_lost; /* what the floor is measured by */
	cv_time round_rtt;            /* the least of this round, ... */
	cv_time few_rtt;              /* ... and of the last few ACKs */
	cv_time min_rtt;              /* the path's: the least of ... */
	cv_time min[2];               /* ... this window and the last */
	cv_time min_since;            /* this window began */
	cv_time base_rtt;             /* the least of long ago, ... */
	cv_time base_at;              /* ... when it was last seen */
	cv_time agg_since;            /* ACK aggregation: a burst began, ... */
	uint64_t agg_acked;           /* ... and brought this much */
};

/** struct cv_cc_cubic - CUBIC; windows in bytes */
struct cv_cc_cubic {
	uint64_t ssthresh;
	struct cv_cubic_curve {
		uint64_t top;   /* the window the curve comes back to */
		uint64_t reno;  /* what Reno would have by now */
		uint64_t prior; /* the window before the reduction */
		cv_time epoch;  /* growth by the curve began; 0: not yet */
		cv_time k;      /* ms until the top is reached */
		uint64_t rest;  /* growth of less than a byte, x cwnd */
	} curve;
	struct cv_cubic_curve old; /* before the last reduction, ... */
	uint64_t old_cwnd;         /* 0: nothing to undo */
	uint64_t old_ssthresh;
	cv_time reduced;    /* when: one reduction a round trip */
	uint64_t round_end; /* HyStart++: ->delivered that ends the round */
	cv_time last_rtt;   /* least RTT of the last round, ... */
	cv_time round_rtt;  /* ... of this one, ... */
	cv_time css_rtt;    /* ... when the conservative start began; or 0 */
	uint8_t samples;    /* in round_rtt */
	uint8_t css_rounds;
};

struct cv_cc {
	uint64_t cwnd; /* bytes that may be in flight */
	uint64_t rate; /* bytes per second to pace at; 0: not yet known */
	uint32_t mss;  /* bytes of a full packet, IP and UDP included */
	enum cv_cc_kind kind;
	union {
		struct cv_cc_rate model;
		struct cv_cc_cubic cubic;
	};
};

/** cv_cc_init() - a path nothing is known of; initial window 10 packets
 * (RFC 9002, section 7.2); @rtt from the handshake, or 0 */
void cv_cc_init(struct cv_cc *, enum cv_cc_kind, uint32_t mss, cv_time rtt,
	cv_time now);

/** cv_cc_acked() - an ACK was worked off, losses found with it included */
void cv_cc_acked(struct cv_cc *, const struct cv_cc_ack *);

/** cv_cc_lost() - losses found by the clock alone: as an ACK that settled
 * nothing (acked 0, no sample) */
void cv_cc_lost(struct cv_cc *, const struct cv_cc_ack *);

/** cv_cc_sent() - @bytes left; @inflight with them; from idle if that was 0 */
void cv_cc_sent(struct cv_cc *, uint64_t bytes, uint64_t inflight, cv_time now);

/** cv_cc_spurious() - losses declared since @sent_at were none: undo */
void cv_cc_spurious(struct cv_cc *, cv_time now);

/** cv_cc_reset() - persistent congestion: all that was learnt is worthless */
void cv_cc_reset(struct cv_cc *, cv_time now);

/** cv_cc_mss() - the path takes packets of another size */
void cv_cc_mss(struct cv_cc *, uint32_t mss);

/** cv_cc_state() - a word for show: "start-up", "drain", "cruise", ... */
const char *cv_cc_state(const struct cv_cc *);

#endif
