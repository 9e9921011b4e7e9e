/* SPDX-License-Identifier: MIT */
/* discover.h - questions and answers of discovery; doc/protocol.md, 13.2 */
#ifndef CV_DISCOVER_H
#define CV_DISCOVER_H

#include "core/addr.h"
#include "core/crypto.h"

enum {
	CV_QUESTION = 1200,   /* bytes of one */
	CV_ANSWER_MAX = 1200, /* bytes of an answer, at most */
	CV_KNOWN_MAX = 280,   /* tags in a question */
	CV_WINDOW_MAX = 10000,
	CV_ANSWER_ADDRS = 8,
};

/** enum cv_heard - how a question came */
enum cv_heard {
	CV_HEARD_UNKNOWN,
	CV_HEARD_ALONE,
	CV_HEARD_MULTICAST6,
	CV_HEARD_CAST4,
	CV_HEARD_FRAME,
	CV_HEARDS
};

struct cv_question {
	uint64_t nonce;
	uint32_t wanted; /* 0: every server */
	uint16_t window; /* ms */
	uint8_t round;
	uint16_t knowns;
	const uint8_t *known; /* tags, in the packet that was read */
};

/** struct cv_answer - texts are printable ASCII, "" if not there */
struct cv_answer {
	uint64_t nonce;
	uint32_t id, held;
	uint8_t round;
	bool keyed; /* else it is plain */
	uint8_t key[CV_KEY];
	uint64_t boot;
	uint32_t uptime; /* seconds */
	char name[64], version[32], services[384], ifname[16];
	uint8_t heard; /* enum cv_heard */
	struct {
		struct cv_addr addr;
		uint8_t bits;
	} addr[CV_ANSWER_ADDRS];
	unsigned addrs;
};

/** cv_question_put() - write one; @known: its tags, unless there are none */
void cv_question_put(uint8_t out[CV_QUESTION], const struct cv_question *,
	const uint32_t *known);

/** cv_question_get() - read one: 0 or CULVERT_EPROTO */
int cv_question_get(struct cv_question *, const uint8_t *p, size_t len);

/** cv_question_knows() - the asker has heard the server with that tag */
bool cv_question_knows(const struct cv_question *, uint32_t tag);

/** cv_answer_put() - write one; returns its length */
size_t cv_answer_put(uint8_t out[CV_ANSWER_MAX], const struct cv_answer *);

/** cv_answer_get() - read one: 0 or CULVERT_EPROTO */
int cv_answer_get(struct cv_answer *, const uint8_t *p, size_t len);

/** cv_answer_tag() - the tag of whose answer it is */
uint32_t cv_answer_tag(const struct cv_answer *);

/** cv_answer_same() - both are of the same server: id and key */
bool cv_answer_same(const struct cv_answer *, const struct cv_answer *);

/** cv_heard_name() - for people: "multicast6", "broadcast", ... */
const char *cv_heard_name(unsigned);

#endif
