/* SPDX-License-Identifier: MIT */
/**
 * edge_tcp_out.c - streams of peers out, each a connection to its target
 *
 * DOC: The name is looked up and its addresses are tried as connect.h says;
 * policy is asked about each address that came out, not about the one that was
 * hoped for.  What the peer sends meanwhile waits.  Options of sockets are the
 * operator's: of a peer's only ?proxy=v2&client=ADDRESS counts, and that only
 * where the operator's rule says ?proxy=v2 too.  There a PROXY header comes
 * first in any case, or what a peer sends could be taken for one.
 */
#include "edge/edge_tcp_out.h"

#include "core/proxyhdr.h"
#include "edge/tcp_end.h"
#include "loop/connect.h"
#include "loop/files.h"
#include "loop/sock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* what a flow needs only until it is connected */
struct opening {
	struct cv_url url;
	struct cv_connect *attempt;
	struct cv_addr tried;  /* the last address that was asked about */
	struct cv_addr client; /* whom a PROXY header tells of, or none */
	bool proxy;            /* ?proxy=v2 was asked for */
};

struct target {
	struct cv_tcp_end tcp;
	struct opening *opening; /* NULL once it is connected */
	char *name;              /* the target's, if it was no number */
	bool trusted;            /* the operator's own --to */
};

struct cv_tcp_out {
	struct cv_tcp_ends set;
	const struct cv_policy *policy;
	char to[CV_URL_TEXT];
	bool moved; /* while flows are checked: --to is another */
	int fds;    /* descriptors below this are for flows */
};

static struct cv_tcp_out *out_of(struct cv_edge *e)
{
	return CV_CONTAINER(e, struct cv_tcp_out, set.edge);
}

static struct target *target_of(struct cv_tcp_end *tcp)
{
	return CV_CONTAINER(tcp, struct target, tcp);
}

static void drop_opening(struct target *t)
{
	if (t->opening && t->opening->attempt)
		cv_connect_cancel(t->opening->attempt);
	free(t->opening);
	t->opening = NULL;
}

static void gone(struct cv_tcp_end *tcp)
{
	struct target *t = target_of(tcp);
	drop_opening(t);
	free(t->name);
	free(t);
}

static void log_refusal(struct target *t, const char *why)
{
	char at[CV_ADDRTEXT];
	const struct cv_url *u = &t->opening->url;
	struct cv_session *s = cv_end_other(t->tcp.end)->session;
	cv_log(&t->tcp.set->loop->node, CULVERT_WARN,
		"msg=\"target refused\" peer=%s target=\"tcp://%s%s%s:%ld\" "
		"address=%s reason=\"%s\"",
		s ? s->name : "-", u->brackets ? "[" : "", u->host,
		u->brackets ? "]" : "", u->port,
		cv_addr_format(&t->opening->tried, at), why);
}

static bool may(void *user, const struct cv_addr *addr)
{
	struct target *t = user;
	struct cv_tcp_out *o = out_of(&t->tcp.set->edge);
	struct opening *op = t->opening;
	op->tried = *addr;
	if (t->trusted)
		return true;
	return cv_policy_allows(o->policy, &op->url, addr, NULL) &&
	       (!op->proxy || cv_policy_proxy(o->policy, &op->url, addr));
}

/* the header in front; a new connection has room for it */
static bool introduce(struct target *t, int fd)
{
	struct cv_tcp_out *o = out_of(&t->tcp.set->edge);
	struct opening *op = t->opening;
	uint8_t p[CV_PROXYHDR_MAX];
	bool wanted =
		t->trusted ? op->proxy
			   : cv_policy_proxy(o->policy, &op->url, &op->tried);
	if (!wanted)
		return true;
	size_t n = cv_proxyhdr_put(p, &op->client, &op->tried);
	return send(fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static enum cv_reset reset_of(int error)
{
	switch (error) {
	case 0:
		return CV_RESET_TARGET;
	case EACCES:
		return CV_RESET_REFUSED;
	case ECONNREFUSED:
	case ECONNRESET:
		return CV_RESET_NOBODY;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case EADDRNOTAVAIL:
		return CV_RESET_UNREACHABLE;
	case ETIMEDOUT:
		return CV_RESET_TIMEOUT;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
		return CV_RESET_LIMIT;
	default:
		return CV_RESET_SYSTEM;
	}
}

static void refuse(struct target *t, int error, const char *why)
{
	struct cv_node *n = &t->tcp.set->loop->node;
	struct cv_end *end = t->tcp.end;
	if (error == EACCES)
		why = t->opening->proxy
			      ? "not allowed: no --allow covers it with "
				"?proxy=v2"
			      : "not allowed: no --allow covers it";
	log_refusal(t, why);
	cv_tcp_end_drop(&t->tcp);
	end->ctx = NULL;
	gone(&t->tcp);
	cv_flow_refused_why(n, end, reset_of(error), cv_now());
}

/* what another policy would ask */
static bool remember(struct target *t)
{
	struct cv_addr a;
	if (cv_url_addr(&t->opening->url, &a))
		t->name = strdup(t->opening->url.host);
	else
		return true;
	return t->name;
}

static void on_connected(void *user, int fd, const char *why)
{
	struct target *t = user;
	struct cv_tcp_out *o = out_of(&t->tcp.set->edge);
	struct cv_end *end = t->tcp.end;
	struct cv_addr here;
	int error = fd < 0 ? cv_connect_error(t->opening->attempt) : 0;
	t->opening->attempt = NULL;
	if (fd >= 0 && (fd >= o->fds || !remember(t))) {
		close(fd); /* the rest is for links and for being asked */
		fd = -1;
		error = fd >= o->fds ? EMFILE : ENOMEM;
		why = strerror(error);
	}
	if (fd >= 0) {
		cv_sock_ends(fd, &here, &t->opening->tried);
		if (!introduce(t, fd)) {
			close(fd);
			fd = -1;
			error = ECONNRESET;
			why = strerror(error);
		}
	}
	if (fd < 0) {
		refuse(t, error, why);
		return;
	}
	cv_end_flow(end)->dst = t->opening->tried;
	drop_opening(t);
	cv_flow_opened(&o->set.loop->node, end, cv_now());
	cv_tcp_end_up(&t->tcp, fd);
}

static int parse_target(
	struct cv_tcp_out *o, struct target *t, const char *target, size_t len)
{
	struct opening *op = t->opening;
	struct cv_url *u = &op->url;
	if (!len) {
		t->trusted = true;
		target = o->to;
		len = strlen(o->to);
	}
	if (cv_url_parse(u, target, len, NULL))
		return CULVERT_ESYNTAX;
	const char *proxy = cv_url_option(u, "proxy");
	const char *client = cv_url_option(u, "client");
	op->proxy = proxy != NULL;
	if (client && cv_hostport_parse(client, &op->client))
		return CULVERT_EINVAL;
	u->options = 0;
	if (proxy && strcmp(proxy, "v2"))
		return CULVERT_EINVAL;
	return strcmp(u->scheme, "tcp") || !*u->host || u->port < 1
		       ? CULVERT_EINVAL
		       : 0;
}

static int start(
	struct cv_tcp_out *o, struct target *t, const char *target, size_t len)
{
	int err = parse_target(o, t, target, len);
	if (err) { /* its text is the peer's: not for our log */
		const struct cv_session *s = cv_end_other(t->tcp.end)->session;
		cv_log(&o->set.loop->node, CULVERT_WARN,
			"msg=\"target refused\" peer=%s reason=\"%s\"",
			s ? s->name : "-",
			len ? "not tcp://host:port"
			    : "names no target, and there is no --to");
		return err;
	}
	t->opening->attempt =
		cv_connect(o->set.loop, &t->opening->url, on_connected, t);
	if (!t->opening->attempt)
		return CULVERT_EFULL;
	cv_connect_only(t->opening->attempt, may);
	return 1;
}

static int open_end(struct cv_edge *e, struct cv_end *end, const char *target,
	size_t len, cv_time now)
{
	struct cv_tcp_out *o = out_of(e);
	struct target *t = calloc(1, sizeof *t);
	struct opening *op = calloc(1, sizeof *op);
	(void)now;
	if (!t || !op || cv_end_flow(end)->kind != CV_KIND_STREAM) {
		free(t);
		free(op);
		return t && op ? CULVERT_EINVAL : CULVERT_ENOMEM;
	}
	t->opening = op;
	cv_tcp_end_init(&t->tcp, &o->set, end);
	int r = start(o, t, target, len);
	if (r < 0) {
		cv_tcp_end_drop(&t->tcp);
		end->ctx = NULL;
		gone(&t->tcp);
	}
	return r;
}

static bool not_allowed(struct cv_edge *e, struct cv_end *end)
{
	const struct cv_tcp_out *o = out_of(e);
	struct cv_tcp_end *tcp = end->ctx;
	const struct target *t = tcp ? target_of(tcp) : NULL;
	char scheme[] = "tcp", none[] = "";
	struct cv_url u;
	if (!t || t->opening) /* asked when its address is known */
		return false;
	if (t->trusted)
		return o->moved;
	u.scheme = scheme;
	u.host = t->name ? t->name : none;
	return !cv_policy_allows(o->policy, &u, &cv_end_flow(end)->dst, NULL);
}

void cv_tcp_out_allow(struct cv_tcp_out *o, const char *to)
{
	o->moved = strcmp(o->to, to) != 0;
	snprintf(o->to, sizeof o->to, "%s", to);
	cv_node_close_edge(
		&o->set.loop->node, &o->set.edge, not_allowed, cv_now());
}

static const struct cv_edge_ops ops = {
	.name = "tcp",
	.open = open_end,
	.flush = cv_tcp_end_flush,
	.close = cv_tcp_end_close,
	.stream = cv_tcp_end_stream,
	.resume = cv_tcp_end_resume,
};

struct cv_tcp_out *cv_tcp_out_new(
	struct cv_loop *loop, const struct cv_policy *policy)
{
	struct cv_tcp_out *o = calloc(1, sizeof *o);
	if (!o)
		return NULL;
	cv_tcp_ends_init(&o->set, loop);
	o->set.edge.ops = &ops;
	o->set.gone = gone;
	o->policy = policy;
	o->fds = cv_files_flows();
	return o;
}

struct cv_edge *cv_tcp_out_edge(struct cv_tcp_out *o)
{
	return &o->set.edge;
}

void cv_tcp_out_free(struct cv_tcp_out *o)
{
	if (!o)
		return;
	cv_tcp_ends_clear(&o->set);
	free(o);
}
