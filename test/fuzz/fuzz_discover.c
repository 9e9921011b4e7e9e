/* SPDX-License-Identifier: MIT */
/* fuzz_discover.c - a packet of discovery of anybody's */
#include "core/asker.h"
#include "core/responder.h"
#include "fuzz/fuzz.h"
#include "unit/env.h"

static void printable(const char *s, size_t size)
{
	CHECK(memchr(s, 0, size));
	for (; *s; s++)
		CHECK(*s >= ' ' && *s <= '~');
}

/* one server and its answer: what is asked for is told, once */
static void respond(const struct cv_question *q)
{
	struct mem mem;
	struct cv_env env = mem_env(&mem, 1);
	struct cv_responder r;
	struct cv_waiting w;
	enum cv_drop drop;
	int slot, again;
	cv_responder_init(&r, &env, 67, 5);
	CHECK(cv_responder_asked(&r, q, 1, 1000, &slot) == CV_DROP_NONE);
	CHECK(cv_responder_asked(&r, q, 1, 1000, &again) == CV_DROP_NONE);
	CHECK(slot == again);
	CHECK(slot < 0 ||
		(!cv_question_knows(q, 5) && (!q->wanted || q->wanted == 67)));
	cv_time at = cv_responder_deadline(&r);
	CHECK((slot < 0) == (at == CV_NEVER));
	if (slot < 0)
		return;
	CHECK(at < 1000 + CV_MS(CV_WINDOW_MAX));
	CHECK(cv_responder_due(&r, at, &w, &drop) == slot);
	CHECK(drop == CV_DROP_NONE && w.nonce == q->nonce);
	cv_responder_asked(&r, q, 1, at, &slot);
	CHECK(slot < 0);
}

/* what was read can be told again, and is the same */
static void again(const struct cv_answer *a)
{
	uint8_t out[CV_ANSWER_MAX];
	struct cv_answer b;
	size_t n = cv_answer_put(out, a);
	CHECK(n <= CV_ANSWER_MAX && n <= CV_QUESTION);
	CHECK(!cv_answer_get(&b, out, n));
	CHECK(cv_answer_same(a, &b) && cv_answer_tag(a) == cv_answer_tag(&b));
	CHECK(!strcmp(a->name, b.name) && a->addrs == b.addrs);
}

static void hear(struct cv_answer *a)
{
	struct mem mem;
	struct cv_env env = mem_env(&mem, 1);
	struct cv_asker k;
	struct cv_question q;
	struct cv_found_way way = { .ifindex = 1 };
	struct cv_found *f;
	uint8_t out[CV_QUESTION];
	cv_asker_init(&k, &env, CV_SEARCH_WATCH, 0, 1000);
	CHECK(cv_asker_next(&k, 1000, out));
	CHECK(!cv_question_get(&q, out, sizeof out));
	a->nonce = q.nonce;
	CHECK(cv_asker_heard(&k, a, &way, 2000, &f) == 2);
	CHECK(cv_asker_heard(&k, a, &way, 3000, &f) == 0);
	CHECK(f->way[0].rtt <= 2000);
	cv_asker_clear(&k);
	CHECK(!mem.blocks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *p = exact(data, size);
	struct cv_question q;
	struct cv_answer a;
	if (!cv_question_get(&q, p, size))
		respond(&q);
	if (!cv_answer_get(&a, p, size)) {
		printable(a.name, sizeof a.name);
		printable(a.version, sizeof a.version);
		printable(a.services, sizeof a.services);
		printable(a.ifname, sizeof a.ifname);
		again(&a);
		hear(&a);
	}
	free(p);
	return 0;
}
