/* SPDX-License-Identifier: MIT */
#include "link/again.h"

#include <string.h>

void cv_again_begin(struct cv_again *a, const uint8_t *init, uint32_t len)
{
	struct cv_again_answer *x = &a->answer[a->next];
	a->asking = len == sizeof x->asked;
	if (!a->asking)
		return;
	memcpy(x->asked, init, len);
	x->len = 0;
}

void cv_again_keep(
	struct cv_again *a, const uint8_t *said, uint32_t len, cv_time now)
{
	struct cv_again_answer *x = &a->answer[a->next];
	if (!a->asking || len > sizeof x->said)
		return;
	memcpy(x->said, said, len);
	x->len = len;
	x->times = 0;
	x->since = now;
	a->next = (a->next + 1) % CV_AGAIN;
	a->asking = false;
}

void cv_again_end(struct cv_again *a)
{
	a->asking = false;
}

uint32_t cv_again_find(struct cv_again *a, const uint8_t *init, uint32_t len,
	uint8_t out[CV_AGAIN_SIZE], cv_time now)
{
	for (unsigned i = 0; i < CV_AGAIN; i++) {
		struct cv_again_answer *x = &a->answer[i];
		if (!x->len || len != sizeof x->asked ||
			now - x->since > CV_AGAIN_AGE ||
			x->times == CV_AGAIN_TIMES ||
			memcmp(x->asked, init, len))
			continue;
		x->times++;
		memcpy(out, x->said, x->len);
		return x->len;
	}
	return 0;
}
