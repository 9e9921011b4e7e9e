/* SPDX-License-Identifier: MIT */
/* fuzz_acks.c - an ACK frame of anybody's, walked; and one of ours for it */
#include "core/acks.h"
#include "core/frame.h"
#include "fuzz/fuzz.h"
#include "unit/env.h"

/* newest first, apart, none empty */
static unsigned walk(struct cv_ack_walk w)
{
	struct cv_range r;
	uint64_t below = w.largest + 1;
	unsigned n = 0;
	for (; cv_ack_range(&w, &r); n++) {
		CHECK(r.lo < r.hi);
		CHECK(n ? r.hi < below : r.hi == below);
		below = r.lo;
	}
	CHECK(!cv_ack_range(&w, &r));
	return n;
}

/* what is received as the ranges say is told as they are, the newest of them */
static void again(struct cv_ack_walk w)
{
	struct mem mem;
	struct cv_env env = mem_env(&mem, 1);
	struct cv_acks a;
	struct cv_range r;
	uint8_t out[CV_ACK_SIZE];
	struct cv_ack_walk mine = w, back;
	cv_acks_init(&a, &env);
	for (unsigned n = 0; n < CV_ACK_RANGES && cv_ack_range(&w, &r); n++) {
		cv_acks_got(&a, r.hi - 1, true, 1000, 5);
		if (r.hi - r.lo > 1)
			cv_acks_got(&a, r.hi - 2, true, 1000, 5);
	}
	size_t n = cv_acks_put(&a, out, sizeof out, 7);
	CHECK(n > 1 && n <= sizeof out && out[0] == CV_ACK_TYPE);
	uint8_t *p = out + 1;
	CHECK(!cv_ack_read(&p, out + n, &back) && p == out + n);
	CHECK(back.largest == mine.largest);
	CHECK(walk(back) <= CV_ACK_RANGES);
	cv_acks_clear(&a);
	CHECK(!mem.blocks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *frame = exact(data, size), *p = frame;
	struct cv_ack_walk w;
	int r = cv_ack_read(&p, frame + size, &w);
	CHECK(r == 0 || r == CULVERT_EPROTO);
	CHECK(p >= frame && p <= frame + size);
	if (!r) {
		walk(w);
		again(w);
	}
	free(frame);
	return 0;
}
