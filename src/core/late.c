/* SPDX-License-Identifier: MIT */
#include "core/late.h"

bool cv_late(struct cv_late *l, uint32_t stamp, uint64_t limit, cv_time now)
{
	uint32_t diff = (uint32_t)now - stamp;
	if (!l->known) {
		*l = (struct cv_late){
			.min = { diff, diff }, .since = now, .known = true
		};
		return false;
	}
	if (now - l->since > CV_SKEW_WINDOW) {
		l->min[0] = l->min[1];
		l->min[1] = diff;
		l->since = now;
	}
	if ((int32_t)(diff - l->min[1]) < 0)
		l->min[1] = diff;
	uint32_t least =
		(int32_t)(l->min[0] - l->min[1]) < 0 ? l->min[0] : l->min[1];
	int32_t age = (int32_t)(diff - least);
	if (age <= 0 || (uint64_t)age <= limit)
		l->run = 0;
	else if (!l->run)
		l->run = now;
	else if (now - l->run > CV_LATE_RUN)
		*l = (struct cv_late){ 0 };
	return l->run != 0;
}
