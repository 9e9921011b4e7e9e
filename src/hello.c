/* SPDX-License-Identifier: MIT */
/* hello.c - culvert_discover() of iproxy version 1: who says hello */
#include "instance.h"

#include "core/lanurl.h"
#include "edge/iproxy_asker.h"
#include "loop/udp_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMES = 3 };

#define EVERY CV_MS(600)
#define WAIT CV_SEC(2)

struct hellos {
	struct cv_loop loop;
	struct cv_udp_io *udp;
	struct cv_iproxy_asker asker;
	cv_time end;
	ev_timer clock;
};

static void on_clock(struct ev_loop *ev, ev_timer *t, int events)
{
	struct hellos *h = t->data;
	cv_time now = cv_now(), at = h->end;
	(void)events;
	if (now >= h->end) {
		ev_break(ev, EVBREAK_ALL);
		return;
	}
	if (h->asker.asked < TIMES)
		cv_iproxy_asker_ask(&h->asker);
	if (h->asker.asked < TIMES)
		at = cv_earlier(at, now + EVERY);
	ev_now_update(ev);
	ev_timer_set(t, (double)(at - now) / 1e6, 0.);
	ev_timer_start(ev, t);
}

static int by_id(const void *a, const void *b)
{
	const struct cv_iproxy_heard *x = a, *y = b;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return strcmp(x->text, y->text);
}

/* of one that has no address the hardware's */
static const char *write_from(const struct cv_lan_way *w, char out[CV_ADDRTEXT])
{
	const uint8_t *m = w->mac;
	if (w->kind != CV_LAN_FRAME || !cv_addr_any(&w->addr))
		return cv_addr_format(&w->addr, out);
	snprintf(out, CV_ADDRTEXT, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1],
		m[2], m[3], m[4], m[5]);
	return out;
}

static int tell(struct hellos *h, const struct culvert_search *s,
	const struct cv_iproxy_heard *x)
{
	char from[CV_ADDRTEXT];
	uint32_t index = x->from.ifindex;
	struct culvert_way way = {
		.interface =
			index ? cv_lan_ifname(h->asker.port.lan, index) : "",
		.from = write_from(&x->from, from),
		.heard = "",
		.rtt = x->rtt,
	};
	struct culvert_server out = {
		.size = sizeof out,
		.id = x->id,
		.name = x->text,
		.key = "",
		.version = "iproxy1",
		.services = "",
		.interface = "",
		.addresses = "",
		.way = &way,
		.ways = 1,
	};
	return s->found(s->user, &out);
}

static void run(struct hellos *h, const struct culvert_search *s)
{
	struct cv_iproxy_asker *a = &h->asker;
	h->end = cv_now() + (s->timeout ? CV_MS(s->timeout) : WAIT);
	ev_timer_init(&h->clock, on_clock, 0., 0.);
	h->clock.data = h;
	ev_timer_start(h->loop.ev, &h->clock);
	ev_run(h->loop.ev, 0);
	ev_timer_stop(h->loop.ev, &h->clock);
	qsort(a->heard, a->n, sizeof *a->heard, by_id);
	for (unsigned i = 0; i < a->n; i++) {
		bool wanted = !a->port.id || a->port.id == a->heard[i].id;
		if (wanted && tell(h, s, &a->heard[i]))
			return;
	}
}

static int search(struct hellos *h, const struct cv_url *u,
	const struct culvert_search *s, struct culvert_diag *diag)
{
	const struct cv_loop_size size = { 1 << 20, 16 };
	char why[CV_SOCK_WHY];
	int err = cv_loop_init(&h->loop, &cv_env_plain, &size, NULL);
	snprintf(why, sizeof why, "out of memory");
	if (!err) {
		h->udp = cv_udp_io_new(&h->loop);
		err = cv_iproxy_asker_open(&h->asker, &h->loop, u, why);
	}
	if (!err) {
		run(h, s);
		cv_iproxy_asker_close(&h->asker);
	}
	cv_udp_io_free(h->udp);
	cv_loop_clear(&h->loop);
	return err ? cv_conf_fail(diag, err, 0, "%s", why) : 0;
}

static int understand(
	struct cv_url *u, const char *text, struct culvert_diag *diag)
{
	const char *why = "";
	struct cv_lanurl l;
	int err = cv_url_parse(u, text, strlen(text), &why);
	if (!err && strcmp(u->scheme, "iproxy+udp"))
		err = cv_lanurl_parse(&l, u, &why);
	else if (!err && !*u->host) {
		err = CULVERT_ESYNTAX;
		why = "iproxy+udp://HOST[:PORT] is expected here";
	}
	return err ? cv_conf_fail(diag, err, 0, "%s", why) : 0;
}

int cv_hello_discover(const char *text, const struct culvert_search *s,
	struct culvert_diag *diag)
{
	struct cv_url u;
	int err = understand(&u, text, diag);
	if (!err && s->flags & CULVERT_WATCH)
		err = cv_conf_fail(diag, CULVERT_EINVAL, 0,
			"servers of iproxy version 1 cannot be watched");
	if (err)
		return err;
	struct hellos *h = calloc(1, sizeof *h);
	if (!h)
		return cv_conf_fail(diag, CULVERT_ENOMEM, 0, "out of memory");
	err = search(h, &u, s, diag);
	free(h);
	return err;
}
