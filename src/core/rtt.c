/* SPDX-License-Identifier: MIT */
#include "core/rtt.h"

static cv_time apart(cv_time a, cv_time b)
{
	return a > b ? a - b : b - a;
}

void cv_rtt_sample(struct cv_rtt *r, cv_time sample, cv_time delay)
{
	/* a smoothed 0 would mean that there was none */
	if (!sample)
		sample = 1;
	r->latest = sample;
	if (!r->smoothed) {
		r->min = r->smoothed = sample;
		r->var = sample / 2;
		return;
	}
	r->min = cv_earlier(r->min, sample);
	/* not even the sum may overflow: the peer wrote @delay */
	if (delay <= sample - r->min)
		sample -= delay;
	/* rounded, as cutting off would pull short paths down */
	r->var = (3 * r->var + apart(r->smoothed, sample) + 2) / 4;
	r->smoothed = (7 * r->smoothed + sample + 4) / 8;
}

cv_time cv_rtt_smoothed(const struct cv_rtt *r)
{
	return r->smoothed ? r->smoothed : CV_RTT_INITIAL;
}

cv_time cv_rtt_pto(const struct cv_rtt *r, cv_time ack_delay)
{
	cv_time smoothed = cv_rtt_smoothed(r);
	cv_time var = r->smoothed ? r->var : CV_RTT_INITIAL / 2;
	cv_time least = cv_earlier(smoothed / 4, CV_GRANULARITY);
	return smoothed + (4 * var > least ? 4 * var : least) + ack_delay;
}
