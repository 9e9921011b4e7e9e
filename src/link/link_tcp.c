/* SPDX-License-Identifier: MIT */
/**
 * link_tcp.c - one TCP connection is one link
 *
 * DOC: Packets are pulled only while the socket takes them, because what is
 * sealed can no longer be dropped for its age; what comes in is opened in
 * place, in the area the stream was read into.
 */
#include "link/link_tcp.h"

#include "core/record.h"
#include "loop/accept.h"
#include "loop/sock.h"
#include "loop/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

struct tcp {
	struct cv_link link;
	struct cv_conn conn;
	struct cv_loop *loop;
	ev_timer first; /* a stranger's time to say something */
	bool lean;      /* the kernel is to hoard nothing */
	struct cv_tcp_listener *listener;
	struct cv_list stranger; /* of its listener, until it is trusted */
};

struct cv_tcp_listener {
	struct cv_loop *loop;
	struct cv_accept accept;
	struct cv_list strangers; /* longest here first */
	unsigned count;           /* of these */
};

static void no_stranger(struct tcp *t)
{
	ev_timer_stop(t->loop->ev, &t->first);
	if (!cv_list_empty(&t->stranger))
		t->listener->count--;
	cv_list_del(&t->stranger);
}

static void log_down(struct tcp *t, const char *why)
{
	char at[CV_ADDRTEXT];
	struct cv_session *s = t->link.session;
	cv_log(&t->loop->node, CULVERT_INFO,
		"msg=\"link down\" link=tcp://%s peer=%s reason=\"%s\"",
		cv_addr_format(&t->link.remote, at),
		s && *s->name ? s->name : "-", why);
}

/* a server that does not know us says so by hanging up */
static const char *hung_up(const struct tcp *t)
{
	if (t->link.dialled && !t->link.trusted)
		return "closed during the handshake: wrong --peer, our key is "
		       "unknown there, or only one end uses --plain";
	return "closed by the other end";
}

static void die(struct tcp *t, const char *why)
{
	log_down(t, why);
	no_stranger(t);
	cv_node_link_down(&t->loop->node, &t->link, cv_now());
	cv_conn_close(&t->conn);
}

static struct tcp *tcp_of(struct cv_conn *s)
{
	return CV_CONTAINER(s, struct tcp, conn);
}

static void fill(struct cv_conn *s, size_t bytes, cv_time now)
{
	struct tcp *t = tcp_of(s);
	struct cv_bufq got = { 0 };
	if (s->out.head)
		return;
	cv_node_output(&t->loop->node, &t->link, &got, bytes, now);
	for (struct cv_buf *b; (b = cv_bufq_pop(&got));) {
		cv_record_wrap(b);
		cv_bufq_push(&s->out, b);
	}
}

static void flush(struct cv_link *link, cv_time now)
{
	struct tcp *t = CV_CONTAINER(link, struct tcp, link);
	cv_conn_flush(&t->conn, now);
	link->blocked = t->conn.blocked;
}

static void writable(struct cv_conn *s)
{
	struct tcp *t = tcp_of(s);
	cv_node_writable(&t->loop->node, &t->link);
}

/* why a connection ends with its first packet, for who has to mend it */
static const char *why_dropped(const struct tcp *t, enum cv_drop drop)
{
	if (drop == CV_DROP_PLAIN)
		return "one end uses --plain and the other does not";
	if (drop == CV_DROP_FORGED && t->link.dialled)
		return "the peer's answer does not verify: --psk differs";
	return cv_drop_name(drop);
}

/* packets of one read; NULL, or why the stream is lost */
static const char *records(struct cv_conn *s, uint8_t **p, uint8_t *end)
{
	struct tcp *t = tcp_of(s);
	struct cv_node *node = &t->loop->node;
	uint32_t len = 0;
	uint8_t *packet;
	uint32_t max = t->link.trusted || t->link.dialled ? CV_PACKET_MAX
							  : CV_STRANGER_RECORD;
	cv_time now = cv_now();
	bool time_up = false;
	while (!s->closed && !time_up &&
		(packet = cv_record_next(p, end, max, &len))) {
		int drop = cv_node_input(node, &t->link, packet, len, now);
		now = cv_now();
		time_up = cv_conn_time_up(s, now);
		if (t->link.trusted)
			max = CV_PACKET_MAX;
		/* a cookie is an answer: the next initiation comes here */
		if (s->closed || !drop || t->link.trusted ||
			drop == CV_DROP_UNDER_LOAD)
			continue;
		return why_dropped(t, (enum cv_drop)drop);
	}
	if (!s->closed && len == UINT32_MAX) {
		node->stats.drop[CV_DROP_MALFORMED]++;
		return "this is not culvert's protocol";
	}
	return NULL;
}

static void worked(struct cv_conn *s)
{
	if (tcp_of(s)->link.trusted)
		no_stranger(tcp_of(s));
}

static void ended(struct cv_conn *s, const char *why)
{
	die(tcp_of(s), why ? why : hung_up(tcp_of(s)));
}

static void gone(struct cv_conn *s)
{
	free(tcp_of(s));
}

static const struct cv_conn_ops conn_ops = {
	.fill = fill,
	.input = records,
	.worked = worked,
	.writable = writable,
	.ended = ended,
	.gone = gone,
};

static void on_silent(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	struct tcp *t = w->data;
	t->loop->node.stats.drop[CV_DROP_STRANGER]++;
	die(t, "a stranger that said nothing");
}

static void close_link(struct cv_link *link, const char *why)
{
	die(CV_CONTAINER(link, struct tcp, link), why);
}

/*
 * Between the first sign of a loss and its repair nothing that arrives behind
 * it is delivered.  With a choice of links the kernel hoards nothing: what has
 * not left yet may still go another way.
 */
static void gauge(struct cv_link *link, struct cv_gauge *g)
{
	struct tcp *t = CV_CONTAINER(link, struct tcp, link);
	struct tcp_info i = { 0 };
	socklen_t len = sizeof i;
	if (!t->lean)
		cv_sock_int(t->conn.rx.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1);
	t->lean = true;
	if (getsockopt(t->conn.rx.fd, IPPROTO_TCP, TCP_INFO, &i, &len))
		return;
	g->rtt = i.tcpi_rtt;
	g->mending = i.tcpi_sacked || i.tcpi_ca_state >= TCP_CA_Recovery;
}

static const struct cv_link_ops ops = {
	.name = "tcp",
	.flags = CV_LINK_RELIABLE,
	.flush = flush,
	.close = close_link,
	.gauge = gauge,
};

static struct tcp *adopt(struct cv_loop *l, int fd)
{
	struct tcp *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->loop = l;
	t->link.ops = &ops;
	cv_list_init(&t->stranger);
	cv_conn_start(&t->conn, l, fd, &conn_ops);
	cv_sock_ends(fd, &t->link.local, &t->link.remote);
	ev_timer_init(&t->first, on_silent, CV_FIRST_PACKET / 1e6, 0.);
	t->first.data = t;
	return t;
}

int cv_tcp_adopt(
	struct cv_loop *l, int fd, struct cv_session *s, unsigned number)
{
	struct tcp *t = adopt(l, fd);
	if (!t)
		return CULVERT_ENOMEM;
	t->link.number = number;
	cv_node_link_up(&l->node, &t->link, s, cv_now());
	return 0;
}

/* too many strangers: the one that has had most time goes, its neighbours
   before others */
static void make_room(struct cv_tcp_listener *l, const struct cv_addr *from)
{
	struct tcp *oldest = NULL;
	unsigned same = 0;
	for (struct cv_list *e = l->strangers.prev; e != &l->strangers;
		e = e->prev) {
		struct tcp *t = CV_CONTAINER(e, struct tcp, stranger);
		if (!cv_addr_same_ip(&t->link.remote, from))
			continue;
		same++;
		oldest = t;
	}
	if (same < CV_LINKS_SOURCE && l->count < CV_LINKS_STRANGER)
		return;
	if (same < CV_LINKS_SOURCE)
		oldest = CV_CONTAINER(l->strangers.next, struct tcp, stranger);
	l->loop->node.stats.drop[CV_DROP_STRANGER]++;
	die(oldest, "too many strangers");
}

static void accepted(struct cv_accept *a, int fd)
{
	struct cv_tcp_listener *l =
		CV_CONTAINER(a, struct cv_tcp_listener, accept);
	struct tcp *t = adopt(l->loop, fd);
	if (!t) {
		l->loop->node.stats.drop[CV_DROP_NO_BUFFER]++;
		close(fd);
		return;
	}
	make_room(l, &t->link.remote);
	t->listener = l;
	l->count++;
	cv_list_append(&l->strangers, &t->stranger);
	cv_node_link_up(&l->loop->node, &t->link, NULL, cv_now());
	ev_timer_start(l->loop->ev, &t->first);
}

struct cv_tcp_listener *cv_tcp_listen(struct cv_loop *loop,
	const struct cv_addr *addr, const struct cv_url *url,
	char why[CV_SOCK_WHY])
{
	struct cv_tcp_listener *l = calloc(1, sizeof *l);
	*why = '\0';
	if (!l)
		return NULL;
	l->accept.accepted = accepted;
	if (cv_accept_start(&l->accept, loop, addr, url, why)) {
		int e = errno;
		free(l);
		errno = e;
		return NULL;
	}
	l->loop = loop;
	cv_list_init(&l->strangers);
	return l;
}

void cv_tcp_unlisten(struct cv_tcp_listener *l)
{
	/* strangers live on until their time is over or the node's is */
	while (!cv_list_empty(&l->strangers))
		cv_list_del(l->strangers.next);
	cv_accept_stop(&l->accept);
	free(l);
}
