/* SPDX-License-Identifier: MIT */
/**
 * link_udp.c - one socket carries the packets of many peers
 *
 * DOC: Packets are worked off in the slots they were read into, one at a time:
 * what the node has to say to a stranger leaves before the next comes in.  A
 * link sends trains, as many as the node gives; one that the socket does not
 * take is kept, because it is sealed and counted as sent, and goes first when
 * the socket takes bytes again.
 */
#include "link/link_udp.h"

#include "core/cc.h"
#include "core/wire.h"
#include "loop/udp_io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
	SLOTS = 16, /* trains of one read: little enough to stop in time */
	MTU = 1500, /* of an interface that does not say */
	MTU_MAX = 9216,
};

#define AGAIN CV_SEC(60) /* the same complaint is worth a line */

struct cv_port {
	struct cv_link link; /* nobody's: see link.h */
	struct cv_loop *loop;
	struct cv_udp_sock sock;
	ev_io writable; /* while a link is blocked */
	struct cv_addr at;
	struct cv_url url;
	struct cv_list links;
	int rx_buffer, tx_buffer; /* granted, bytes */
	bool single;              /* the kernel does not cut trains */
	bool paused;              /* hears no new handshakes */
	bool left;                /* goes with its last link */
	bool busy;                /* input is being worked off */
	cv_time said;             /* when it last complained; 0: never */
};

struct udp {
	struct cv_link link;
	struct cv_port *port;
	struct cv_list all;
	struct cv_train kept; /* the socket did not take it; buf NULL: none */
	struct cv_addr addr[CV_PORT_ADDRS];
	unsigned addrs, tries;
};

static const struct cv_link_ops link_ops;

static struct udp *udp_of(struct cv_link *link)
{
	return CV_CONTAINER(link, struct udp, link);
}

struct cv_port *cv_port_of(const struct cv_link *link)
{
	return link->ops != &link_ops
		       ? NULL
		       : CV_CONTAINER(link, const struct udp, link)->port;
}

/* --- the MTU of the interface on the way to a peer --- */

static uint32_t ask_mtu(int fd, bool v6)
{
	int mtu = 0;
	socklen_t len = sizeof mtu;
	if (getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		    v6 ? IPV6_MTU : IP_MTU, &mtu, &len) ||
		mtu <= 0)
		return MTU;
	return mtu < MTU_MAX ? (uint32_t)mtu : MTU_MAX;
}

static uint32_t mtu_to(const struct cv_port *p, const struct cv_addr *to)
{
	char why[CV_SOCK_WHY];
	struct sockaddr_storage ss;
	socklen_t len = cv_sock_addr(to, &ss);
	int fd = cv_sock_dgram(to, &p->url, why);
	uint32_t mtu = MTU;
	if (fd < 0)
		return MTU;
	if (!connect(fd, (struct sockaddr *)&ss, len))
		mtu = ask_mtu(fd, to->family == CV_AF_INET6);
	close(fd);
	return mtu;
}

void cv_port_moved(struct cv_port *p)
{
	for (struct cv_list *l = p->links.next; l != &p->links; l = l->next) {
		struct udp *u = CV_CONTAINER(l, struct udp, all);
		u->link.mtu = mtu_to(p, &u->link.remote);
	}
}

/* --- packets out --- */

static void complain(struct cv_port *p, const struct cv_addr *to, int error)
{
	char at[CV_ADDRTEXT];
	cv_time now = cv_now();
	bool again = p->said && now - p->said < AGAIN;
	if (!again)
		p->said = now;
	cv_log(&p->loop->node, again ? CULVERT_DEBUG : CULVERT_WARN,
		"msg=\"cannot send\" link=udp://%s error=\"%s\"",
		cv_addr_format(to, at), strerror(error));
}

static enum cv_drop drop_of(int error)
{
	switch (error) {
	case ENOBUFS:
	case ENOMEM:
		return CV_DROP_SOCKET_FULL;
	case EADDRNOTAVAIL:
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case ENETDOWN:
	case ENETUNREACH:
		return CV_DROP_UNREACHABLE;
	default:
		return CV_DROP_SOCKET;
	}
}

/* where it is said to come from; NULL: wherever the system says */
static const struct cv_addr *source(const struct cv_addr *from)
{
	return from->family && !cv_addr_any(from) ? from : NULL;
}

static bool cannot_cut(int error)
{
	return error == EIO || error == EINVAL || error == EOPNOTSUPP;
}

static void no_cutting(struct cv_port *p, int error)
{
	p->single = true;
	cv_log(&p->loop->node, CULVERT_INFO,
		"msg=\"the system does not segment datagrams here: each is "
		"sent by itself\" error=\"%s\"",
		strerror(error));
}

/* what one call takes of @f; 0, or an errno with nothing of it sent */
static int write_some(struct cv_port *p, const struct cv_train *t,
	const struct cv_addr *from, struct cv_frame *f)
{
	int fd = p->sock.io.fd;
	bool one = f->len <= f->seg;
	if (p->single && !one)
		return cv_udp_write_each(fd, &t->to, from, f);
	int e = cv_udp_write(fd, &t->to, from, f);
	if (one || !cannot_cut(e))
		return e;
	int each = cv_udp_write_each(fd, &t->to, from, f);
	/* otherwise it was not about the cutting */
	if (!each)
		no_cutting(p, e);
	return each;
}

static bool may_be_source(int error)
{
	return error == EINVAL || drop_of(error) == CV_DROP_UNREACHABLE;
}

/* 0, or an errno; what was sent is taken off the train */
static int write_train(struct cv_port *p, struct cv_train *t)
{
	const struct cv_addr *from = source(&t->from);
	struct cv_buf *b = t->buf;
	struct cv_frame f = {
		.data = cv_buf_data(b), .len = b->len, .seg = t->seg
	};
	int e = 0;
	while (f.len && (!e || e == EINTR)) {
		e = write_some(p, t, from, &f);
		if (from && may_be_source(e)) {
			/* the address is not this machine's any more */
			from = NULL;
			e = 0;
		}
	}
	b->off += b->len - f.len;
	b->len = f.len;
	return e;
}

static void on_writable(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_port *p = w->data;
	(void)events;
	ev_io_stop(ev, w);
	for (struct cv_list *l = p->links.next; l != &p->links; l = l->next) {
		struct udp *u = CV_CONTAINER(l, struct udp, all);
		if (u->link.blocked)
			cv_node_writable(&p->loop->node, &u->link);
	}
}

static void keep(struct udp *u, const struct cv_train *t)
{
	u->kept = *t;
	u->link.blocked = true;
	ev_io_start(u->port->loop->ev, &u->port->writable);
}

static void drop(struct udp *u, const struct cv_train *t, int error)
{
	struct cv_node *node = &u->port->loop->node;
	node->stats.drop[drop_of(error)] += (t->buf->len + t->seg - 1) / t->seg;
	complain(u->port, &t->to, error);
}

/* false: the socket takes no more */
static bool send_train(struct udp *u, struct cv_train *t, cv_time now)
{
	struct cv_node *node = &u->port->loop->node;
	int e = write_train(u->port, t);
	if (e == EAGAIN) {
		keep(u, t);
		return false;
	}
	if (e == EMSGSIZE)
		cv_node_too_big(node, &u->link,
			t->buf->len < t->seg ? t->buf->len : t->seg, now);
	else if (e)
		drop(u, t, e);
	cv_buf_free(&node->pool, t->buf);
	return true;
}

static bool is_initiation(const uint8_t *p)
{
	return *p == CV_PACKET_INIT || *p == CV_PACKET_PLAIN_INIT;
}

/* nobody has answered yet: each handshake goes to the next address */
static void try_next(struct udp *u, struct cv_train *t)
{
	if (u->addrs < 2 || u->link.trusted ||
		!is_initiation(cv_buf_data(t->buf)))
		return;
	u->link.remote = u->addr[u->tries++ % u->addrs];
	u->link.mtu = mtu_to(u->port, &u->link.remote);
	t->to = u->link.remote;
}

static void flush(struct cv_link *link, cv_time now)
{
	struct udp *u = udp_of(link);
	struct cv_node *node = &u->port->loop->node;
	struct cv_train t = u->kept;
	u->kept.buf = NULL;
	if (t.buf && !send_train(u, &t, now))
		return;
	while (cv_node_output_train(node, link, &t, now)) {
		try_next(u, &t);
		if (!send_train(u, &t, now))
			return;
	}
}

/* what is to be said to whoever sent the packet that is being worked off */
static void answer(struct cv_link *link, cv_time now)
{
	struct cv_port *p = CV_CONTAINER(link, struct cv_port, link);
	struct cv_node *node = &p->loop->node;
	struct cv_bufq got = { 0 };
	cv_node_output(node, link, &got, CV_OUT_BYTES, now);
	for (struct cv_buf *b; (b = cv_bufq_pop(&got));) {
		struct cv_train t = { .buf = b,
			.seg = b->len,
			.to = link->remote,
			.from = link->local };
		int e = write_train(p, &t);
		if (e)
			node->stats.drop[e == EAGAIN ? CV_DROP_SOCKET_FULL
						     : drop_of(e)]++;
		cv_buf_free(&node->pool, b);
	}
	cv_list_del(&link->dirty);
}

/* --- ports --- */

static void destroy(struct cv_port *p)
{
	ev_io_stop(p->loop->ev, &p->writable);
	cv_udp_stop(&p->sock);
	cv_node_link_down(&p->loop->node, &p->link, cv_now());
	free(p);
}

/* nobody needs it any more */
static void reap(struct cv_port *p)
{
	if (p->left && !p->busy && cv_list_empty(&p->links))
		destroy(p);
}

static void close_port(struct cv_link *link, const char *why)
{
	struct cv_port *p = CV_CONTAINER(link, struct cv_port, link);
	bool busy = p->busy;
	p->busy = true;
	while (!cv_list_empty(&p->links)) {
		struct udp *u = CV_CONTAINER(p->links.next, struct udp, all);
		u->link.ops->close(&u->link, why);
	}
	p->busy = busy;
}

static void log_down(struct udp *u, const char *why)
{
	char at[CV_ADDRTEXT];
	struct cv_session *s = u->link.session;
	cv_log(&u->port->loop->node, CULVERT_INFO,
		"msg=\"link down\" link=udp://%s peer=%s reason=\"%s\"",
		cv_addr_format(&u->link.remote, at),
		s && *s->name ? s->name : "-", why);
}

static void close_link(struct cv_link *link, const char *why)
{
	struct udp *u = udp_of(link);
	struct cv_port *p = u->port;
	log_down(u, why);
	cv_list_del(&u->all);
	if (u->kept.buf)
		cv_buf_free(&p->loop->node.pool, u->kept.buf);
	cv_node_link_down(&p->loop->node, link, cv_now());
	free(u);
	reap(p);
}

static size_t describe(const struct cv_link *link, char *out, size_t size)
{
	const struct cv_port *p = cv_port_of(link);
	int n = snprintf(out, size, "socket buffers of %d KiB in, %d KiB out",
		p->rx_buffer >> 10, p->tx_buffer >> 10);
	return n < 0 ? 0 : (size_t)n;
}

static const struct cv_link_ops link_ops = {
	.name = "udp",
	.flush = flush,
	.close = close_link,
	.describe = describe,
};

static struct udp *link_new(struct cv_port *p, const struct cv_addr *remote)
{
	struct udp *u = calloc(1, sizeof *u);
	if (!u)
		return NULL;
	u->port = p;
	u->link.ops = &link_ops;
	u->link.port = &p->link;
	u->link.cc = p->link.cc;
	u->link.remote = *remote;
	u->link.mtu = mtu_to(p, remote);
	cv_list_init(&u->all);
	cv_list_append(&p->links, &u->all);
	return u;
}

static struct cv_link *adopt(struct cv_link *link)
{
	struct cv_port *p = CV_CONTAINER(link, struct cv_port, link);
	struct udp *u = link_new(p, &link->remote);
	if (!u)
		return NULL;
	u->link.local = link->local;
	cv_node_link_up(&p->loop->node, &u->link, NULL, cv_now());
	return &u->link;
}

static const struct cv_link_ops port_ops = {
	.name = "udp",
	.flags = CV_LINK_PORT,
	.flush = answer,
	.close = close_port,
	.adopt = adopt,
};

int cv_port_dial(struct cv_port *p, struct cv_session *s,
	const struct cv_addr *addr, unsigned n)
{
	struct udp *u = link_new(p, addr);
	if (!u)
		return CULVERT_ENOMEM;
	u->addrs = n < CV_PORT_ADDRS ? n : CV_PORT_ADDRS;
	memcpy(u->addr, addr, u->addrs * sizeof *addr);
	cv_node_link_up(&p->loop->node, &u->link, s, cv_now());
	return 0;
}

/* --- packets in --- */

static void packet(struct cv_port *p, uint8_t *data, uint32_t len)
{
	struct cv_node *node = &p->loop->node;
	cv_time now = cv_now();
	/* it was closed with a packet before this one */
	if (p->left && cv_list_empty(&p->links))
		return;
	if (p->paused && is_initiation(data))
		return;
	cv_node_input(node, &p->link, data, len, now);
	if (p->link.replies.head)
		answer(&p->link, now);
}

static void message(struct cv_port *p, unsigned i)
{
	struct cv_udp_msg m;
	cv_udp_msg(&p->sock, i, &m);
	cv_sock_from(m.from, &p->link.remote);
	p->link.local = m.to.family ? m.to : p->at;
	p->link.local.port = p->at.port;
	for (uint32_t off = 0; off < m.train.len; off += m.train.seg) {
		uint32_t left = m.train.len - off;
		packet(p, m.train.data + off,
			left < m.train.seg ? left : m.train.seg);
	}
}

static void on_readable(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_port *p = CV_CONTAINER(
		(struct cv_udp_sock *)w->data, struct cv_port, sock);
	cv_time end = cv_now() + CV_TURN;
	unsigned n;
	(void)ev;
	(void)events;
	p->busy = true;
	do {
		n = cv_udp_read(&p->sock, SLOTS);
		for (unsigned i = 0; i < n; i++)
			message(p, i);
		/* edges write what lies in the slots of this read */
		cv_node_input_done(&p->loop->node);
	} while (n == SLOTS && cv_now() < end);
	p->busy = false;
	reap(p);
}

/* --- sockets --- */

static int granted(int fd, int option)
{
	int bytes = 0;
	socklen_t len = sizeof bytes;
	getsockopt(fd, SOL_SOCKET, option, &bytes, &len);
	return bytes / 2; /* the kernel's own needs are the other half */
}

/* nothing is cut on the way: the core finds out what passes whole */
static void tune(struct cv_port *p, int fd, bool listens)
{
	bool v6 = p->at.family == CV_AF_INET6;
	cv_sock_buffer(fd, true, CV_PORT_BUFFER);
	cv_sock_buffer(fd, false, CV_PORT_BUFFER);
	p->rx_buffer = granted(fd, SO_RCVBUF);
	p->tx_buffer = granted(fd, SO_SNDBUF);
	cv_udp_gather(fd);
	cv_sock_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	if (v6)
		cv_sock_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
			IPV6_PMTUDISC_PROBE);
	/* an old kernel would send the train as one datagram */
	p->single = !cv_sock_int(fd, IPPROTO_UDP, UDP_SEGMENT, 0);
	/* answers leave from where the question went to */
	if (!listens || !cv_addr_any(&p->at))
		return;
	cv_sock_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	if (v6)
		cv_sock_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

/* takes over @fd, which is closed if there is no memory */
static struct cv_port *port_new(struct cv_loop *l, int fd,
	const struct cv_addr *at, const struct cv_url *url)
{
	struct cv_port *p = l->udp ? calloc(1, sizeof *p) : NULL;
	if (!p) {
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	p->loop = l;
	p->at = *at;
	cv_url_copy(&p->url, url);
	cv_list_init(&p->links);
	p->link.ops = &port_ops;
	p->link.node = &l->node;
	p->link.local = *at;
	p->link.cc = (uint8_t)cv_cc_named(cv_url_option(url, "cc"));
	p->link.up = cv_now();
	cv_list_init(&p->link.all);
	cv_list_init(&p->link.dirty);
	ev_io_init(&p->writable, on_writable, fd, EV_WRITE);
	p->writable.data = p;
	cv_udp_watch(&p->sock, l->udp, fd, on_readable);
	return p;
}

static int bound(const struct cv_addr *at, const struct cv_url *url,
	char why[CV_SOCK_WHY])
{
	struct sockaddr_storage ss;
	socklen_t len = cv_sock_addr(at, &ss);
	int fd = cv_sock_dgram(at, url, why);
	if (fd < 0 || !bind(fd, (struct sockaddr *)&ss, len))
		return fd;
	int e = errno;
	close(fd);
	errno = e;
	*why = '\0';
	return -1;
}

struct cv_port *cv_port_listen(struct cv_loop *l, const struct cv_addr *at,
	const struct cv_url *url, char why[CV_SOCK_WHY])
{
	*why = '\0';
	int fd = cv_sock_inherited(l, at, SOCK_DGRAM);
	if (fd < 0)
		fd = bound(at, url, why);
	struct cv_port *p = fd < 0 ? NULL : port_new(l, fd, at, url);
	if (p)
		tune(p, fd, true);
	return p;
}

struct cv_port *cv_port_new(
	struct cv_loop *l, const struct cv_url *url, char why[CV_SOCK_WHY])
{
	struct cv_addr any = { .family = CV_AF_INET6 };
	*why = '\0';
	/* a socket of IPv6 reaches IPv4 too, but there may be no IPv6 */
	int fd = bound(&any, url, why);
	if (fd < 0) {
		any.family = CV_AF_INET;
		fd = bound(&any, url, why);
	}
	struct cv_port *p = fd < 0 ? NULL : port_new(l, fd, &any, url);
	if (p)
		tune(p, fd, false);
	else if (!*why)
		snprintf(why, CV_SOCK_WHY, "%s", strerror(errno));
	return p;
}

void cv_port_pause(struct cv_port *p)
{
	p->paused = true;
}

void cv_port_unlisten(struct cv_port *p)
{
	close_port(&p->link, "its port was closed");
	cv_port_leave(p);
}

void cv_port_leave(struct cv_port *p)
{
	p->left = true;
	reap(p);
}
