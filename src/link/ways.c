/* SPDX-License-Identifier: MIT */
#include "link/ways.h"

#include <stdio.h>
#include <string.h>

void cv_ways_init(struct cv_ways *w)
{
	memset(w, 0, sizeof *w);
	w->used = -1;
}

static bool same(const struct cv_lan_way *a, const struct cv_lan_way *b)
{
	return a->ifindex == b->ifindex && a->kind == b->kind &&
	       !memcmp(a->mac, b->mac, sizeof a->mac) &&
	       (a->kind == CV_LAN_FRAME || cv_addr_equal(&a->addr, &b->addr));
}

static struct cv_way *find(struct cv_ways *w, const struct cv_lan_way *way)
{
	for (unsigned i = 0; i < w->n; i++)
		if (same(&w->way[i].way, way))
			return &w->way[i];
	return NULL;
}

static void forget(struct cv_ways *w, unsigned i)
{
	if (w->used == (int)i)
		w->used = -1;
	else if (w->used == (int)w->n - 1)
		w->used = (int)i;
	w->way[i] = w->way[--w->n];
}

/* a neighbour may change its address for ever: the one heard longest ago */
static void make_room(struct cv_ways *w)
{
	unsigned worst = w->used ? 0 : 1;
	for (unsigned i = 0; i < w->n; i++)
		if (w->used != (int)i && w->way[i].heard < w->way[worst].heard)
			worst = i;
	forget(w, worst);
}

struct cv_way *cv_ways_add(struct cv_ways *w, const struct cv_lan_way *way)
{
	struct cv_way *x = find(w, way);
	if (x)
		return x;
	if (w->n == CV_WAYS)
		make_room(w);
	x = &w->way[w->n++];
	*x = (struct cv_way){ .way = *way };
	return x;
}

void cv_ways_heard(struct cv_ways *w, const struct cv_lan_way *way, cv_time now)
{
	struct cv_way *x = cv_ways_add(w, way);
	if (!x->heard)
		x->tries = 0;
	x->heard = now;
}

bool cv_ways_flooding(const struct cv_way *x)
{
	return x->way.kind > CV_LAN_FRAME;
}

/* lower is better */
static bool better(const struct cv_way *a, const struct cv_way *b)
{
	bool v6 = a->way.addr.family == CV_AF_INET6;
	if (a->way.kind != b->way.kind)
		return a->way.kind < b->way.kind;
	return v6 && b->way.addr.family == CV_AF_INET;
}

/* what was asked in vain in doubt is soon asked again; an echo that is on its
   way still counts */
static void end_doubt(struct cv_ways *w)
{
	if (w->doubt)
		for (unsigned i = 0; i < w->n; i++)
			if (w->way[i].tries > 1)
				w->way[i].tries = 1;
	w->doubt = w->settle = 0;
}

/* the one in use is in doubt, and nothing came back by it since */
static bool stale(const struct cv_ways *w)
{
	return w->doubt && w->used >= 0 && w->way[w->used].proven < w->doubt;
}

static void take(struct cv_ways *w, const struct cv_way *x)
{
	w->used = (int)(x - w->way);
	w->switches++;
}

/* a lesser one may have to do: those before it are asked once more, at once */
static void last_call(struct cv_ways *w, const struct cv_way *x, cv_time now)
{
	if (w->settle)
		return;
	w->settle = now + CV_WAYS_GRACE;
	for (unsigned i = 0; i < w->n; i++)
		if (better(&w->way[i], x) &&
			now - w->way[i].asked >= CV_WAYS_GRACE)
			w->way[i].tries = 0;
}

bool cv_ways_echoed(struct cv_ways *w, uint64_t token, cv_time now)
{
	struct cv_way *x = NULL;
	for (unsigned i = 0; i < w->n && !x; i++)
		if (w->way[i].tries && w->way[i].token == token)
			x = &w->way[i];
	if (!x)
		return false;
	x->tries = 0;
	x->proven = now;
	x->rtt = now - x->asked;
	struct cv_way *used = w->used < 0 ? NULL : &w->way[w->used];
	bool silent = stale(w);
	if (used == x) {
		end_doubt(w);
		return false;
	}
	if (silent && better(used, x)) {
		last_call(w, x, now);
		return false;
	}
	if (used && !silent && !better(x, used))
		return false;
	if (!used || silent)
		end_doubt(w);
	take(w, x);
	return true;
}

bool cv_ways_settle(struct cv_ways *w, cv_time now)
{
	struct cv_way *best = NULL;
	if (!w->settle || now < w->settle)
		return false;
	for (unsigned i = 0; i < w->n; i++) {
		struct cv_way *x = &w->way[i];
		if (x->proven >= w->doubt && (!best || better(x, best)))
			best = x;
	}
	w->settle = 0;
	if (!best) /* it is gone by now */
		return false;
	end_doubt(w);
	take(w, best);
	return true;
}

void cv_ways_doubt(struct cv_ways *w, cv_time now)
{
	if (w->settle && w->used >= 0) /* it is about to end */
		return;
	w->settle = 0;
	w->doubt = now;
	for (unsigned i = 0; i < w->n; i++)
		w->way[i].tries = 0;
}

bool cv_ways_sweep(struct cv_ways *w,
	bool (*usable)(void *user, const struct cv_lan_way *), void *user,
	cv_time now)
{
	bool had = w->used >= 0;
	for (unsigned i = 0; i < w->n;) {
		struct cv_way *x = &w->way[i];
		cv_time last = x->heard > x->proven ? x->heard : x->proven;
		bool old = !cv_ways_flooding(x) && w->used != (int)i &&
			   now - last > CV_WAYS_OLD;
		if (old || !usable(user, &x->way))
			forget(w, i);
		else
			i++;
	}
	return had && w->used < 0;
}

const struct cv_way *cv_ways_best(const struct cv_ways *w)
{
	const struct cv_way *best = NULL;
	if (w->used >= 0)
		return &w->way[w->used];
	for (unsigned i = 0; i < w->n; i++) {
		const struct cv_way *x = &w->way[i];
		if (x->heard && x->tries <= CV_WAYS_PRESUMED &&
			!cv_ways_flooding(x) &&
			(!best || x->heard > best->heard))
			best = x;
	}
	return best;
}

/* since when it has been waiting for the next challenge, or CV_NEVER */
static cv_time due_at(const struct cv_ways *w, const struct cv_way *x)
{
	const struct cv_way *used = w->used < 0 ? NULL : &w->way[w->used];
	bool all = !used || w->doubt;
	cv_time gap = all ? CV_WAYS_DOUBT : CV_WAYS_SEARCH;
	if (w->doubt && x->proven >= w->doubt)
		return CV_NEVER;
	if (!all && (x == used || !better(x, used)))
		return CV_NEVER;
	if (all && !x->tries)
		return w->doubt;
	return x->asked + (gap << x->tries);
}

struct cv_way *cv_ways_due(struct cv_ways *w, cv_time now)
{
	/* its echo ends the doubt: before those of others */
	if (w->used >= 0 && due_at(w, &w->way[w->used]) <= now)
		return &w->way[w->used];
	for (unsigned i = 0; i < w->n; i++)
		if (due_at(w, &w->way[i]) <= now)
			return &w->way[i];
	return NULL;
}

void cv_ways_asked(struct cv_way *x, uint64_t token, cv_time now)
{
	x->token = token;
	x->asked = now;
	if (x->tries < CV_WAYS_TRIES)
		x->tries++;
}

cv_time cv_ways_deadline(const struct cv_ways *w)
{
	cv_time first = w->settle ? w->settle : CV_NEVER;
	for (unsigned i = 0; i < w->n; i++)
		first = cv_earlier(first, due_at(w, &w->way[i]));
	return first;
}

size_t cv_ways_describe(const struct cv_ways *w, const struct cv_lan *lan,
	char *out, size_t size)
{
	const struct cv_way *best = cv_ways_best(w);
	const char *why = w->used < 0 ? "not proven yet"
			  : w->doubt  ? "in doubt"
			  : cv_ways_flooding(best)
				  ? "no answer to the peer's own address"
				  : "proven";
	int n = snprintf(out, size, "%s%s%s (%s), %u of %u ways",
		best ? cv_lan_kind_name(best->way.kind) : "all broadcasts",
		best ? " by " : "",
		best ? cv_lan_ifname(lan, best->way.ifindex) : "", why,
		best ? 1U : w->n, w->n);
	return n < 0 ? 0 : (size_t)n;
}
