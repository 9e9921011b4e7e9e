/* SPDX-License-Identifier: MIT */
/**
 * ways.h - how one peer of a LAN can be reached, and which way is used
 *
 * DOC: A way is *heard* when an authentic packet came by it, and *proven* when
 * the peer echoed a challenge that was sent by it.  The best proven one is
 * used, by its kind: to one station before to everybody, with an address before
 * by frames.  As long as none is proven, those that were heard are presumed to
 * be good, until challenges by them were in vain; else everything that leads to
 * everybody is tried at once.
 *
 * Ones that are better than that in use are challenged, after SEARCH and then
 * less and less often; all of them at once in doubt: when nothing comes back,
 * or when interfaces have changed.  A way in doubt stays in use until a better
 * one is proven, or a lesser one, and no better one within GRACE of that.  No
 * I/O and no clock here.
 */
#ifndef CV_WAYS_H
#define CV_WAYS_H

#include "loop/lan.h"

enum {
	CV_WAYS = 48,      /* known at a time: the worst give way */
	CV_WAYS_CASTS = 24 /* of these, to everybody */
};

#define CV_WAYS_SEARCH CV_SEC(1) /* both double with each try ... */
#define CV_WAYS_DOUBT CV_MS(50)
enum {
	CV_WAYS_TRIES = 6,   /* ... so many times */
	CV_WAYS_PRESUMED = 1 /* after more in vain what was heard is no way */
};
#define CV_WAYS_OLD CV_SEC(60) /* unproven and unheard for so long */
/* in doubt better ones may echo so much later than a lesser one */
#define CV_WAYS_GRACE CV_MS(20)

struct cv_way {
	struct cv_lan_way way;
	cv_time heard;  /* 0: never */
	cv_time proven; /* 0: not */
	cv_time asked;  /* the last challenge, 0: none */
	uint64_t token; /* of it */
	cv_time rtt;    /* of its echo */
	unsigned tries; /* in vain so far */
};

struct cv_ways {
	struct cv_way way[CV_WAYS];
	unsigned n;
	int used;          /* in use; -1: none proven */
	cv_time doubt;     /* since then; 0: none */
	cv_time settle;    /* when a lesser one takes over; 0: never */
	unsigned switches; /* how often another was taken */
};

/** cv_ways_init() - none is known */
void cv_ways_init(struct cv_ways *);

/** cv_ways_add() - may lead there; what is known already stays as it is */
struct cv_way *cv_ways_add(struct cv_ways *, const struct cv_lan_way *);

/** cv_ways_heard() - an authentic packet came by it */
void cv_ways_heard(struct cv_ways *, const struct cv_lan_way *, cv_time now);

/**
 * cv_ways_echoed() - A challenge came back
 * Return: true if another way is in use now
 */
bool cv_ways_echoed(struct cv_ways *, uint64_t token, cv_time now);

/** cv_ways_settle() - GRACE may be over: the one in use was waited for in vain
 * Return: true if another way is in use now */
bool cv_ways_settle(struct cv_ways *, cv_time now);

/** cv_ways_doubt() - nothing comes back, or interfaces have changed */
void cv_ways_doubt(struct cv_ways *, cv_time now);

/** cv_ways_sweep() - @usable says of each whether it still is: forget others
 * and old ones
 * Return: true if the one in use is gone */
bool cv_ways_sweep(struct cv_ways *,
	bool (*usable)(void *user, const struct cv_lan_way *), void *user,
	cv_time now);

/** cv_ways_best() - the one in use, or the newest that was heard, or NULL: by
 * all that lead to everybody */
const struct cv_way *cv_ways_best(const struct cv_ways *);

/** cv_ways_due() - the next one to be challenged now, or NULL; the caller sets
 * its token and calls cv_ways_asked() */
struct cv_way *cv_ways_due(struct cv_ways *, cv_time now);
void cv_ways_asked(struct cv_way *, uint64_t token, cv_time now);

/** cv_ways_deadline() - when cv_ways_due() may have one */
cv_time cv_ways_deadline(const struct cv_ways *);

/** cv_ways_describe() - which one is used and why, for people; bytes of it */
size_t cv_ways_describe(
	const struct cv_ways *, const struct cv_lan *, char *out, size_t size);

/** cv_ways_flooding() - packets that go this way reach everybody */
bool cv_ways_flooding(const struct cv_way *);

#endif
