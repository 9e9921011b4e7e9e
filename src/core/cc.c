/* SPDX-License-Identifier: MIT */
#include "core/cc.h"

#include <string.h>

#include "core/cc_model.h"

enum cv_cc_kind cv_cc_named(const char *name)
{
	return name && !strcmp(name, "cubic") ? CV_CC_CUBIC : CV_CC_RATE;
}

void cv_cc_init(struct cv_cc *cc, enum cv_cc_kind kind, uint32_t mss,
	cv_time rtt, cv_time now)
{
	memset(cc, 0, sizeof *cc);
	cc->kind = kind;
	cc->mss = mss;
	if (kind == CV_CC_CUBIC)
		cv_cubic_init(cc, rtt, now);
	else
		cv_rate_model_init(cc, rtt, now);
}

void cv_cc_acked(struct cv_cc *cc, const struct cv_cc_ack *ack)
{
	if (cc->kind == CV_CC_CUBIC)
		cv_cubic_acked(cc, ack);
	else
		cv_rate_model_acked(cc, ack);
}

void cv_cc_lost(struct cv_cc *cc, const struct cv_cc_ack *ack)
{
	cv_cc_acked(cc, ack);
}

void cv_cc_sent(
	struct cv_cc *cc, uint64_t bytes, uint64_t inflight, cv_time now)
{
	if (cc->kind == CV_CC_CUBIC)
		cv_cubic_sent(cc, bytes, inflight, now);
	else
		cv_rate_model_sent(cc, bytes, inflight, now);
}

/* the rate model has no memory of single losses that would need undoing */
void cv_cc_spurious(struct cv_cc *cc, cv_time now)
{
	if (cc->kind == CV_CC_CUBIC)
		cv_cubic_spurious(cc, now);
}

void cv_cc_reset(struct cv_cc *cc, cv_time now)
{
	if (cc->kind == CV_CC_CUBIC)
		cv_cubic_reset(cc, now);
	else
		cv_rate_model_reset(cc, now);
}

void cv_cc_mss(struct cv_cc *cc, uint32_t mss)
{
	uint64_t least = (uint64_t)CV_CC_INITIAL * mss;
	/* what was learnt is in bytes; only a window that is still the first
	   one grows with the packets */
	if (cc->cwnd == (uint64_t)CV_CC_INITIAL * cc->mss)
		cc->cwnd = least;
	cc->mss = mss;
}

const char *cv_cc_state(const struct cv_cc *cc)
{
	return cc->kind == CV_CC_CUBIC ? cv_cubic_state(cc)
				       : cv_rate_model_state(cc);
}
