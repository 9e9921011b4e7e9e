/* SPDX-License-Identifier: MIT */
/* dial.c - connect, back off, begin again: the rules of link/dial.c */
#include "sim/model.h"
#include "sim/net.h"

#define CONNECT_TIMEOUT CV_SEC(10)

static void failed(struct dialer *d)
{
	struct host *h = d->host;
	uint8_t jitter;
	d->busy = false;
	event_set(h->w, &d->done, CV_NEVER);
	h->env.random(h, &jitter, 1);
	event_set(h->w, &d->wait,
		h->w->now + cv_backoff_failed(&d->backoff, jitter));
}

static void on_done(struct event *ev)
{
	struct dialer *d = CV_CONTAINER(ev, struct dialer, done);
	struct host *h = d->host;
	struct world *w = h->w;
	struct host *server = w->host[0];
	if (!server->running || server->node.draining ||
		w->now < w->refused_until || w->now < w->hung_until) {
		failed(d);
		return;
	}
	d->busy = false;
	struct conn *c = conn_new(w, h);
	link_open(&c->end[1], NULL, 0);
	link_open(&c->end[0], h->session, d->number);
}

static bool wanted(const struct dialer *d)
{
	const struct cv_session *s = d->host->session;
	return d->number < cv_session_wants(s) && !s->path[d->number].link;
}

static void begin(struct event *ev)
{
	struct dialer *d = CV_CONTAINER(ev, struct dialer, wait);
	struct world *w = d->host->w;
	if (!wanted(d))
		return;
	d->busy = true;
	cv_backoff_began(&d->backoff, w->now);
	event_set(w, &d->done,
		w->now + (w->now < w->hung_until ? CONNECT_TIMEOUT
						 : 2 * w->cfg.delay + 1));
}

static void kick(struct dialer *d)
{
	struct host *h = d->host;
	cv_time now = h->w->now;
	if (d->busy || !wanted(d))
		return;
	cv_time wait = cv_backoff_kicked(
		&d->backoff, h->session->path[d->number].failures, now);
	if (!d->wait.place || d->wait.when > now + wait)
		event_set(h->w, &d->wait, now + wait);
}

void dial_kick(struct host *h)
{
	if (!h->session)
		return;
	for (unsigned i = 0; i < cv_session_wants(h->session); i++)
		kick(&h->dialer[i]);
}

void dial_stop(struct host *h)
{
	for (unsigned i = 0; i < LINKS; i++) {
		struct dialer *d = &h->dialer[i];
		event_set(h->w, &d->wait, CV_NEVER);
		event_set(h->w, &d->done, CV_NEVER);
		d->busy = false;
		d->backoff = (struct cv_backoff){ 0 };
	}
}

void dial_init(struct host *h)
{
	for (unsigned i = 0; i < LINKS; i++) {
		struct dialer *d = &h->dialer[i];
		d->host = h;
		d->number = i;
		d->wait.fire = begin;
		d->done.fire = on_done;
	}
}
