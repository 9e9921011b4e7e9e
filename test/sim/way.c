/* SPDX-License-Identifier: MIT */
/* way.c - when sessions came up, and what is late; doc/protocol.md, 8 */
#include "sim/oracle.h"

#include <string.h>

/* the bounds of doc/protocol.md and doc/limits.md, not taken from the code */
enum { QUEUE_BYTES = 8 << 20, HELD = 64, CONTROL_BUFS = 128 };

/* whose session this is, seen from the server or from the client itself */
static struct host *client_of(struct host *h, const struct cv_session *s)
{
	struct world *w = h->w;
	if (h->no)
		return h;
	for (unsigned i = 1; i < w->hosts; i++) {
		if (!memcmp(s->pub, w->host[i]->node.pub, CV_KEY))
			return w->host[i];
	}
	return NULL;
}

/* note the session's connections; whether one of them was noted before */
static bool same_links(struct way *way, struct cv_session *s)
{
	uint32_t was[LINKS];
	bool same = false;
	memcpy(was, way->link, sizeof was);
	memset(way->link, 0, sizeof way->link);
	for (struct cv_path *p = NULL; (p = cv_path_next(s, p));) {
		uint32_t *serial = &way->link[cv_path_number(p)];
		if (!p->ready)
			continue;
		*serial = CV_CONTAINER(p->link, struct end, link)->conn->serial;
		for (unsigned i = 0; i < LINKS; i++)
			same |= was[i] == *serial;
	}
	return same;
}

static void watch(struct host *h, struct cv_session *s)
{
	struct host *c = client_of(h, s);
	if (!c)
		return;
	struct way *way = &h->w->model->way[c->no][h->no == 0];
	bool up = cv_session_up(s), same = same_links(way, s);
	if (up && (!way->is_up || !same)) {
		way->up = grown(
			way->up, way->ups, &way->up_room, sizeof(*way->up));
		way->up[way->ups++] = h->w->now;
	}
	way->is_up = up;
}

void model_watch(struct host *h)
{
	struct cv_list *all = &h->node.sessions;
	for (struct cv_list *l = all->next; l != all; l = l->next)
		watch(h, CV_CONTAINER(l, struct cv_session, all));
}

static bool some_link_is_free(struct cv_session *s)
{
	struct cv_path *p = NULL;
	while ((p = cv_path_next(s, p))) {
		if (p->ready && !p->link->blocked)
			return true;
	}
	return false;
}

/* after a flush a queue is what blocked links or none leave in it */
void model_queues(struct host *h)
{
	struct cv_list *all = &h->node.sessions;
	for (struct cv_list *l = all->next; l != all; l = l->next) {
		struct cv_session *s = CV_CONTAINER(l, struct cv_session, all);
		if (s->txq.q.bytes > QUEUE_BYTES)
			broken(h->w, "host %u: %zu bytes in a queue", h->no,
				s->txq.q.bytes);
		if (cv_session_up(s) && s->txq.q.head && !s->bound &&
			some_link_is_free(s))
			broken(h->w, "host %u: it waits with a link free",
				h->no);
		if (!cv_session_up(s) && s->txq.q.count > HELD)
			broken(h->w, "host %u: %u packets are held", h->no,
				s->txq.q.count);
		if (s->ctl.count > CONTROL_BUFS)
			broken(h->w, "host %u: %u buffers of control frames",
				h->no, s->ctl.count);
	}
}

void way_stopped(struct host *h)
{
	struct world *w = h->w;
	for (unsigned i = 1; i < w->hosts; i++) {
		struct way *way = w->model->way[i];
		if (h->no != 0 && h->no != i)
			continue;
		way[h->no == 0].is_up = false;
	}
}

/* least of the seconds that began at @since or later */
static int64_t least(const struct pace *pace, cv_time since, int64_t n)
{
	for (size_t i = pace->pasts; i-- && pace->past[i].second >= since;) {
		if (pace->past[i].took < n)
			n = pace->past[i].took;
	}
	return n;
}

static void remember(struct pace *pace, cv_time now, int64_t took)
{
	cv_time second = now - now % CV_SEC(1);
	struct past *last = pace->pasts ? &pace->past[pace->pasts - 1] : NULL;
	if (last && last->second == second) {
		if (took < last->took)
			last->took = took;
		return;
	}
	pace->past = grown(
		pace->past, pace->pasts, &pace->past_room, sizeof(*pace->past));
	pace->past[pace->pasts++] = (struct past){ second, took };
}

static cv_time ago(cv_time now, cv_time t)
{
	return now < t ? 0 : now - t;
}

/*
 * The window of the measurement is one to two minutes, so between "late for
 * any window" and "late for none" a node may go either way.
 */
static void judge(
	struct end *e, struct pace *pace, int64_t limit, uint64_t late)
{
	struct world *w = e->host->w;
	struct current *c = &w->model->cur;
	cv_time now = w->now;
	int64_t took = (int64_t)(now - c->tag.stamp);
	int64_t one = least(pace, ago(now, CV_SKEW_WINDOW), took);
	int64_t two =
		least(pace, ago(now, 2 * CV_SKEW_WINDOW + CV_SEC(1)), took);
	bool surely = took - one > limit, maybe = took - two > limit;
	remember(pace, now, took);
	if (!surely && maybe && !late && !c->delivered) {
		pace->unsure = true;
		return;
	}
	if (!maybe && late)
		broken(w,
			"host %u: dropped as late after %lld us, least is "
			"%lld",
			e->host->no, (long long)took, (long long)two);
	if (!surely && !late) {
		pace->run = 0;
		return;
	}
	if (!pace->run)
		pace->run = now;
	if (now - pace->run > CV_LATE_RUN) {
		/* a slower path: measured anew from the next packet on */
		pace->pasts = 0;
		pace->run = 0;
	} else if (c->delivered) {
		broken(w, "host %u: delivered %lld us late", e->host->no,
			(long long)(took - one));
	}
}

void check_late(struct end *e, uint64_t late)
{
	struct host *h = e->host;
	struct world *w = h->w;
	/* a goodbye may have taken the link from its session */
	struct cv_session *s =
		e->link.session ? e->link.session : w->model->cur.session;
	struct host *c = s ? client_of(h, s) : NULL;
	if (!c)
		return;
	struct host *sender = h->no ? w->host[0] : c;
	if (s->instance != sender->node.instance || !sender->running)
		return;
	if (!e->pace.unsure)
		judge(e, &e->pace, (int64_t)sender->max_age * CV_LATE_FACTOR,
			late);
}
