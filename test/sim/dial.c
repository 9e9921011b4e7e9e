/* SPDX-License-Identifier: MIT */
/* dial.c - connect, back off, begin again: the rules of link/dial.c */
#include "sim/model.h"
#include "sim/net.h"

#define CONNECT_TIMEOUT CV_SEC(10)

static void failed(struct host *h)
{
	struct dialer *d = &h->dialer;
	uint8_t r;
	d->busy = false;
	event_set(h->w, &d->done, CV_NEVER);
	h->env.random(h, &r, 1);
	event_set(
		h->w, &d->wait, h->w->now + cv_backoff_failed(&d->backoff, r));
}

static void on_done(struct event *ev)
{
	struct host *h = CV_CONTAINER(ev, struct host, dialer.done);
	struct world *w = h->w;
	struct host *server = w->host[0];
	if (!server->running || server->node.draining ||
		w->now < w->refused_until || w->now < w->hung_until) {
		failed(h);
		return;
	}
	h->dialer.busy = false;
	struct conn *c = conn_new(w, h);
	link_open(&c->end[1], NULL);
	link_open(&c->end[0], h->session);
}

static void begin(struct event *ev)
{
	struct host *h = CV_CONTAINER(ev, struct host, dialer.wait);
	struct world *w = h->w;
	struct dialer *d = &h->dialer;
	if (h->session->link)
		return;
	d->busy = true;
	cv_backoff_began(&d->backoff, w->now);
	event_set(w, &d->done,
		w->now + (w->now < w->hung_until ? CONNECT_TIMEOUT
						 : 2 * w->cfg.delay + 1));
}

void dial_kick(struct host *h)
{
	struct dialer *d = &h->dialer;
	cv_time now = h->w->now;
	if (d->busy || !h->session || h->session->link)
		return;
	cv_time wait =
		cv_backoff_kicked(&d->backoff, h->session->failures, now);
	if (d->wait.place && d->wait.when <= now + wait)
		return;
	event_set(h->w, &d->wait, now + wait);
}

void dial_stop(struct host *h)
{
	event_set(h->w, &h->dialer.wait, CV_NEVER);
	event_set(h->w, &h->dialer.done, CV_NEVER);
	h->dialer.busy = false;
	h->dialer.backoff = (struct cv_backoff){ 0 };
}

void dial_init(struct host *h)
{
	h->dialer.wait.fire = begin;
	h->dialer.done.fire = on_done;
}
