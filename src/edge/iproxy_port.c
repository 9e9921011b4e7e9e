/* SPDX-License-Identifier: MIT */
#include "edge/iproxy_port.h"

#include "loop/lan_options.h"
#include "loop/resolve.h"

#include <stdio.h>
#include <string.h>

enum { WAYS = 64, ANSWERS = 4 };

static void send_by(struct cv_iproxy_port *p, const struct cv_lan_way *way,
	uint8_t *bytes, size_t len)
{
	struct cv_frame f = {
		.data = bytes, .len = (uint32_t)len, .seg = (uint32_t)len
	};
	int e = cv_lan_send(p->lan, way, &f);
	if (e) /* it is sent again */
		p->loop->node.stats.drop[CV_DROP_UNREACHABLE]++;
}

static void resolved(
	void *user, const struct cv_addr *addr, unsigned n, const char *why)
{
	struct cv_iproxy_port *p = user;
	p->query = NULL;
	if (n)
		p->server = addr[0];
	else
		cv_log(&p->loop->node, CULVERT_WARN,
			"msg=\"cannot find server\" host=%s error=\"%s\"",
			p->host, why);
}

/* nothing if it is of one address */
static void cast(struct cv_iproxy_port *p, const struct cv_iproxy_packet *x,
	uint16_t port)
{
	struct cv_lan_way way[WAYS];
	uint8_t bytes[CV_IPROXY_MAX];
	size_t len = cv_iproxy_write(x, bytes);
	unsigned n = cv_lan_casts(p->lan, p->kinds, port, way, WAYS);
	for (unsigned i = 0; i < n; i++)
		send_by(p, &way[i], bytes, len);
}

void cv_iproxy_port_call(
	struct cv_iproxy_port *p, const struct cv_iproxy_packet *x)
{
	struct cv_lan_way way = { .kind = CV_LAN_UNICAST, .addr = p->server };
	uint8_t bytes[CV_IPROXY_MAX];
	way.addr.port = p->to;
	if (p->kinds)
		cast(p, x, p->to);
	else if (p->server.family)
		send_by(p, &way, bytes, cv_iproxy_write(x, bytes));
	else if (!p->query)
		p->query = cv_resolve(p->loop, p->host, resolved, p);
}

void cv_iproxy_port_answer(struct cv_iproxy_port *p,
	const struct cv_iproxy_packet *x, const struct cv_lan_way *from)
{
	struct cv_lan_way way[ANSWERS];
	uint8_t bytes[CV_IPROXY_MAX];
	size_t len = cv_iproxy_write(x, bytes);
	unsigned n = 0;
	if (p->kinds)
		n = cv_lan_answers(p->lan, from, false, way, ANSWERS);
	if (!n && !cv_addr_any(&from->addr)) { /* by the routes there are */
		way[n] = *from;
		way[n++].ifindex = 0;
	}
	for (unsigned i = 0; i < n; i++)
		send_by(p, &way[i], bytes, len);
}

void cv_iproxy_port_seek(struct cv_iproxy_port *p,
	const struct cv_iproxy_packet *x, const struct cv_lan_way *from)
{
	cv_iproxy_port_answer(p, x, from);
	cast(p, x, from->addr.port);
}

static bool input(struct cv_lan_user *user, const struct cv_lan_msg *m)
{
	struct cv_iproxy_port *p =
		CV_CONTAINER(user, struct cv_iproxy_port, user);
	const struct cv_frame *f = &m->train;
	struct cv_iproxy_packet x;
	bool ours = false;
	/* a server's own, or one that would have it speak to itself */
	bool echo = p->serves && m->way.addr.port == cv_lan_port(p->lan);
	for (uint32_t off = 0; off < f->len; off += f->seg) {
		uint32_t left = f->len - off;
		uint32_t len = left < f->seg ? left : f->seg;
		if (f->data[off]) /* none of culvert's begins with 0 */
			return ours;
		if (!echo && !cv_iproxy_read(&x, f->data + off, len)) {
			ours |= p->input(p, &x, &m->way);
			continue;
		}
		p->loop->node.stats.drop[CV_DROP_MALFORMED]++;
		ours = true; /* nobody else is to count it */
	}
	return ours;
}

/* iproxy+udp://: one address, and it is bound to it or asks it */
static int by_address(struct cv_iproxy_port *p, const struct cv_url *u,
	bool serves, struct cv_lan_options *o)
{
	p->to = u->port > 0 ? (uint16_t)u->port : CV_LAN_PORT;
	if (u->user && cv_url_number(u->user, &p->id))
		return CULVERT_EINVAL;
	snprintf(p->host, sizeof p->host, "%s", u->host);
	if (cv_url_addr(u, &p->server))
		p->server.family = CV_AF_NONE;
	if (serves && !cv_addr_any(&p->server))
		o->at = p->server;
	o->at.port = 0;
	return 0;
}

static int by_interface(struct cv_iproxy_port *p, const struct cv_url *u,
	bool serves, struct cv_lan_options *o)
{
	struct cv_lanurl l;
	const char *why;
	int err = cv_lanurl_parse(&l, u, &why);
	if (err)
		return err;
	*o = cv_lan_options_of(&l, serves);
	p->kinds = o->kinds;
	p->id = l.id;
	p->to = l.port ? l.port : CV_LAN_PORT;
	return 0;
}

int cv_iproxy_port_open(struct cv_iproxy_port *p, struct cv_loop *loop,
	const struct cv_url *u, bool serves, char why[CV_SOCK_WHY])
{
	struct cv_lan_options o = { .fallback = !serves };
	bool address = !strcmp(u->scheme, "iproxy+udp");
	int err = address ? by_address(p, u, serves, &o)
			  : by_interface(p, u, serves, &o);
	if (err) {
		snprintf(why, CV_SOCK_WHY, "not an address of iproxy");
		return err;
	}
	o.port = serves ? p->to : CV_LAN_ASKING;
	p->loop = loop;
	p->serves = serves;
	p->user.input = input;
	p->lan = cv_lan_open(loop, &o, &p->user, why);
	return p->lan ? 0 : CULVERT_ESYS;
}

void cv_iproxy_port_close(struct cv_iproxy_port *p)
{
	if (p->query)
		cv_resolve_cancel(p->query);
	p->query = NULL;
	cv_lan_close(p->lan, &p->user);
}
