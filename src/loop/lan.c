/* SPDX-License-Identifier: MIT */
#include "loop/lan.h"

#include "loop/ifaces.h"
#include "loop/lan_frame.h"
#include "loop/lan_sock.h"
#include "loop/netlink.h"
#include "loop/udp_io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
	SLOTS = 16, /* trains of one read */
	/* what the kernel drops when its sender has no address: to be heard by
	   a packet socket */
	FRAMES = 1 << CV_LAN_FRAMECAST | 1 << CV_LAN_MULTICAST4,
};

/* switches that listen to memberships forget them after 260 s without a
   querier */
#define REJOIN 120.

struct cv_lan {
	struct cv_list all; /* of the loop */
	struct cv_loop *loop;
	struct cv_lan_options o;
	struct cv_udp_sock v4, v6, frames; /* fd -1: none */
	struct cv_ifaces ifaces;
	struct cv_moves moves;
	struct cv_list users;
	ev_timer rejoin;
	bool busy;   /* input is being worked off */
	bool single; /* the kernel does not cut trains here */
};

/* --- groups --- */

static bool sends(const struct cv_lan *l, enum cv_lan_kind kind)
{
	return l->o.kinds >> kind & 1;
}

static bool wanted(const struct cv_lan *l, const struct cv_iface *i)
{
	return !*l->o.ifname || !strcmp(l->o.ifname, i->name);
}

static void member4(
	const struct cv_lan *l, const struct cv_iface *i, int option)
{
	struct ip_mreqn m = { .imr_ifindex = (int)i->index };
	memcpy(&m.imr_multiaddr, l->o.group4.ip, 4);
	if (!setsockopt(l->v4.io.fd, IPPROTO_IP, option, &m, sizeof m) ||
		errno != ENOBUFS)
		return;
	cv_log(&l->loop->node, CULVERT_WARN,
		"msg=\"no more memberships: raise "
		"net.ipv4.igmp_max_memberships\" interface=%s",
		i->name);
}

static void member6(
	const struct cv_lan *l, const struct cv_iface *i, int option)
{
	struct ipv6_mreq m = { .ipv6mr_interface = i->index };
	memcpy(&m.ipv6mr_multiaddr, l->o.group6.ip, 16);
	setsockopt(l->v6.io.fd, IPPROTO_IPV6, option, &m, sizeof m);
}

/* again where we were: what changed may have been a tentative address, from
   which a report is ignored */
static void join(const struct cv_lan *l)
{
	for (unsigned k = 0; k < l->ifaces.n; k++) {
		const struct cv_iface *i = &l->ifaces.iface[k];
		if (!wanted(l, i))
			continue;
		if (l->v4.io.fd >= 0 && sends(l, CV_LAN_MULTICAST4)) {
			member4(l, i, IP_DROP_MEMBERSHIP);
			member4(l, i, IP_ADD_MEMBERSHIP);
		}
		if (l->v6.io.fd >= 0 && sends(l, CV_LAN_MULTICAST6)) {
			member6(l, i, IPV6_LEAVE_GROUP);
			member6(l, i, IPV6_JOIN_GROUP);
		}
	}
}

static void on_rejoin(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	join(w->data);
}

static void moved(struct cv_moves *m)
{
	struct cv_lan *l = CV_CONTAINER(m, struct cv_lan, moves);
	struct cv_list *next;
	if (cv_ifaces_read(&l->ifaces))
		return;
	join(l);
	for (struct cv_list *i = l->users.next; i != &l->users; i = next) {
		struct cv_lan_user *u =
			CV_CONTAINER(i, struct cv_lan_user, list);
		next = i->next;
		if (u->changed)
			u->changed(u);
	}
}

/* --- in --- */

static void offer(struct cv_lan *l, const struct cv_lan_msg *m)
{
	struct cv_list *next;
	const struct cv_iface *i = cv_ifaces_at(&l->ifaces, m->way.ifindex);
	if (*l->o.ifname && (!i || !wanted(l, i)))
		return;
	for (struct cv_list *k = l->users.next; k != &l->users; k = next) {
		struct cv_lan_user *u =
			CV_CONTAINER(k, struct cv_lan_user, list);
		next = k->next;
		if (u->input(u, m))
			return;
	}
}

static bool is_group(const struct cv_addr *to)
{
	return to->ip[0] >= (to->family == CV_AF_INET6 ? 0xff : 0xe0);
}

static void datagram(struct cv_lan *l, const struct cv_udp_msg *u)
{
	struct cv_lan_msg m = { .train = u->train,
		.way = { .ifindex = u->ifindex, .kind = CV_LAN_UNICAST },
		.cast = is_group(&u->to) };
	cv_sock_from(u->from, &m.way.addr);
	/* it comes as a frame too, which says more */
	if (m.cast && l->frames.io.fd >= 0 && u->to.family == CV_AF_INET)
		return;
	offer(l, &m);
}

static void frame(struct cv_lan *l, const struct cv_udp_msg *u)
{
	struct cv_lan_msg m = { .way = { .kind = CV_LAN_FRAME }, .cast = true };
	struct cv_lan_station s;
	if (!cv_lan_frame_station(u->from, &s) ||
		!cv_lan_frame_parse(
			u->train.data, u->train.len, &m.train, &m.way.addr))
		return;
	m.way.ifindex = s.ifindex;
	memcpy(m.way.mac, s.mac, sizeof s.mac);
	offer(l, &m);
}

static void destroy(struct cv_lan *l);

static void read_all(struct cv_lan *l, struct cv_udp_sock *s,
	void (*one)(struct cv_lan *, const struct cv_udp_msg *))
{
	cv_time end = cv_now() + CV_TURN;
	struct cv_udp_msg m;
	unsigned n;
	l->busy = true;
	do {
		n = cv_udp_read(s, SLOTS);
		for (unsigned i = 0; i < n; i++) {
			cv_udp_msg(s, i, &m);
			one(l, &m);
		}
		cv_node_input_done(&l->loop->node);
	} while (n == SLOTS && cv_now() < end);
	l->busy = false;
	if (cv_list_empty(&l->users))
		destroy(l);
}

static void on_v4(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_udp_sock *s = w->data;
	(void)ev;
	(void)events;
	read_all(CV_CONTAINER(s, struct cv_lan, v4), s, datagram);
}

static void on_v6(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_udp_sock *s = w->data;
	(void)ev;
	(void)events;
	read_all(CV_CONTAINER(s, struct cv_lan, v6), s, datagram);
}

static void on_frames(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_udp_sock *s = w->data;
	(void)ev;
	(void)events;
	read_all(CV_CONTAINER(s, struct cv_lan, frames), s, frame);
}

/* --- out --- */

static int write_udp(
	struct cv_lan *l, const struct cv_lan_way *w, struct cv_frame *train)
{
	struct cv_addr from = { .family = w->addr.family, .scope = w->ifindex };
	int fd = w->addr.family == CV_AF_INET6 ? l->v6.io.fd : l->v4.io.fd;
	int e = 0;
	if (fd < 0)
		return EAFNOSUPPORT;
	/* packet sockets would hear a train that was not cut yet as one */
	bool whole = !l->single && w->kind == CV_LAN_UNICAST;
	while (train->len && (!e || e == EINTR)) {
		bool many = train->len > train->seg;
		if (!many || whole)
			e = cv_udp_write(fd, &w->addr, &from, train);
		if (many && (!whole || e == EIO || e == EINVAL))
			e = cv_udp_write_each(fd, &w->addr, &from, train);
	}
	return e;
}

static int write_frames(
	struct cv_lan *l, const struct cv_lan_way *w, struct cv_frame *train)
{
	struct cv_lan_station s = { .ifindex = w->ifindex };
	int e = 0;
	if (l->frames.io.fd < 0)
		return EPERM;
	if (w->kind == CV_LAN_FRAMECAST)
		memset(s.mac, 0xff, sizeof s.mac);
	else
		memcpy(s.mac, w->mac, sizeof s.mac);
	while (train->len && (!e || e == EINTR))
		e = cv_lan_frame_send(
			l->frames.io.fd, &s, l->o.port, w->addr.port, train);
	return e;
}

int cv_lan_send(
	struct cv_lan *l, const struct cv_lan_way *w, struct cv_frame *train)
{
	bool whole = w->kind == CV_LAN_FRAME || w->kind == CV_LAN_FRAMECAST;
	return whole ? write_frames(l, w, train) : write_udp(l, w, train);
}

/* --- sockets --- */

static void watch(struct cv_lan *l, struct cv_udp_sock *s, int fd,
	void (*readable)(struct ev_loop *, ev_io *, int))
{
	cv_udp_watch(s, l->loop->udp, fd, readable);
}

/* the port that the first one got is the second one's too */
static uint16_t port_of(int fd)
{
	struct cv_addr local = { 0 }, remote;
	cv_sock_ends(fd, &local, &remote);
	return local.port;
}

/* what the kernel would put together for our socket of UDP the packet socket
   hears too, and is not told where to cut it */
static void hear_frames(struct cv_lan *l)
{
	int fd = cv_lan_frame_socket(l->o.port);
	if (fd < 0)
		return;
	cv_sock_buffer(fd, true, CV_UDP_BUFFER);
	watch(l, &l->frames, fd, on_frames);
	if (l->v4.io.fd >= 0)
		cv_sock_int(l->v4.io.fd, IPPROTO_UDP, UDP_GRO, 0);
}

static int open_sockets(struct cv_lan *l)
{
	bool needs4 = sends(l, CV_LAN_BROADCAST) || sends(l, CV_LAN_MULTICAST4);
	int fd = cv_lan_sock4(&l->o), e = errno, fd6;
	if (fd < 0 && e == EADDRINUSE && l->o.fallback) {
		l->o.port = 0;
		fd = cv_lan_sock4(&l->o);
	}
	if (fd < 0 && (needs4 || e == EADDRINUSE))
		return -1;
	if (fd >= 0) {
		l->o.port = port_of(fd);
		watch(l, &l->v4, fd, on_v4);
	}
	fd6 = cv_lan_sock6(&l->o);
	if (fd6 >= 0)
		watch(l, &l->v6, fd6, on_v6);
	else if (fd < 0 || (errno == EADDRINUSE && !l->o.fallback))
		return -1;
	if (l->o.kinds & FRAMES)
		hear_frames(l);
	return 0;
}

static void close_sock(struct cv_udp_sock *s)
{
	if (s->io.fd >= 0)
		cv_udp_stop(s);
	s->io.fd = -1;
}

static void destroy(struct cv_lan *l)
{
	cv_list_del(&l->all);
	cv_moves_leave(l->loop, &l->moves);
	ev_timer_stop(l->loop->ev, &l->rejoin);
	close_sock(&l->v4);
	close_sock(&l->v6);
	close_sock(&l->frames);
	free(l);
}

static struct cv_lan *create(
	struct cv_loop *loop, const struct cv_lan_options *o)
{
	struct cv_lan *l = loop->udp ? calloc(1, sizeof *l) : NULL;
	if (!l)
		return NULL;
	l->loop = loop;
	l->o = *o;
	l->o.kinds |= 1 << CV_LAN_UNICAST;
	cv_list_init(&l->users);
	l->v4.io.fd = l->v6.io.fd = l->frames.io.fd = -1;
	l->moves.moved = moved;
	ev_timer_init(&l->rejoin, on_rejoin, REJOIN, REJOIN);
	l->rejoin.data = l;
	cv_list_init(&l->all);
	cv_list_append(&loop->lans, &l->all);
	cv_moves_watch(loop, &l->moves);
	return l;
}

static bool same(const struct cv_lan *l, const struct cv_lan_options *o)
{
	return l->o.port == o->port && cv_addr_equal(&l->o.at, &o->at) &&
	       !strcmp(l->o.ifname, o->ifname);
}

static struct cv_lan *find(struct cv_loop *loop, const struct cv_lan_options *o)
{
	for (struct cv_list *i = loop->lans.next; i != &loop->lans; i = i->next)
		if (same(CV_CONTAINER(i, struct cv_lan, all), o))
			return CV_CONTAINER(i, struct cv_lan, all);
	return NULL;
}

/* a port has one group of each family, and one TTL */
static bool agree(const struct cv_lan *l, const struct cv_lan_options *o)
{
	unsigned both = l->o.kinds & o->kinds;
	bool m4 = both >> CV_LAN_MULTICAST4 & 1;
	bool m6 = both >> CV_LAN_MULTICAST6 & 1;
	bool any = o->kinds & (1 << CV_LAN_MULTICAST4 | 1 << CV_LAN_MULTICAST6);
	return (!m4 || cv_addr_same_ip(&l->o.group4, &o->group4)) &&
	       (!m6 || cv_addr_same_ip(&l->o.group6, &o->group6)) &&
	       (!any || l->o.hops == o->hops);
}

/* a port is the same for all its users: what one of them wants, all get */
static void widen(struct cv_lan *l, const struct cv_lan_options *o)
{
	bool frames = o->kinds & FRAMES && !(l->o.kinds & FRAMES);
	if (!sends(l, CV_LAN_MULTICAST4))
		l->o.group4 = o->group4;
	if (!sends(l, CV_LAN_MULTICAST6))
		l->o.group6 = o->group6;
	l->o.kinds |= o->kinds;
	if (frames)
		hear_frames(l);
	join(l);
}

static struct cv_lan_options complete(const struct cv_lan_options *o)
{
	struct cv_lan_options all = *o;
	if (!o->group4.family)
		cv_addr_parse_ip(CV_LAN_GROUP4, &all.group4);
	if (!o->group6.family)
		cv_addr_parse_ip(CV_LAN_GROUP6, &all.group6);
	return all;
}

struct cv_lan *cv_lan_open(struct cv_loop *loop,
	const struct cv_lan_options *asked, struct cv_lan_user *user,
	char why[CV_SOCK_WHY])
{
	struct cv_lan_options all = complete(asked), *o = &all;
	struct cv_lan *l = find(loop, o);
	cv_list_init(&user->list);
	if (l && !agree(l, o)) {
		snprintf(why, CV_SOCK_WHY,
			"the same port with another group or TTL is in use "
			"here");
		return NULL;
	}
	if (l) {
		widen(l, o);
		cv_list_append(&l->users, &user->list);
		return l;
	}
	l = create(loop, o);
	if (!l || open_sockets(l)) {
		snprintf(why, CV_SOCK_WHY, "%s", strerror(l ? errno : ENOMEM));
		if (l)
			destroy(l);
		return NULL;
	}
	cv_ifaces_read(&l->ifaces);
	join(l);
	ev_timer_start(loop->ev, &l->rejoin);
	cv_list_append(&l->users, &user->list);
	return l;
}

void cv_lan_close(struct cv_lan *l, struct cv_lan_user *user)
{
	cv_list_del(&user->list);
	if (cv_list_empty(&l->users) && !l->busy)
		destroy(l);
}

/* --- what there is --- */

struct cv_loop *cv_lan_loop(const struct cv_lan *l)
{
	return l->loop;
}

uint16_t cv_lan_port(const struct cv_lan *l)
{
	return l->o.port;
}

bool cv_lan_frames(const struct cv_lan *l)
{
	return l->frames.io.fd >= 0;
}

const struct cv_ifaces *cv_lan_ifaces(const struct cv_lan *l)
{
	return &l->ifaces;
}

/* being filled in */
struct casts {
	struct cv_lan_way *out;
	unsigned n, max;
	uint16_t port;
};

static void add(struct casts *c, const struct cv_iface *i,
	enum cv_lan_kind kind, const char *group)
{
	struct cv_lan_way *w = &c->out[c->n];
	if (c->n == c->max)
		return;
	*w = (struct cv_lan_way){ .ifindex = i->index, .kind = (uint8_t)kind };
	cv_addr_parse_ip(group, &w->addr);
	w->addr.port = c->port;
	if (w->addr.family == CV_AF_INET6)
		w->addr.scope = i->index;
	c->n++;
}

static void add_group(struct casts *c, const struct cv_iface *i,
	enum cv_lan_kind kind, const struct cv_addr *group)
{
	unsigned n = c->n;
	add(c, i, kind, "::");
	if (n == c->n)
		return;
	uint32_t scope = group->family == CV_AF_INET6 ? i->index : 0;
	c->out[n].addr = *group;
	c->out[n].addr.port = c->port;
	c->out[n].addr.scope = scope;
}

static void add_casts(const struct cv_lan *l, unsigned kinds,
	const struct cv_iface *i, struct casts *c)
{
	bool hosts = kinds & CV_LAN_HOSTS;
	bool v6 = l->v6.io.fd >= 0 && cv_iface_has(i, CV_AF_INET6);
	bool v4 = l->v4.io.fd >= 0;
	if (v6 && kinds >> CV_LAN_MULTICAST6 & 1) {
		add_group(c, i, CV_LAN_MULTICAST6, &l->o.group6);
		if (hosts)
			add(c, i, CV_LAN_MULTICAST6, "ff02::1");
	}
	if (v4 && kinds >> CV_LAN_BROADCAST & 1)
		add(c, i, CV_LAN_BROADCAST, "255.255.255.255");
	if (v4 && kinds >> CV_LAN_MULTICAST4 & 1) {
		add_group(c, i, CV_LAN_MULTICAST4, &l->o.group4);
		if (hosts)
			add(c, i, CV_LAN_MULTICAST4, "224.0.0.1");
	}
	if (l->frames.io.fd >= 0 && i->ethernet &&
		kinds >> CV_LAN_FRAMECAST & 1)
		add(c, i, CV_LAN_FRAMECAST, "255.255.255.255");
}

unsigned cv_lan_casts(const struct cv_lan *l, unsigned kinds, uint16_t port,
	struct cv_lan_way *out, unsigned max)
{
	struct casts c = { .out = out, .max = max, .port = port };
	for (unsigned k = 0; k < l->ifaces.n; k++)
		if (wanted(l, &l->ifaces.iface[k]))
			add_casts(l, kinds & (l->o.kinds | CV_LAN_HOSTS),
				&l->ifaces.iface[k], &c);
	return c.n;
}

bool cv_lan_usable(const struct cv_lan *l, const struct cv_lan_way *w)
{
	const struct cv_iface *i = cv_ifaces_at(&l->ifaces, w->ifindex);
	if (!i || !wanted(l, i))
		return false;
	if (w->kind != CV_LAN_UNICAST)
		return w->kind != CV_LAN_FRAME || l->frames.io.fd >= 0;
	return !cv_addr_any(&w->addr) && cv_iface_onlink(i, &w->addr);
}

unsigned cv_lan_answers(const struct cv_lan *l, const struct cv_lan_way *from,
	bool loud, struct cv_lan_way *out, unsigned max)
{
	const struct cv_iface *i = cv_ifaces_at(&l->ifaces, from->ifindex);
	struct casts c = { .out = out, .max = max, .port = from->addr.port };
	if (!i || !wanted(l, i))
		return 0;
	if (cv_lan_usable(l, from) && max)
		out[c.n++] = *from;
	if (!c.n || (loud && from->kind == CV_LAN_FRAME))
		add_casts(l, 1 << CV_LAN_BROADCAST | 1 << CV_LAN_FRAMECAST, i,
			&c);
	return c.n;
}

const char *cv_lan_ifname(const struct cv_lan *l, uint32_t ifindex)
{
	const struct cv_iface *i = cv_ifaces_at(&l->ifaces, ifindex);
	return i ? i->name : "?";
}

const char *cv_lan_kind_name(enum cv_lan_kind kind)
{
	static const char *const names[CV_LAN_KINDS] = { "unicast", "frame",
		"multicast6", "broadcast", "multicast4", "framecast" };
	return names[kind];
}
