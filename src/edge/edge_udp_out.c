/* SPDX-License-Identifier: MIT */
/**
 * edge_udp_out.c - datagrams of peers out, answers of their targets in
 *
 * DOC: Every flow has a socket of its own, connected to its target: a
 * stranger's datagram never enters.  A target that is a name is looked up
 * first; meanwhile a few datagrams wait.  Policy is asked about the address
 * that came out, not about the one that was hoped for.
 */
#include "edge/edge_udp_out.h"

#include "loop/files.h"
#include "loop/resolve.h"
#include "loop/sock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	HELD_DGRAMS = 64, /* of a flow whose target is being resolved */
	HELD_BYTES = 66 << 10,
};

struct held {
	struct held *next;
	struct cv_frame train;
	uint8_t data[];
};

/* what a flow needs only until its socket exists */
struct opening {
	struct cv_url url;
	struct cv_addr bind; /* family NONE: none asked for */
	bool trusted;        /* the operator's own --to */
	struct cv_query *query;
	struct held *head, **tail;
	size_t count, bytes;
};

/* a fixed source port and its target: one flow at a time has the pair, or
   answers would go to whichever asked last */
struct fixed {
	struct cv_list list;
	struct cv_addr bind, target;
};

struct target {
	struct cv_udp_sock sock;
	struct cv_end *end;
	struct opening *opening; /* NULL once the socket exists */
	struct fixed *fixed;     /* NULL: the port is the system's choice */
	char *name;              /* the target's, if it was no number */
	bool trusted;            /* the operator's own --to */
};

struct cv_udp_out {
	struct cv_edge edge;
	struct cv_loop *loop;
	struct cv_udp_io *udp;
	const struct cv_policy *policy;
	char to[CV_URL_TEXT];
	struct cv_list fixed;
	bool moved; /* while flows are checked: --to is another */
	int fds;    /* descriptors below this are for flows */
};

static struct cv_udp_out *out_of(struct cv_edge *e)
{
	return CV_CONTAINER(e, struct cv_udp_out, edge);
}

static struct cv_end *input(struct cv_udp_sock *s, unsigned n)
{
	struct target *t = CV_CONTAINER(s, struct target, sock);
	struct cv_node *node = t->end->edge->node;
	cv_time now = cv_now();
	struct cv_end *blocked = NULL;
	for (unsigned i = 0; i < n; i++) {
		struct cv_udp_msg m;
		cv_udp_msg(s, i, &m);
		if (cv_flow_send(node, t->end, &m.train, now))
			blocked = t->end;
	}
	return blocked;
}

static void drop_opening(struct cv_udp_out *o, struct target *t)
{
	struct opening *op = t->opening;
	if (!op)
		return;
	if (op->query)
		cv_resolve_cancel(op->query);
	for (struct held *h; (h = op->head);) {
		op->head = h->next;
		o->loop->node.stats.drop[CV_DROP_OPENING] +=
			cv_frame_count(&h->train);
		free(h);
	}
	free(op);
	t->opening = NULL;
}

static void unfix(struct target *t)
{
	if (!t->fixed)
		return;
	cv_list_del(&t->fixed->list);
	free(t->fixed);
	t->fixed = NULL;
}

/* all of it but its socket */
static void forget(struct cv_udp_out *o, struct target *t)
{
	drop_opening(o, t);
	unfix(t);
	t->end->ctx = NULL;
	free(t->name);
	free(t);
}

static void log_refusal(struct cv_udp_out *o, struct cv_end *end,
	const struct cv_url *u, const struct cv_addr *a, const char *why)
{
	char at[CV_ADDRTEXT];
	struct cv_session *s = cv_end_other(end)->session;
	const char *bind = cv_url_option(u, "bind");
	cv_log(&o->loop->node, CULVERT_WARN,
		"msg=\"target refused\" peer=%s "
		"target=\"udp://%s%s%s:%ld%s%s\" "
		"address=%s reason=\"%s\"",
		s ? s->name : "-", u->brackets ? "[" : "", u->host,
		u->brackets ? "]" : "", u->port, bind ? "?bind=" : "",
		bind ? bind : "", cv_addr_format(a, at), why);
}

static int error_of(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case EAGAIN:
		return CULVERT_EFULL;
	default:
		return CULVERT_ESYS;
	}
}

static bool fixed_taken(const struct cv_udp_out *o, const struct cv_addr *bind,
	const struct cv_addr *target)
{
	for (const struct cv_list *l = o->fixed.next; l != &o->fixed;
		l = l->next) {
		const struct fixed *f = CV_CONTAINER(l, struct fixed, list);
		/* "any" address may turn out to be the same one */
		if (f->bind.port == bind->port &&
			cv_addr_equal(&f->target, target) &&
			(cv_addr_any(bind) || cv_addr_any(&f->bind) ||
				cv_addr_equal(&f->bind, bind)))
			return true;
	}
	return false;
}

static bool fix(struct cv_udp_out *o, struct target *t,
	const struct cv_addr *bind, const struct cv_addr *target)
{
	if (cv_end_flow(t->end)->source->pinned >= CV_PINNED_SOURCE)
		return false;
	t->fixed = malloc(sizeof *t->fixed);
	if (!t->fixed)
		return false;
	t->fixed->bind = *bind;
	t->fixed->target = *target;
	cv_list_init(&t->fixed->list);
	cv_list_append(&o->fixed, &t->fixed->list);
	cv_flow_pin(&o->loop->node, cv_end_flow(t->end));
	return true;
}

/* a connected socket for a flow; -1 and errno */
static int socket_for(const struct cv_udp_out *o, const struct cv_addr *bind,
	const struct cv_addr *target)
{
	errno = EADDRINUSE;
	int fd = bind->port && fixed_taken(o, bind, target)
			 ? -1
			 : cv_udp_socket(bind, target);
	if (fd < o->fds)
		return fd;
	close(fd); /* the rest is for links and for being asked */
	errno = EMFILE;
	return -1;
}

/* what another policy would ask */
static bool remember(struct target *t)
{
	const struct opening *op = t->opening;
	struct cv_addr a;
	bool number = !cv_url_addr(&op->url, &a);
	t->trusted = op->trusted;
	if (!number && !t->name)
		t->name = strdup(op->url.host);
	return number || t->name;
}

/* the target's address is known: policy, then a socket */
static int connect_to(
	struct cv_udp_out *o, struct target *t, const struct cv_addr *addr)
{
	struct opening *op = t->opening;
	const struct cv_addr *bind = op->bind.family ? &op->bind : NULL;
	if (!op->trusted &&
		!cv_policy_allows(o->policy, &op->url, addr, bind)) {
		log_refusal(o, t->end, &op->url, addr,
			bind && bind->port && bind->port < 1024
				? "not allowed: --allow must name this ?bind="
				: "not allowed: no --allow covers it");
		return CULVERT_EREFUSED;
	}
	int fd = socket_for(o, &op->bind, addr);
	if (fd >= 0 && (!remember(t) || (op->bind.port &&
						!fix(o, t, &op->bind, addr)))) {
		close(fd);
		return CULVERT_ENOMEM;
	}
	if (fd < 0) {
		int e = errno;
		log_refusal(o, t->end, &op->url, addr,
			e == EAGAIN ? "no source port left: see "
				      "net.ipv4.ip_local_port_range"
				    : strerror(e));
		return error_of(e);
	}
	cv_udp_start(&t->sock, o->udp, fd, input);
	cv_end_flow(t->end)->dst = *addr;
	return 0;
}

static void send_held(struct target *t)
{
	struct opening *op = t->opening;
	for (struct held *h; (h = op->head);) {
		op->head = h->next;
		cv_udp_send(t->sock.udp, t->sock.io.fd, NULL, NULL, &h->train);
		cv_udp_flush(t->sock.udp);
		free(h);
	}
}

static void on_resolved(
	void *user, const struct cv_addr *addr, unsigned n, const char *why)
{
	struct target *t = user;
	struct cv_end *end = t->end;
	struct cv_udp_out *o = out_of(end->edge);
	struct opening *op = t->opening;
	cv_time now = cv_now();
	int err = CULVERT_EINVAL;

	op->query = NULL;
	if (!n)
		log_refusal(o, end, &op->url, &(struct cv_addr){ 0 }, why);
	/* a socket bound to an address can reach only that family */
	for (unsigned i = 0; i < n && err; i++) {
		struct cv_addr a = addr[i];
		a.port = (uint16_t)op->url.port;
		if (!op->bind.family || op->bind.family == a.family)
			err = connect_to(o, t, &a);
	}
	if (err) {
		forget(o, t);
		cv_flow_refused(&o->loop->node, end, err, now);
		return;
	}
	send_held(t);
	drop_opening(o, t);
	cv_flow_opened(&o->loop->node, end, now);
}

static int parse_target(struct cv_udp_out *o, struct opening *op,
	const char *target, size_t len)
{
	const char *why, *bind;
	if (!len) {
		op->trusted = true;
		target = o->to;
		len = strlen(o->to);
	}
	if (cv_url_parse(&op->url, target, len, &why))
		return CULVERT_ESYNTAX;
	if (strcmp(op->url.scheme, "udp") || !*op->url.host || op->url.port < 1)
		return CULVERT_EINVAL;
	bind = cv_url_option(&op->url, "bind");
	if (bind && cv_hostport_parse(bind, &op->bind))
		return CULVERT_EINVAL;
	op->tail = &op->head;
	return 0;
}

static int start(
	struct cv_udp_out *o, struct target *t, const char *target, size_t len)
{
	struct cv_addr a;
	int err = parse_target(o, t->opening, target, len);
	if (err) { /* its text is the peer's: not for our log */
		const struct cv_session *s = cv_end_other(t->end)->session;
		cv_log(&o->loop->node, CULVERT_WARN,
			"msg=\"target refused\" peer=%s reason=\"%s\"",
			s ? s->name : "-",
			len ? "not udp://host:port"
			    : "names no target, and there is no --to");
		return err;
	}
	if (!cv_url_addr(&t->opening->url, &a)) {
		/* ?bind=:53 leaves the family to the target */
		struct cv_addr *bind = &t->opening->bind;
		if (bind->family && cv_addr_any(bind))
			bind->family = a.family;
		err = connect_to(o, t, &a);
		if (!err)
			drop_opening(o, t);
		return err;
	}
	t->opening->query =
		cv_resolve(o->loop, t->opening->url.host, on_resolved, t);
	return t->opening->query ? 1 : CULVERT_EFULL;
}

static int open_end(struct cv_edge *e, struct cv_end *end, const char *target,
	size_t len, cv_time now)
{
	struct cv_udp_out *o = out_of(e);
	(void)now;
	struct target *t = calloc(1, sizeof *t);
	if (!t)
		return CULVERT_ENOMEM;
	t->opening = calloc(1, sizeof *t->opening);
	if (!t->opening) {
		free(t);
		return CULVERT_ENOMEM;
	}
	t->end = end;
	end->ctx = t;
	t->sock.io.fd = -1;
	int r = start(o, t, target, len);
	if (r < 0)
		forget(o, t);
	return r;
}

static void hold(
	struct cv_udp_out *o, struct target *t, const struct cv_frame *train)
{
	struct opening *op = t->opening;
	size_t n = cv_frame_count(train);
	struct held *h = NULL;
	if (op->count + n <= HELD_DGRAMS &&
		op->bytes + train->len <= HELD_BYTES)
		h = malloc(sizeof *h + train->len);
	if (!h) {
		o->loop->node.stats.drop[CV_DROP_OPENING] += n;
		return;
	}
	h->next = NULL;
	h->train = *train;
	h->train.data = memcpy(h->data, train->data, train->len);
	*op->tail = h;
	op->tail = &h->next;
	op->count += n;
	op->bytes += train->len;
}

static int dgram(struct cv_edge *e, struct cv_end *end,
	const struct cv_frame *train, cv_time now)
{
	struct cv_udp_out *o = out_of(e);
	struct target *t = end->ctx;
	(void)now;
	if (t->opening) {
		hold(o, t, train);
		return 0;
	}
	cv_udp_send(o->udp, t->sock.io.fd, NULL, NULL, train);
	cv_node_edge_dirty(&o->loop->node, e);
	return 0;
}

static void flush(struct cv_edge *e)
{
	cv_udp_flush(out_of(e)->udp);
}

static void close_end(struct cv_edge *e, struct cv_end *end, enum cv_reset why)
{
	struct target *t = end->ctx;
	(void)why;
	if (!t)
		return;
	if (!t->opening)
		cv_udp_stop(&t->sock);
	forget(out_of(e), t);
}

static struct cv_addr name_of(
	int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct cv_addr a = { 0 };
	if (!get(fd, (struct sockaddr *)&ss, &len))
		cv_sock_from(&ss, &a);
	return a;
}

static bool not_allowed(struct cv_edge *e, struct cv_end *end)
{
	const struct cv_udp_out *o = out_of(e);
	const struct target *t = end->ctx;
	char scheme[] = "udp", none[] = "";
	struct cv_url u;
	if (!t || t->opening) /* asked when its address is known */
		return false;
	if (t->trusted)
		return o->moved;
	u.scheme = scheme;
	u.host = t->name ? t->name : none;
	struct cv_addr to = name_of(t->sock.io.fd, getpeername);
	return !cv_policy_allows(
		o->policy, &u, &to, t->fixed ? &t->fixed->bind : NULL);
}

void cv_udp_out_allow(struct cv_udp_out *o, const char *to)
{
	o->moved = strcmp(o->to, to) != 0;
	snprintf(o->to, sizeof o->to, "%s", to);
	cv_node_close_edge(&o->loop->node, &o->edge, not_allowed, cv_now());
}

static const struct cv_edge_ops ops = {
	.name = "udp",
	.open = open_end,
	.dgram = dgram,
	.flush = flush,
	.close = close_end,
};

struct cv_udp_out *cv_udp_out_new(
	struct cv_udp_io *io, const struct cv_policy *policy)
{
	struct cv_udp_out *o = calloc(1, sizeof *o);
	if (!o)
		return NULL;
	o->loop = cv_udp_io_loop(io);
	o->udp = io;
	o->policy = policy;
	cv_list_init(&o->fixed);
	o->fds = cv_files_flows();
	o->edge.ops = &ops;
	o->edge.node = &o->loop->node;
	cv_list_init(&o->edge.dirty);
	return o;
}

struct cv_edge *cv_udp_out_edge(struct cv_udp_out *o)
{
	return &o->edge;
}

void cv_udp_out_free(struct cv_udp_out *o)
{
	if (!o)
		return;
	cv_list_del(&o->edge.dirty);
	free(o);
}
