/* SPDX-License-Identifier: MIT */
#include "core/pacer.h"

#define TRAIN_TIME CV_MS(1)

uint32_t cv_pacer_quantum(uint64_t rate, uint32_t mss)
{
	uint64_t bytes = rate * TRAIN_TIME / CV_SEC(1);
	if (!rate || bytes > CV_TRAIN)
		bytes = CV_TRAIN;
	return bytes < 2 * mss ? 2 * mss : (uint32_t)bytes;
}

cv_time cv_pacer_when(const struct cv_pacer *p)
{
	return p->next;
}

void cv_pacer_sent(
	struct cv_pacer *p, uint64_t bytes, uint64_t rate, cv_time now)
{
	cv_time credit;
	if (!rate) {
		p->next = now;
		return;
	}
	/* what a sleepy timer may leave unused: two trains, in time */
	credit = 2 * CV_TRAIN * CV_SEC(1) / rate;
	if (credit > 2 * TRAIN_TIME)
		credit = 2 * TRAIN_TIME;
	if (p->next + credit < now)
		p->next = now - credit;
	p->next += bytes * CV_SEC(1) / rate;
}

void cv_pacer_reset(struct cv_pacer *p, cv_time now)
{
	if (p->next < now)
		p->next = now;
}
