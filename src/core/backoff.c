/* SPDX-License-Identifier: MIT */
#include "core/backoff.h"

void cv_backoff_began(struct cv_backoff *b, cv_time now)
{
	b->began = now;
}

cv_time cv_backoff_failed(struct cv_backoff *b, uint8_t jitter)
{
	b->wait = b->wait ? b->wait * 2 : CV_DIAL_MIN;
	if (b->wait > CV_DIAL_MAX)
		b->wait = CV_DIAL_MAX;
	return b->wait / 2 + b->wait * jitter / 512;
}

/* least time between two attempts */
static cv_time least(unsigned failures)
{
	cv_time wait = CV_DIAL_MIN;
	for (; failures && wait < CV_DIAL_FAILED; failures--)
		wait *= 2;
	return wait < CV_DIAL_FAILED ? wait : CV_DIAL_FAILED;
}

cv_time cv_backoff_kicked(struct cv_backoff *b, unsigned failures, cv_time now)
{
	cv_time next = b->began + least(failures);
	/* a link that lived for a while starts the back-off anew */
	if (now - b->began > CV_DIAL_MAX)
		b->wait = 0;
	return b->began && next > now ? next - now : 0;
}
