/* SPDX-License-Identifier: MIT */
#include "unit/net.h"

#include "core/transport.h"
#include "unit/check.h"

enum { SPIN = 1000, IP_UDP = 28 };

/** struct net_link - where the peer is, for one session */
struct net_link {
	struct cv_link link;
	struct port *port;
	struct cv_list all;
};

static void queue(struct net *n, struct parcel *x)
{
	struct parcel **at = &n->first;
	while (*at && (*at)->at <= x->at)
		at = &(*at)->next;
	x->next = *at;
	*at = x;
}

static void post(struct port *from, const struct cv_addr *to, const uint8_t *p,
	size_t len)
{
	struct net *n = from->net;
	struct parcel *x = malloc(sizeof *x + len);
	assert_non_null(x);
	*x = (struct parcel){ .at = n->p->now + n->delay,
		.to = !from->side,
		.from = n->addr[from->side],
		.dest = *to,
		.len = len };
	memcpy(x->data, p, len);
	n->sent++;
	n->idle = 0;
	n->bytes[from->side] += len;
	if (len + IP_UDP > n->mtu || (n->fate && !n->fate(n, x))) {
		n->lost++;
		free(x);
		return;
	}
	queue(n, x);
}

/* --- links --- */

static void flush(struct cv_link *link, cv_time now)
{
	struct net_link *l = CV_CONTAINER(link, struct net_link, link);
	struct net *n = l->port->net;
	struct cv_node *node = &n->p->side[l->port->side].node;
	struct cv_train t;
	while (!link->blocked && cv_node_output_train(node, link, &t, now)) {
		const uint8_t *p = cv_buf_data(t.buf);
		assert_true(t.seg > 0 && t.buf->len > 0);
		if (t.seg + IP_UDP > n->device)
			cv_node_too_big(node, link, t.seg + IP_UDP, now);
		for (size_t at = 0; at < t.buf->len; at += t.seg) {
			size_t left = t.buf->len - at;
			if (t.seg + IP_UDP <= n->device)
				post(l->port, &t.to, p + at,
					left < t.seg ? left : t.seg);
		}
		cv_buf_free(&node->pool, t.buf);
	}
}

static void close_link(struct cv_link *link, const char *why)
{
	struct net_link *l = CV_CONTAINER(link, struct net_link, link);
	struct net *n = l->port->net;
	(void)why;
	cv_node_link_down(&n->p->side[l->port->side].node, link, n->p->now);
	cv_list_del(&l->all);
	free(l);
}

static const struct cv_link_ops link_ops = {
	.name = "net",
	.flush = flush,
	.close = close_link,
};

static struct net_link *new_link(struct port *port, const struct cv_addr *to)
{
	struct net_link *l = calloc(1, sizeof *l);
	assert_non_null(l);
	l->port = port;
	l->link.ops = &link_ops;
	l->link.port = &port->link;
	l->link.cc = port->net->cc;
	l->link.remote = *to;
	l->link.local = port->net->addr[port->side];
	l->link.mtu = port->net->said_mtu;
	cv_list_init(&l->all);
	cv_list_append(&port->net->links, &l->all);
	return l;
}

/* --- ports --- */

static struct cv_link *adopt(struct cv_link *link)
{
	struct port *port = CV_CONTAINER(link, struct port, link);
	struct pair *p = port->net->p;
	if (port->barren)
		return NULL;
	struct net_link *l = new_link(port, &link->remote);
	cv_node_link_up(&p->side[port->side].node, &l->link, NULL, p->now);
	return &l->link;
}

static void answer(struct cv_link *link, cv_time now)
{
	struct port *port = CV_CONTAINER(link, struct port, link);
	struct cv_node *node = &port->net->p->side[port->side].node;
	struct cv_bufq q = { 0 };
	struct cv_buf *b;
	cv_node_output(node, link, &q, CV_OUT_BYTES, now);
	while ((b = cv_bufq_pop(&q))) {
		post(port, &link->remote, cv_buf_data(b), b->len);
		cv_buf_free(&node->pool, b);
	}
}

static void close_port(struct cv_link *link, const char *why)
{
	(void)link;
	fail_msg("nobody closes a port: %s", why);
}

static const struct cv_link_ops port_ops = {
	.name = "net",
	.flags = CV_LINK_PORT,
	.flush = answer,
	.close = close_port,
	.adopt = adopt,
};

static void open_port(struct net *n, int side)
{
	struct port *port = &n->port[side];
	*port = (struct port){ .net = n, .side = side };
	port->link.ops = &port_ops;
	cv_node_link_up(&n->p->side[side].node, &port->link, NULL, n->p->now);
}

/* --- the net --- */

void net_init(struct net *n, struct pair *p)
{
	*n = (struct net){ .p = p,
		.delay = CV_MS(10),
		.mtu = CV_PACKET_MAX,
		.device = CV_PACKET_MAX,
		.said_mtu = 1500,
		.seed = 77 };
	cv_list_init(&n->links);
	for (int i = 0; i < 2; i++) {
		n->addr[i] = pair_client(2000u + ((unsigned)i << 16));
		open_port(n, i);
	}
}

struct net *net_new(bool plain)
{
	struct net *n = malloc(sizeof *n);
	assert_non_null(n);
	net_init(n, pair_new(plain));
	return n;
}

void net_hang_up(struct net *n, int side)
{
	struct cv_list *l = n->links.next, *next;
	for (; l != &n->links; l = next) {
		struct net_link *x = CV_CONTAINER(l, struct net_link, all);
		next = l->next;
		if (x->port->side == side)
			close_link(&x->link, "hung up");
	}
}

void net_clear(struct net *n)
{
	for (struct parcel *x; (x = n->first); free(x))
		n->first = x->next;
	for (int i = 0; i < 2; i++) {
		net_hang_up(n, i);
		if (n->port[i].link.node)
			cv_node_link_down(&n->p->side[i].node, &n->port[i].link,
				n->p->now);
	}
}

void net_free(struct net *n)
{
	net_clear(n);
	pair_free(n->p);
	free(n);
}

void net_restart(struct net *n, int side)
{
	net_hang_up(n, side);
	cv_node_link_down(
		&n->p->side[side].node, &n->port[side].link, n->p->now);
	pair_restart(n->p, side);
	open_port(n, side);
}

struct cv_link *net_dial(struct net *n)
{
	struct side *a = &n->p->side[A];
	struct net_link *l = new_link(&n->port[A], &n->addr[B]);
	cv_node_link_up(&a->node, &l->link, a->s, n->p->now);
	return &l->link;
}

void net_up(struct net *n)
{
	net_dial(n);
	net_run(n, n->p->now + 3 * n->delay);
	assert_true(cv_session_up(n->p->side[A].s));
}

void net_move(struct net *n, int side, bool same)
{
	struct cv_addr *a = &n->addr[side];
	a->port++;
	if (!same)
		a->ip[2]++;
}

static bool arrive(struct net *n)
{
	struct parcel *x = n->first;
	if (!x || x->at > n->p->now)
		return false;
	n->first = x->next;
	n->idle = 0;
	if (cv_addr_equal(&x->dest, &n->addr[x->to]))
		net_post(n, x->to, &x->from, x->data, x->len);
	else
		n->lost++;
	free(x);
	return true;
}

int net_post(struct net *n, int to, const struct cv_addr *from,
	const uint8_t *data, size_t len)
{
	struct port *port = &n->port[to];
	struct cv_node *node = &n->p->side[to].node;
	uint8_t *copy = malloc(len + 1);
	assert_non_null(copy);
	memcpy(copy, data, len);
	port->link.remote = *from;
	port->link.local = n->addr[to];
	int r = cv_node_input(node, &port->link, copy, len, n->p->now);
	if (port->link.replies.head)
		answer(&port->link, n->p->now);
	cv_node_input_done(node);
	free(copy);
	return r;
}

void net_settle(struct net *n)
{
	bool busy = true;
	while (busy) {
		busy = false;
		for (int i = 0; i < 2; i++)
			cv_node_flush(&n->p->side[i].node, n->p->now);
		while (arrive(n))
			busy = true;
		for (int i = 0; i < 2; i++) {
			cv_node_input_done(&n->p->side[i].node);
			busy |= cv_node_stirred(&n->p->side[i].node);
		}
	}
}

void net_run(struct net *n, cv_time until)
{
	struct pair *p = n->p;
	for (;;) {
		net_settle(n);
		cv_time t = n->first ? n->first->at : CV_NEVER;
		for (int i = 0; i < 2; i++)
			t = cv_earlier(t, cv_node_deadline(&p->side[i].node));
		if (t > until)
			break;
		/* a clock that is set again and again for nothing */
		n->idle = t >= p->now + CV_MS(1) ? 0 : n->idle + 1;
		assert_true(n->idle < SPIN);
		if (t > p->now)
			p->now = t;
		for (int i = 0; i < 2; i++)
			cv_node_tick(&p->side[i].node, p->now);
	}
	p->now = until;
	net_settle(n);
}

static struct cv_session *session(struct net *n, int side)
{
	struct side *x = &n->p->side[side];
	if (x->s)
		return x->s;
	assert_false(cv_list_empty(&x->node.sessions));
	return CV_CONTAINER(x->node.sessions.next, struct cv_session, all);
}

struct cv_transport *net_transport(struct net *n, int side)
{
	return session(n, side)->transport;
}

size_t net_seal(
	struct net *n, int side, const void *frames, size_t len, uint8_t *p)
{
	memmove(p + CV_DATA_HEAD, frames, len);
	return cv_session_seal(session(n, side), p, len);
}

int net_inject(struct net *n, int side, const void *frames, size_t len)
{
	static uint8_t p[CV_PACKET_MAX];
	size_t size = net_seal(n, side, frames, len, p);
	return net_post(n, !side, &n->addr[side], p, size);
}

int net_inject_frame(struct net *n, int side, const struct cv_frame *f)
{
	uint8_t bytes[CV_FRAME_SHORT];
	return net_inject(n, side, bytes, cv_frame_put(bytes, f));
}
