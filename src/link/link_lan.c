/* SPDX-License-Identifier: MIT */
/**
 * link_lan.c - one LAN port carries the packets of many peers
 *
 * DOC: Like link_udp.c, but where a peer is is not an address of the core's: a
 * link has its ways, and chooses for every train.  Until one is proven, and for
 * handshakes, a train goes by all that lead to everybody; the copies that
 * arrive are told by their number.  What goes to everybody is held to a rate.
 */
#include "link/link_lan.h"

#include "core/transport.h"
#include "core/wire.h"
#include "link/again.h"
#include "link/ways.h"
#include "loop/lan_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MTU = 1500,
	ANSWERS = 4, /* ways of one answer */
	PERIOD = 1,  /* ms until a full socket is tried again */
};

#define SWEEP CV_SEC(10)

struct cv_lan_port {
	struct cv_link link; /* nobody's: see core/link.h */
	struct cv_loop *loop;
	struct cv_lan *lan;
	struct cv_lan_user user;
	struct cv_lanurl url;
	unsigned kinds;
	struct cv_lan_way at; /* of the packet that is being worked off */
	struct cv_again again;
	struct cv_list links;
	bool serves; /* else others may dial by the same sockets */
	bool paused; /* hears no new handshakes */
	bool left;   /* goes with its last link */
	bool busy;   /* input is being worked off */
};

struct lan {
	struct cv_link link;
	struct cv_lan_port *port;
	struct cv_list all;
	struct cv_ways ways;
	uint16_t to;          /* the peer's port */
	struct cv_train kept; /* the socket did not take it; buf NULL: none */
	ev_timer clock;       /* challenges, and a socket that was full */
	cv_time swept;
	unsigned calls; /* handshakes that were begun */
};

static const struct cv_link_ops link_ops;

static struct lan *lan_of(struct cv_link *link)
{
	return CV_CONTAINER(link, struct lan, link);
}

static const char *peer_name(const struct lan *l)
{
	const struct cv_session *s = l->link.session;
	return s && *s->name ? s->name : "-";
}

/* --- ways --- */

static bool usable(void *user, const struct cv_lan_way *way)
{
	const struct lan *l = user;
	return cv_lan_usable(l->port->lan, way);
}

static bool flooding(const struct lan *l)
{
	const struct cv_way *best = cv_ways_best(&l->ways);
	return !best || cv_ways_flooding(best);
}

/* what others of the LAN hear of us is bounded */
static void bound(struct lan *l)
{
	const struct cv_way *best = cv_ways_best(&l->ways);
	l->link.rate_max = flooding(l) ? CV_LAN_FLOOD_RATE : 0;
	if (best)
		l->link.remote = best->way.addr;
}

static void arm(struct lan *l, cv_time now)
{
	struct ev_loop *ev = l->port->loop->ev;
	cv_time at = cv_ways_deadline(&l->ways);
	if (l->link.blocked)
		at = cv_earlier(at, now + CV_MS(PERIOD));
	ev_timer_stop(ev, &l->clock);
	if (at == CV_NEVER || !l->link.session)
		return;
	double wait = at > now ? (double)(at - now) / 1e6 : 0.;
	ev_now_update(ev);
	ev_timer_set(&l->clock, wait < 0.001 ? 0.001 : wait, 0.);
	ev_timer_start(ev, &l->clock);
}

static void add_casts(struct lan *l)
{
	struct cv_lan_way way[CV_WAYS_CASTS];
	unsigned kinds = l->port->kinds | (l->calls > 1 ? CV_LAN_HOSTS : 0);
	unsigned n =
		cv_lan_casts(l->port->lan, kinds, l->to, way, CV_WAYS_CASTS);
	for (unsigned i = 0; i < n; i++)
		cv_ways_add(&l->ways, &way[i]);
}

static void log_way(const struct lan *l)
{
	const struct cv_way *best = cv_ways_best(&l->ways);
	char at[CV_ADDRTEXT];
	if (!best)
		return;
	cv_log(&l->port->loop->node, CULVERT_INFO,
		"msg=\"way chosen\" peer=%s way=%s interface=%s to=%s",
		peer_name(l), cv_lan_kind_name(best->way.kind),
		cv_lan_ifname(l->port->lan, best->way.ifindex),
		cv_addr_format(&best->way.addr, at));
}

/* another way is in use; @lost: what went by the old one is */
static void switched(struct lan *l, bool lost, cv_time now)
{
	bound(l);
	log_way(l);
	if (lost)
		cv_node_rerouted(&l->port->loop->node, &l->link, now);
}

static void doubt(struct cv_link *link, cv_time now)
{
	struct lan *l = lan_of(link);
	add_casts(l);
	cv_ways_doubt(&l->ways, now);
	arm(l, now);
}

static void changed(struct cv_lan_user *user)
{
	struct cv_lan_port *p = CV_CONTAINER(user, struct cv_lan_port, user);
	cv_time now = cv_now();
	for (struct cv_list *i = p->links.next; i != &p->links; i = i->next) {
		struct lan *l = CV_CONTAINER(i, struct lan, all);
		bool gone = cv_ways_sweep(&l->ways, usable, l, now);
		doubt(&l->link, now);
		if (gone)
			switched(l, true, now);
	}
}

/* who came in by a way that leads nowhere is answered on its interface */
static void learn(struct lan *l, const struct cv_lan_way *at, cv_time now)
{
	struct cv_lan_way way[ANSWERS], address = *at;
	if (at->kind == CV_LAN_FRAME) { /* its address may do, too */
		address.kind = CV_LAN_UNICAST;
		memset(address.mac, 0, sizeof address.mac);
		if (usable(l, &address))
			cv_ways_add(&l->ways, &address);
	}
	if (usable(l, at)) {
		cv_ways_heard(&l->ways, at, now);
		return;
	}
	unsigned n = cv_lan_answers(l->port->lan, at, false, way, ANSWERS);
	for (unsigned i = 0; i < n; i++)
		cv_ways_add(&l->ways, &way[i]);
}

static void heard(struct cv_link *link, struct cv_link *port, cv_time now)
{
	struct lan *l = lan_of(link);
	struct cv_lan_port *p = CV_CONTAINER(port, struct cv_lan_port, link);
	const struct cv_way *best = cv_ways_best(&l->ways);
	unsigned n = l->ways.n;
	learn(l, &p->at, now);
	if (best == cv_ways_best(&l->ways) && n == l->ways.n &&
		(ev_is_active(&l->clock) ||
			cv_ways_deadline(&l->ways) == CV_NEVER))
		return;
	bound(l);
	arm(l, now);
}

static void echoed(struct cv_link *link, uint64_t token, cv_time now)
{
	struct lan *l = lan_of(link);
	bool doubted = l->ways.doubt != 0;
	if (cv_ways_echoed(&l->ways, token, now))
		switched(l, doubted, now);
	arm(l, now);
}

static void challenge(struct lan *l, cv_time now)
{
	struct cv_node *n = &l->port->loop->node;
	struct cv_session *s = l->link.session;
	struct cv_way *x;
	while ((x = cv_ways_due(&l->ways, now))) {
		uint64_t token;
		n->env.random(n->env.user, &token, sizeof token);
		cv_ways_asked(x, token, now);
		struct cv_buf *b = cv_session_challenge(s, token, now);
		if (!b)
			continue;
		struct cv_frame f = {
			.data = cv_buf_data(b), .len = b->len, .seg = b->len
		};
		cv_lan_send(l->port->lan, &x->way, &f);
		cv_buf_free(&n->pool, b);
	}
}

static void on_clock(struct ev_loop *ev, ev_timer *w, int events)
{
	struct lan *l = w->data;
	cv_time now = cv_now();
	(void)ev;
	(void)events;
	if (l->link.blocked)
		cv_node_writable(&l->port->loop->node, &l->link);
	if (now - l->swept > SWEEP) {
		l->swept = now;
		if (cv_ways_sweep(&l->ways, usable, l, now))
			switched(l, true, now);
	}
	if (cv_ways_settle(&l->ways, now))
		switched(l, true, now);
	challenge(l, now);
	bound(l); /* what was presumed to be a way may be none any more */
	arm(l, now);
}

/* --- packets out --- */

static void count_drop(struct cv_lan_port *p, int error, uint32_t n)
{
	p->loop->node.stats.drop[error == ENOBUFS || error == EAGAIN
					 ? CV_DROP_SOCKET_FULL
					 : CV_DROP_UNREACHABLE] += n;
}

/* by all that lead to everybody; one of them is enough */
static int send_all(struct lan *l, const struct cv_frame *train)
{
	int e = ENETUNREACH;
	for (unsigned i = 0; i < l->ways.n; i++) {
		struct cv_way *x = &l->ways.way[i];
		struct cv_frame f = *train;
		if (cv_ways_flooding(x) &&
			!cv_lan_send(l->port->lan, &x->way, &f))
			e = 0;
	}
	return e;
}

static bool is_initiation(const uint8_t *p)
{
	return *p == CV_PACKET_INIT || *p == CV_PACKET_PLAIN_INIT;
}

static void call(struct lan *l)
{
	l->calls++;
	add_casts(l);
}

static int write_train(struct lan *l, struct cv_train *t)
{
	struct cv_buf *b = t->buf;
	const struct cv_way *best = cv_ways_best(&l->ways);
	struct cv_frame f = {
		.data = cv_buf_data(b), .len = b->len, .seg = t->seg
	};
	bool begins = is_initiation(f.data);
	if (begins)
		call(l);
	if (begins || !best)
		return send_all(l, &f);
	int e = cv_lan_send(l->port->lan, &best->way, &f);
	b->off += b->len - f.len;
	b->len = f.len;
	return e;
}

/* false: the socket takes no more */
static bool send_train(struct lan *l, struct cv_train *t, cv_time now)
{
	struct cv_node *node = &l->port->loop->node;
	int e = write_train(l, t);
	if (e == EAGAIN) {
		l->kept = *t;
		l->link.blocked = true;
		arm(l, now);
		return false;
	}
	if (e == EMSGSIZE) {
		cv_node_too_big(node, &l->link,
			t->buf->len < t->seg ? t->buf->len : t->seg, now);
	} else if (e) {
		count_drop(l->port, e, (t->buf->len + t->seg - 1) / t->seg);
		if (!l->ways.doubt)
			doubt(&l->link, now);
	}
	cv_buf_free(&node->pool, t->buf);
	return true;
}

static void flush(struct cv_link *link, cv_time now)
{
	struct lan *l = lan_of(link);
	struct cv_train t = l->kept;
	l->kept.buf = NULL;
	if (t.buf && !send_train(l, &t, now))
		return;
	while (cv_node_output_train(&l->port->loop->node, link, &t, now)) {
		if (!send_train(l, &t, now))
			return;
	}
}

/* by every way that may reach whoever sent the packet being worked off; @first:
   nothing has been said to it, and what goes to a station alone may not pass */
static void reply(
	struct cv_lan_port *p, uint8_t *data, uint32_t len, bool first)
{
	struct cv_lan_way way[ANSWERS];
	unsigned n = cv_lan_answers(p->lan, &p->at, first, way, ANSWERS);
	int e = ENETUNREACH;
	for (unsigned i = 0; i < n; i++) {
		struct cv_frame f = { .data = data, .len = len, .seg = len };
		if (!cv_lan_send(p->lan, &way[i], &f))
			e = 0;
	}
	if (e)
		count_drop(p, e, 1);
}

/* what is to be said to whoever sent the packet that is being worked off */
static void answer(struct cv_link *link, cv_time now)
{
	struct cv_lan_port *p = CV_CONTAINER(link, struct cv_lan_port, link);
	struct cv_node *node = &p->loop->node;
	struct cv_bufq got = { 0 };
	cv_node_output(node, link, &got, CV_OUT_BYTES, now);
	for (struct cv_buf *b; (b = cv_bufq_pop(&got));) {
		cv_again_keep(&p->again, cv_buf_data(b), b->len, now);
		reply(p, cv_buf_data(b), b->len, true);
		cv_buf_free(&node->pool, b);
	}
	cv_list_del(&link->dirty);
}

/* --- links --- */

static void destroy(struct cv_lan_port *p)
{
	cv_node_link_down(&p->loop->node, &p->link, cv_now());
	cv_lan_close(p->lan, &p->user);
	free(p);
}

/* nobody needs it any more */
static void reap(struct cv_lan_port *p)
{
	if (p->left && !p->busy && cv_list_empty(&p->links))
		destroy(p);
}

static void close_port(struct cv_link *link, const char *why)
{
	struct cv_lan_port *p = CV_CONTAINER(link, struct cv_lan_port, link);
	bool busy = p->busy;
	p->busy = true;
	while (!cv_list_empty(&p->links)) {
		struct lan *l = CV_CONTAINER(p->links.next, struct lan, all);
		l->link.ops->close(&l->link, why);
	}
	p->busy = busy;
}

static void close_link(struct cv_link *link, const char *why)
{
	struct lan *l = lan_of(link);
	struct cv_lan_port *p = l->port;
	cv_log(&p->loop->node, CULVERT_INFO,
		"msg=\"link down\" link=lan peer=%s reason=\"%s\"",
		peer_name(l), why);
	ev_timer_stop(p->loop->ev, &l->clock);
	cv_list_del(&l->all);
	if (l->kept.buf)
		cv_buf_free(&p->loop->node.pool, l->kept.buf);
	cv_node_link_down(&p->loop->node, link, cv_now());
	free(l);
	reap(p);
}

static size_t describe(const struct cv_link *link, char *out, size_t size)
{
	const struct lan *l = CV_CONTAINER(link, const struct lan, link);
	return cv_ways_describe(&l->ways, l->port->lan, out, size);
}

static const struct cv_link_ops link_ops = {
	.name = "lan",
	.flush = flush,
	.close = close_link,
	.heard = heard,
	.echoed = echoed,
	.doubt = doubt,
	.describe = describe,
};

static struct lan *link_new(struct cv_lan_port *p, uint16_t to)
{
	struct lan *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	l->port = p;
	l->to = to;
	l->link.ops = &link_ops;
	l->link.port = &p->link;
	l->link.cc = p->link.cc;
	l->link.mtu = MTU;
	l->link.remote = (struct cv_addr){ .family = CV_AF_INET6, .port = to };
	l->link.rate_max = CV_LAN_FLOOD_RATE;
	cv_ways_init(&l->ways);
	ev_timer_init(&l->clock, on_clock, 0., 0.);
	l->clock.data = l;
	cv_list_init(&l->all);
	cv_list_append(&p->links, &l->all);
	return l;
}

static struct cv_link *adopt(struct cv_link *link)
{
	struct cv_lan_port *p = CV_CONTAINER(link, struct cv_lan_port, link);
	struct lan *l = link_new(p, p->at.addr.port);
	cv_time now = cv_now();
	if (!l)
		return NULL;
	cv_node_link_up(&p->loop->node, &l->link, NULL, now);
	learn(l, &p->at, now);
	bound(l);
	return &l->link;
}

static const struct cv_link_ops port_ops = {
	.name = "lan",
	.flags = CV_LINK_PORT,
	.flush = answer,
	.close = close_port,
	.adopt = adopt,
};

int cv_lan_port_dial(struct cv_lan_port *p, struct cv_session *s)
{
	uint16_t to = p->url.port ? p->url.port : CV_LAN_PORT;
	struct lan *l = link_new(p, to);
	if (!l)
		return CULVERT_ENOMEM;
	add_casts(l);
	cv_node_link_up(&p->loop->node, &l->link, s, cv_now());
	return 0;
}

/* --- packets in --- */

static bool ours(const uint8_t *p)
{
	return *p == CV_PACKET_INIT || *p == CV_PACKET_RESPONSE ||
	       *p == CV_PACKET_COOKIE || *p == CV_PACKET_DATA;
}

static void take(struct cv_lan_port *p, uint8_t *data, uint32_t len)
{
	cv_node_input(&p->loop->node, &p->link, data, len, cv_now());
	if (p->link.replies.head)
		answer(&p->link, cv_now());
}

/* it comes by several ways: later copies are answered alike */
static void handshake(struct cv_lan_port *p, uint8_t *data, uint32_t len)
{
	uint8_t said[CV_AGAIN_SIZE];
	uint32_t n = cv_again_find(&p->again, data, len, said, cv_now());
	if (n) {
		reply(p, said, n, false);
		return;
	}
	cv_again_begin(&p->again, data, len);
	take(p, data, len);
	cv_again_end(&p->again);
}

static void packet(struct cv_lan_port *p, uint8_t *data, uint32_t len)
{
	/* it was closed with a packet before this one */
	if (p->left && cv_list_empty(&p->links))
		return;
	if (!is_initiation(data))
		take(p, data, len);
	else if (!p->paused)
		handshake(p, data, len);
}

static bool input(struct cv_lan_user *user, const struct cv_lan_msg *m)
{
	struct cv_lan_port *p = CV_CONTAINER(user, struct cv_lan_port, user);
	const struct cv_frame *f = &m->train;
	if (!f->len || !ours(f->data))
		return false;
	if (!p->serves &&
		!cv_node_expects(&p->loop->node, &p->link, f->data, f->seg))
		return false;
	p->at = m->way;
	p->link.remote = m->way.addr;
	p->busy = true;
	for (uint32_t off = 0; off < f->len; off += f->seg) {
		uint32_t left = f->len - off;
		packet(p, f->data + off, left < f->seg ? left : f->seg);
	}
	p->busy = false;
	reap(p);
	return true;
}

/* --- ports --- */

static struct cv_lan_port *port_new(struct cv_loop *l,
	const struct cv_lanurl *url, bool serves, char why[CV_SOCK_WHY])
{
	struct cv_lan_options o = cv_lan_options_of(url, serves);
	struct cv_lan_port *p = calloc(1, sizeof *p);
	snprintf(why, CV_SOCK_WHY, "out of memory");
	if (!p)
		return NULL;
	p->loop = l;
	p->url = *url;
	p->serves = serves;
	p->kinds = o.kinds;
	p->user.input = input;
	p->user.changed = changed;
	cv_list_init(&p->links);
	p->link.ops = &port_ops;
	p->link.node = &l->node;
	p->link.cc = url->cc;
	p->link.up = cv_now();
	cv_list_init(&p->link.all);
	cv_list_init(&p->link.dirty);
	p->lan = cv_lan_open(l, &o, &p->user, why);
	if (p->lan)
		return p;
	free(p);
	return NULL;
}

struct cv_lan_port *cv_lan_port_listen(
	struct cv_loop *l, const struct cv_lanurl *url, char why[CV_SOCK_WHY])
{
	return port_new(l, url, true, why);
}

struct cv_lan_port *cv_lan_port_dialler(
	struct cv_loop *l, const struct cv_lanurl *url, char why[CV_SOCK_WHY])
{
	return port_new(l, url, false, why);
}

void cv_lan_port_pause(struct cv_lan_port *p)
{
	p->paused = true;
}

void cv_lan_port_unlisten(struct cv_lan_port *p)
{
	close_port(&p->link, "its port was closed");
	cv_lan_port_leave(p);
}

void cv_lan_port_leave(struct cv_lan_port *p)
{
	p->left = true;
	reap(p);
}
