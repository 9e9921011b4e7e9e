/* SPDX-License-Identifier: MIT */
/**
 * beacon.c - a LAN port that answers who is there
 *
 * DOC: The copies of a question that come in while its answer waits say by
 * which ways the asker can be reached.  Each has a rank; what is left of them
 * when the time has come are the ways of doc/protocol.md, 13.2, one of which is
 * used.
 */
#include "link/beacon.h"

#include "core/responder.h"
#include "core/wire.h"
#include "loop/ifaces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum rank {
	RANK_IPV6,
	RANK_FRAME,
	RANK_IPV4,
	RANK_NONE, /* an address that leads nowhere from here */
	RANKS
};

/** struct askers - where the copies of one question came from */
struct askers {
	struct cv_lan_way at[RANKS];
	bool has[RANKS];
	uint8_t heard[RANKS]; /* enum cv_heard */
};

struct cv_beacon {
	struct cv_loop *loop;
	struct cv_lan *lan;
	struct cv_lan_user user;
	struct cv_responder responder;
	struct askers slot[CV_RESPONDER_SLOTS];
	struct cv_answer says;
	cv_time since;   /* when it had ... */
	uint32_t uptime; /* ... that, in seconds */
	ev_timer clock;
};

static uint64_t *count(struct cv_beacon *b, enum cv_drop drop)
{
	return &b->loop->node.stats.drop[drop];
}

static void arm(struct cv_beacon *b)
{
	struct ev_loop *ev = b->loop->ev;
	cv_time at = cv_responder_deadline(&b->responder), now = cv_now();
	ev_timer_stop(ev, &b->clock);
	if (at == CV_NEVER)
		return;
	ev_now_update(ev);
	ev_timer_set(&b->clock, at > now ? (double)(at - now) / 1e6 : 0., 0.);
	ev_timer_start(ev, &b->clock);
}

/* --- questions --- */

static enum rank rank_of(
	const struct cv_beacon *b, const struct cv_lan_way *way)
{
	if (!cv_lan_usable(b->lan, way))
		return RANK_NONE;
	if (way->kind == CV_LAN_FRAME)
		return RANK_FRAME;
	return way->addr.family == CV_AF_INET6 ? RANK_IPV6 : RANK_IPV4;
}

static enum cv_heard heard_by(const struct cv_lan_msg *m)
{
	if (m->way.kind == CV_LAN_FRAME)
		return CV_HEARD_FRAME;
	if (!m->cast)
		return CV_HEARD_ALONE;
	return m->way.addr.family == CV_AF_INET6 ? CV_HEARD_MULTICAST6
						 : CV_HEARD_CAST4;
}

static void question(struct cv_beacon *b, const struct cv_lan_msg *m,
	const uint8_t *p, size_t len)
{
	struct cv_question q;
	enum rank rank = rank_of(b, &m->way);
	int slot;
	if (cv_question_get(&q, p, len)) {
		++*count(b, CV_DROP_MALFORMED);
		return;
	}
	/* from beyond the link */
	if (rank == RANK_NONE && !m->cast) {
		++*count(b, CV_DROP_STRANGER);
		return;
	}
	cv_time now = cv_now();
	enum cv_drop drop = cv_responder_asked(
		&b->responder, &q, m->way.ifindex, now, &slot);
	if (drop)
		++*count(b, drop);
	if (slot < 0)
		return;
	struct askers *a = &b->slot[slot];
	if (b->responder.wait[slot].heard == now)
		*a = (struct askers){ .has = { false } };
	a->at[rank] = m->way;
	a->has[rank] = true;
	a->heard[rank] = (uint8_t)heard_by(m);
	arm(b);
}

static bool input(struct cv_lan_user *user, const struct cv_lan_msg *m)
{
	struct cv_beacon *b = CV_CONTAINER(user, struct cv_beacon, user);
	const struct cv_frame *f = &m->train;
	if (!f->len || *f->data != CV_PACKET_QUESTION)
		return false;
	for (uint32_t off = 0; off < f->len; off += f->seg) {
		uint32_t left = f->len - off;
		question(b, m, f->data + off, left < f->seg ? left : f->seg);
	}
	return true;
}

/* --- answers --- */

/* the way that is for this round, or the last of those there are */
static enum rank choose(const struct askers *a, unsigned round)
{
	enum rank best = RANK_NONE;
	for (unsigned i = 0, n = 0; i < RANK_NONE; i++) {
		if (a->has[i] && n++ <= round)
			best = (enum rank)i;
	}
	return best;
}

static void add_interface(struct cv_beacon *b, uint32_t ifindex)
{
	const struct cv_iface *i = cv_ifaces_at(cv_lan_ifaces(b->lan), ifindex);
	struct cv_answer *a = &b->says;
	a->addrs = 0;
	*a->ifname = '\0';
	if (!i)
		return;
	snprintf(a->ifname, sizeof a->ifname, "%s", i->name);
	for (unsigned k = 0; k < i->addrs && a->addrs < CV_ANSWER_ADDRS; k++) {
		a->addr[a->addrs].addr = i->addr[k].addr;
		a->addr[a->addrs++].bits = i->addr[k].bits;
	}
}

static void answer(struct cv_beacon *b, const struct askers *to,
	const struct cv_waiting *w, cv_time now)
{
	uint8_t packet[CV_ANSWER_MAX];
	struct cv_lan_way way[2];
	enum rank rank = choose(to, w->round);
	struct cv_answer *a = &b->says;
	add_interface(b, w->ifindex);
	a->nonce = w->nonce;
	a->round = w->round;
	a->heard = to->heard[rank];
	a->held = (uint32_t)(now - w->heard);
	a->uptime = b->uptime + (uint32_t)((now - b->since) / CV_SEC(1));
	uint32_t len = (uint32_t)cv_answer_put(packet, a);
	unsigned n = cv_lan_answers(b->lan, &to->at[rank], false, way, 2);
	for (unsigned i = 0; i < n; i++) {
		struct cv_frame f = { .data = packet, .len = len, .seg = len };
		if (cv_lan_send(b->lan, &way[i], &f))
			++*count(b, CV_DROP_SOCKET_FULL);
	}
}

static void on_clock(struct ev_loop *ev, ev_timer *t, int events)
{
	struct cv_beacon *b = t->data;
	struct cv_waiting w;
	enum cv_drop drop;
	cv_time now = cv_now();
	(void)ev;
	(void)events;
	for (int i;
		(i = cv_responder_due(&b->responder, now, &w, &drop)) >= 0;) {
		if (drop)
			++*count(b, drop);
		else
			answer(b, &b->slot[i], &w, now);
	}
	arm(b);
}

/* --- life --- */

struct cv_beacon *cv_beacon_new(struct cv_loop *l,
	const struct cv_lan_options *o, const struct cv_answer *says,
	char why[CV_SOCK_WHY])
{
	struct cv_beacon *b = calloc(1, sizeof *b);
	snprintf(why, CV_SOCK_WHY, "out of memory");
	if (!b)
		return NULL;
	b->loop = l;
	b->says = *says;
	b->since = cv_now();
	b->uptime = says->uptime;
	b->user.input = input;
	cv_responder_init(
		&b->responder, &l->node.env, says->id, cv_answer_tag(says));
	ev_timer_init(&b->clock, on_clock, 0., 0.);
	b->clock.data = b;
	b->lan = cv_lan_open(l, o, &b->user, why);
	if (b->lan)
		return b;
	free(b);
	return NULL;
}

void cv_beacon_free(struct cv_beacon *b)
{
	if (!b)
		return;
	ev_timer_stop(b->loop->ev, &b->clock);
	cv_lan_close(b->lan, &b->user);
	free(b);
}
