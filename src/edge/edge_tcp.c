/* SPDX-License-Identifier: MIT */
/**
 * edge_tcp.c - local connections in, each a flow
 *
 * DOC: The flow is opened as soon as a connection is accepted, and what the
 * client has sent by then is read at once, so that the request for a flow and
 * its first bytes share a packet.  The peer's answer is not waited for: how
 * much may be sent before it comes, the session decides.
 */
#include "edge/edge_tcp.h"

#include "edge/greeter.h"
#include "edge/tcp_end.h"
#include "loop/accept.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* programs connect in bursts, and wait a second if there is no room */
enum { BACKLOG = 1024 };

struct conn {
	struct cv_tcp_end tcp;
	char target[]; /* the route's, with the client's address; or "" */
};

struct cv_tcp_port {
	struct cv_tcp_ends set;
	struct cv_accept accept;
	struct cv_greeter greeter;
	struct cv_tcp_route route;
	bool telling; /* the peer is to be told of clients */
	bool accepting;
};

static void gone(struct cv_tcp_end *tcp)
{
	if (tcp->end)
		cv_end_flow(tcp->end)->target = "";
	free(CV_CONTAINER(tcp, struct conn, tcp));
}

static const struct cv_edge_ops ops = {
	.name = "tcp",
	.flush = cv_tcp_end_flush,
	.close = cv_tcp_end_close,
	.stream = cv_tcp_end_stream,
	.resume = cv_tcp_end_resume,
};

static struct conn *new_conn(
	const struct cv_tcp_port *p, const struct cv_addr *from)
{
	size_t size = p->telling ? sizeof p->route.target : 1;
	struct conn *c = calloc(1, sizeof *c + size);
	char at[CV_ADDRTEXT];
	if (!c || !p->telling)
		return c;
	int n = snprintf(c->target, size, "%s&client=%s", p->route.target,
		cv_addr_format(from, at));
	if (n < (int)size)
		return c;
	free(c);
	return NULL;
}

static struct conn *open_conn(struct cv_tcp_port *p, const struct cv_addr *from,
	const struct cv_addr *to, cv_time now)
{
	struct cv_opening o = {
		.kind = CV_KIND_STREAM,
		.edge = &p->set.edge,
		.src = *from,
		.dst = *to,
		.session = p->route.via,
		.far = p->route.far,
		.target = p->route.target,
	};
	struct conn *c = new_conn(p, from);
	if (c && p->telling)
		o.target = c->target;
	struct cv_flow *f =
		c ? cv_node_open(&p->set.loop->node, &o, now) : NULL;
	if (!f) {
		free(c);
		return NULL;
	}
	cv_tcp_end_init(&c->tcp, &p->set, &f->end[0]);
	return c;
}

static void no_room(struct cv_tcp_port *p, int fd, const struct cv_addr *from)
{
	struct cv_node *n = &p->set.loop->node;
	char at[CV_ADDRTEXT];
	n->stats.drop[CV_DROP_FLOW_LIMIT]++;
	cv_log(n, CULVERT_WARN,
		"msg=\"connection refused\" from=%s "
		"reason=\"no room for another flow\"",
		cv_addr_format(from, at));
	cv_tcp_reset(fd);
}

static void begin(struct cv_tcp_port *p, int fd, const struct cv_addr *client)
{
	struct cv_addr from = { 0 }, to = { 0 };
	cv_sock_ends(fd, &to, &from);
	if (client && client->family)
		from = *client;
	if (!from.family) { /* it was reset before it was accepted */
		close(fd);
		return;
	}
	struct conn *c = open_conn(p, &from, &to, cv_now());
	if (!c) {
		no_room(p, fd, &from);
		return;
	}
	cv_tcp_end_up(&c->tcp, fd);
	cv_tcp_end_read(&c->tcp);
}

static void greeted(struct cv_greeter *g, int fd, const struct cv_addr *client)
{
	begin(CV_CONTAINER(g, struct cv_tcp_port, greeter), fd, client);
}

static void accepted(struct cv_accept *a, int fd)
{
	struct cv_tcp_port *p = CV_CONTAINER(a, struct cv_tcp_port, accept);
	if (p->route.proxied)
		cv_greeter_take(&p->greeter, fd);
	else
		begin(p, fd, NULL);
}

struct cv_tcp_port *cv_tcp_port_listen(
	struct cv_loop *loop, const struct cv_url *url, char why[CV_SOCK_WHY])
{
	struct cv_addr at = { 0 };
	struct cv_tcp_port *p = calloc(1, sizeof *p);
	*why = '\0';
	if (!p || cv_url_addr(url, &at))
		goto fail;
	p->accept.accepted = accepted;
	if (cv_accept_start(&p->accept, loop, &at, url, why))
		goto fail;
	listen(p->accept.io.fd, BACKLOG);
	cv_tcp_ends_init(&p->set, loop);
	p->set.edge.ops = &ops;
	p->set.gone = gone;
	cv_greeter_init(&p->greeter, loop);
	p->greeter.greeted = greeted;
	p->accepting = true;
	return p;
fail:;
	int e = errno;
	free(p);
	errno = e;
	return NULL;
}

static void close_flows(struct cv_tcp_port *p)
{
	cv_greeter_clear(&p->greeter);
	cv_node_close_edge(&p->set.loop->node, &p->set.edge, NULL, cv_now());
}

void cv_tcp_port_route(struct cv_tcp_port *p, const struct cv_tcp_route *r)
{
	if (p->route.via == r->via && p->route.far == r->far &&
		p->route.proxied == r->proxied &&
		!strcmp(p->route.target, r->target))
		return;
	close_flows(p);
	p->route = *r;
	p->telling = strstr(r->target, "proxy=v2") != NULL;
}

void cv_tcp_port_pause(struct cv_tcp_port *p)
{
	if (p->accepting)
		cv_accept_stop(&p->accept);
	p->accepting = false;
	cv_greeter_clear(&p->greeter);
}

void cv_tcp_port_close(struct cv_tcp_port *p)
{
	cv_tcp_port_pause(p);
	close_flows(p);
	cv_tcp_ends_clear(&p->set);
	free(p);
}
