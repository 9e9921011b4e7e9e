/* SPDX-License-Identifier: MIT */
/* cc_model.h - what cc.c asks of its two models; cc.h says what each means */
#ifndef CV_CC_MODEL_H
#define CV_CC_MODEL_H

#include "core/cc.h"

/** CV_CC_INITIAL - packets of the initial window (RFC 9002, section 7.2) */
#define CV_CC_INITIAL 10

/** cv_rate_model_init() - the rate model, from the start */
void cv_rate_model_init(struct cv_cc *, cv_time rtt, cv_time now);

/** cv_rate_model_acked() - an ACK, or losses alone */
void cv_rate_model_acked(struct cv_cc *, const struct cv_cc_ack *);

/** cv_rate_model_sent() - bytes left; @inflight with them */
void cv_rate_model_sent(
	struct cv_cc *, uint64_t bytes, uint64_t inflight, cv_time now);

/** cv_rate_model_reset() - from the start, but for the pace of the first flight
 */
void cv_rate_model_reset(struct cv_cc *, cv_time now);

/** cv_rate_model_state() - a word for its state */
const char *cv_rate_model_state(const struct cv_cc *);

/** cv_cubic_init() - CUBIC, from the start */
void cv_cubic_init(struct cv_cc *, cv_time rtt, cv_time now);

/** cv_cubic_acked() - an ACK, or losses alone */
void cv_cubic_acked(struct cv_cc *, const struct cv_cc_ack *);

/** cv_cubic_sent() - bytes left; @inflight with them */
void cv_cubic_sent(
	struct cv_cc *, uint64_t bytes, uint64_t inflight, cv_time now);

/** cv_cubic_spurious() - the last reduction had no reason */
void cv_cubic_spurious(struct cv_cc *, cv_time now);

/** cv_cubic_reset() - persistent congestion: two packets and slow start */
void cv_cubic_reset(struct cv_cc *, cv_time now);

/** cv_cubic_state() - a word for its state */
const char *cv_cubic_state(const struct cv_cc *);

#endif
