/* SPDX-License-Identifier: MIT */
/* cc_bbr1.h - about what the kernel's BBR does, to compete with */
#ifndef CC_BBR1_H
#define CC_BBR1_H

#include "core/cc.h"

struct bbr1 {
	uint64_t ring[10], extra[10], full, round_end, bw;
	cv_time min_rtt, min_at, since, done;
	cv_time agg_since;
	uint64_t agg_acked;
	unsigned slot, flat, phase;
	enum { B_START, B_DRAIN, B_BW, B_RTT } state;
	bool filled;
};

/** bbr1_init() - from the start */
void bbr1_init(struct bbr1 *, struct cv_cc *);

/** bbr1_acked() - an ACK; window and rate of the struct are set */
void bbr1_acked(struct bbr1 *, struct cv_cc *, const struct cv_cc_ack *);

#endif
