/* SPDX-License-Identifier: MIT */
/**
 * responder.h - when a server answers questions of discovery, and whether
 *
 * DOC: A question that is to be answered waits in a *slot* for its random time.
 * Where an answer goes is the shell's, which keeps it beside the slot.
 */
#ifndef CV_RESPONDER_H
#define CV_RESPONDER_H

#include "core/discover.h"
#include "core/stats.h"

enum {
	CV_RESPONDER_SLOTS = 16,
	CV_RESPONDER_SEEN = 64,
	CV_RESPONDER_RATE = 20, /* answers in any second */
};

/** struct cv_waiting - a question in its slot */
struct cv_waiting {
	uint64_t nonce;
	uint32_t ifindex;
	uint8_t round;
	bool used;
	cv_time heard, due;
};

struct cv_responder {
	const struct cv_env *env;
	uint32_t id, tag;
	struct cv_waiting wait[CV_RESPONDER_SLOTS];
	struct {
		uint64_t nonce;
		uint32_t ifindex; /* 0: nothing */
	} seen[CV_RESPONDER_SEEN];
	cv_time sent[CV_RESPONDER_RATE]; /* the last answers; 0: none */
	unsigned next_seen, next_sent;
};

/** cv_responder_init() - of the server with @id and @tag */
void cv_responder_init(struct cv_responder *, const struct cv_env *,
	uint32_t id, uint32_t tag);

/**
 * cv_responder_asked() - A copy of a question came in
 * @ifindex:	by which interface, not 0
 * @slot:	where it waits, with its other copies; -1: it is not answered
 *
 * Who asks for long windows has none of the others wait for them: the answer
 * that is due last makes room.
 *
 * Return: CV_DROP_NONE, or why this one or another one is not answered
 */
enum cv_drop cv_responder_asked(struct cv_responder *,
	const struct cv_question *, uint32_t ifindex, cv_time now, int *slot);

/** cv_responder_deadline() - when the next answer is due, or CV_NEVER */
cv_time cv_responder_deadline(const struct cv_responder *);

/**
 * cv_responder_due() - Take a question out of its slot that is due
 * @out:	what it was
 * @drop:	not NONE if it must not be answered any more
 *
 * Return: its slot, or -1 if none is due
 */
int cv_responder_due(struct cv_responder *, cv_time now, struct cv_waiting *out,
	enum cv_drop *drop);

#endif
