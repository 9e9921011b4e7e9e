/* SPDX-License-Identifier: MIT */
/* asker.h - look for the servers of a LAN: when to ask, who has answered */
#ifndef CV_ASKER_H
#define CV_ASKER_H

#include "core/discover.h"

enum {
	CV_ASKER_SENT = 8,       /* questions whose answers are taken */
	CV_ASKER_SERVERS = 4096, /* more are not listed */
	CV_ASKER_WAYS = 8,       /* of one server */
};

/** struct cv_found_way - how a server is reached, and what it said there */
struct cv_found_way {
	uint32_t ifindex; /* ours */
	uint8_t heard;    /* enum cv_heard: how our question reached it */
	bool frame;       /* its answer came in a frame */
	struct cv_addr from;
	cv_time rtt; /* the least */
};

struct cv_found {
	struct cv_answer says; /* last */
	struct cv_found_way way[CV_ASKER_WAYS];
	unsigned ways;
	cv_time heard;
};

/** enum cv_search - when it ends */
enum cv_search {
	CV_SEARCH_QUICK, /* once nobody new answers, after 2.9 s at the latest
			  */
	CV_SEARCH_LONG,  /* when the caller says so */
	CV_SEARCH_WATCH, /* as well; servers that fall silent are gone */
};

struct cv_asker {
	const struct cv_env *env;
	enum cv_search kind;
	uint32_t wanted; /* 0: all */
	unsigned round;  /* of the schedule */
	unsigned asked;  /* questions sent */
	bool extra;      /* the next one is beside the schedule */
	cv_time start, next;
	struct {
		uint64_t nonce;
		cv_time at;
	} sent[CV_ASKER_SENT];
	struct cv_found **found;
	unsigned n, room;
	cv_time news; /* when the last new server answered; 0: none did */
};

/** cv_asker_init() - ask from @now on */
void cv_asker_init(struct cv_asker *, const struct cv_env *, enum cv_search,
	uint32_t wanted, cv_time now);
void cv_asker_clear(struct cv_asker *);

/** cv_asker_next() - A question, if one is due: true; by every way to all */
bool cv_asker_next(struct cv_asker *, cv_time now, uint8_t out[CV_QUESTION]);

/** cv_asker_again() - an interface came or changed: ask beside the schedule,
 * ten times a second at most */
void cv_asker_again(struct cv_asker *, cv_time now);

/** cv_asker_done() - the search has ended */
bool cv_asker_done(const struct cv_asker *, cv_time now);

/** cv_asker_deadline() - when to look at both again */
cv_time cv_asker_deadline(const struct cv_asker *);

/**
 * cv_asker_heard() - An answer came in
 * @way:	by what; rtt is filled in here
 * @out:	whose it is
 *
 * Return: 2 if the server is new, 1 if the way is, 0 if neither; CULVERT_EPROTO
 * if nobody asked, CULVERT_EFULL, CULVERT_ENOMEM
 */
int cv_asker_heard(struct cv_asker *, const struct cv_answer *,
	const struct cv_found_way *way, cv_time now, struct cv_found **out);

/** cv_asker_gone() - Take out a server that does not answer any more: to be
 * given back with cv_asker_free(); NULL: none */
struct cv_found *cv_asker_gone(struct cv_asker *, cv_time now);
void cv_asker_free(struct cv_asker *, struct cv_found *);

#endif
