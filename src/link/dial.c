/* SPDX-License-Identifier: MIT */
#include "link/dial.h"

#include "core/backoff.h"
#include "core/cc.h"
#include "link/link_lan.h"
#include "link/link_tcp.h"
#include "link/link_udp.h"
#include "loop/connect.h"
#include "loop/netlink.h"
#include "loop/resolve.h"
#include "loop/sock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* keeps one place of the session filled */
struct slot {
	struct cv_dialer *dialer;
	struct cv_connect *connect; /* under way, or NULL */
	struct cv_query *query;     /* likewise, of udp:// */
	struct cv_backoff backoff;
	ev_timer wait;
};

struct cv_dialer {
	struct cv_loop *loop;
	struct cv_session *session;
	struct cv_url url;
	bool udp, lan;
	struct cv_port *port;         /* of udp://, once there was a link */
	struct cv_lan_port *lan_port; /* likewise, of lan:// and the like */
	struct cv_moves moves;
	char text[CV_URL_HOST + 32]; /* the endpoint, for people */
	char said[CV_CONNECT_WHY];   /* the last failure that was logged */
	cv_time said_at;
	struct slot slot[CV_LINKS_SESSION];
};

static unsigned number_of(const struct slot *t)
{
	return (unsigned)(t - t->dialer->slot);
}

/* whether there is to be a link in its place, and none is there */
static bool wanted(const struct slot *t)
{
	const struct cv_session *s = t->dialer->session;
	unsigned number = number_of(t);
	return number < cv_session_wants(s) && !s->path[number].link;
}

static void stop(struct slot *t)
{
	ev_timer_stop(t->dialer->loop->ev, &t->wait);
	if (t->connect)
		cv_connect_cancel(t->connect);
	if (t->query)
		cv_resolve_cancel(t->query);
	t->connect = NULL;
	t->query = NULL;
}

static void begin_in(struct slot *t, cv_time wait)
{
	struct ev_loop *ev = t->dialer->loop->ev;
	ev_timer_stop(ev, &t->wait);
	ev_now_update(ev);
	ev_timer_set(&t->wait, (double)wait / 1e6, 0.);
	ev_timer_start(ev, &t->wait);
}

/* the same again is worth a line a minute */
static void complain(struct cv_dialer *d, const char *why)
{
	cv_time now = cv_now();
	bool again = !strcmp(why, d->said) && now - d->said_at < CV_SEC(60);
	if (!again) {
		snprintf(d->said, sizeof d->said, "%s", why);
		d->said_at = now;
	}
	cv_log(&d->loop->node, again ? CULVERT_DEBUG : CULVERT_WARN,
		"msg=\"cannot connect\" peer=%s link=%s error=\"%s\"",
		d->session->name, d->text, why);
}

static void failed(struct slot *t, const char *why)
{
	struct cv_env *env = &t->dialer->loop->node.env;
	uint8_t jitter;
	env->random(env->user, &jitter, 1);
	complain(t->dialer, why);
	begin_in(t, cv_backoff_failed(&t->backoff, jitter));
}

static void on_done(void *user, int fd, const char *why)
{
	struct slot *t = user;
	struct cv_dialer *d = t->dialer;
	char at[CV_ADDRTEXT];
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct cv_addr a = { 0 };
	t->connect = NULL;
	if (fd < 0) {
		failed(t, why);
		return;
	}
	d->said[0] = '\0';
	if (!getpeername(fd, (struct sockaddr *)&ss, &len))
		cv_sock_from(&ss, &a);
	cv_log(&d->loop->node, CULVERT_DEBUG,
		"msg=connected peer=%s link=tcp://%s", d->session->name,
		cv_addr_format(&a, at));
	if (cv_tcp_adopt(d->loop, fd, d->session, number_of(t))) {
		close(fd);
		failed(t, "out of memory");
	}
}

/* the same port for every attempt: a peer that knows us stays up meanwhile */
static int dial_udp(
	struct slot *t, struct cv_addr *a, unsigned n, char why[CV_SOCK_WHY])
{
	struct cv_dialer *d = t->dialer;
	if (!d->port)
		d->port = cv_port_new(d->loop, &d->url, why);
	if (!d->port)
		return -1;
	for (unsigned i = 0; i < n; i++)
		a[i].port = (uint16_t)d->url.port;
	snprintf(why, CV_SOCK_WHY, "out of memory");
	return cv_port_dial(d->port, d->session, a, n);
}

static void on_resolved(
	void *user, const struct cv_addr *addr, unsigned n, const char *no)
{
	struct slot *t = user;
	struct cv_addr a[CV_PORT_ADDRS];
	char why[CV_SOCK_WHY];
	t->query = NULL;
	if (!n) {
		failed(t, no);
		return;
	}
	if (n > CV_PORT_ADDRS)
		n = CV_PORT_ADDRS;
	memcpy(a, addr, n * sizeof *a);
	if (dial_udp(t, a, n, why))
		failed(t, why);
	else
		t->dialer->said[0] = '\0';
}

static void on_moved(struct cv_moves *m)
{
	struct cv_dialer *d = CV_CONTAINER(m, struct cv_dialer, moves);
	if (d->port)
		cv_port_moved(d->port);
}

static void open_lan(struct cv_dialer *d, char why[CV_SOCK_WHY])
{
	struct cv_lanurl url;
	const char *no;
	if (!d->lan_port && !cv_lanurl_parse(&url, &d->url, &no))
		d->lan_port = cv_lan_port_dialler(d->loop, &url, why);
}

/* nobody is asked where the peer is: all are called */
static void dial_lan(struct slot *t)
{
	struct cv_dialer *d = t->dialer;
	char why[CV_SOCK_WHY];
	open_lan(d, why);
	if (!d->lan_port)
		failed(t, why);
	else if (cv_lan_port_dial(d->lan_port, d->session))
		failed(t, "out of memory");
	else
		d->said[0] = '\0';
}

static void on_wait_over(struct ev_loop *ev, ev_timer *w, int events)
{
	struct slot *t = w->data;
	struct cv_dialer *d = t->dialer;
	(void)ev;
	(void)events;
	if (!wanted(t))
		return;
	cv_backoff_began(&t->backoff, cv_now());
	if (d->lan) {
		dial_lan(t);
		return;
	}
	if (d->udp)
		t->query = cv_resolve(d->loop, d->url.host, on_resolved, t);
	else
		t->connect = cv_connect(d->loop, &d->url, on_done, t);
	if (!t->connect && !t->query)
		failed(t, "out of memory");
}

static void kick(struct slot *t)
{
	struct cv_dialer *d = t->dialer;
	if (t->connect || t->query || !wanted(t))
		return;
	cv_time wait = cv_backoff_kicked(
		&t->backoff, d->session->path[number_of(t)].failures, cv_now());
	if (!ev_is_active(&t->wait) ||
		ev_timer_remaining(d->loop->ev, &t->wait) > (double)wait / 1e6)
		begin_in(t, wait);
}

void cv_dialer_kick(struct cv_dialer *d)
{
	for (unsigned i = 0; i < cv_session_wants(d->session); i++)
		kick(&d->slot[i]);
}

struct cv_dialer *cv_dialer_new(
	struct cv_loop *l, struct cv_session *s, const struct cv_url *u)
{
	const char *links = cv_url_option(u, "connections");
	char why[CV_SOCK_WHY];
	struct cv_dialer *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->loop = l;
	d->session = s;
	cv_url_copy(&d->url, u);
	d->udp = !strcmp(u->scheme, "udp");
	d->lan = cv_lanurl_is(u->scheme);
	snprintf(d->text, sizeof d->text, "%s://%s%s%s:%ld", u->scheme,
		u->brackets ? "[" : "", u->host, u->brackets ? "]" : "",
		u->port < 0 ? CV_LAN_PORT : u->port);
	for (unsigned i = 0; i < CV_LINKS_SESSION; i++) {
		ev_timer_init(&d->slot[i].wait, on_wait_over, 0., 0.);
		d->slot[i].wait.data = &d->slot[i];
		d->slot[i].dialer = d;
	}
	s->dials = true;
	s->allowed = links ? (unsigned)strtoul(links, NULL, 10) : 1;
	s->dialer = d;
	d->moves.moved = on_moved;
	if (d->udp)
		cv_moves_watch(l, &d->moves);
	if (d->lan) /* as long as there are privileges; or later, without */
		open_lan(d, why);
	return d;
}

void cv_dialer_free(struct cv_dialer *d)
{
	for (unsigned i = 0; i < CV_LINKS_SESSION; i++)
		stop(&d->slot[i]);
	cv_moves_leave(d->loop, &d->moves);
	if (d->port)
		cv_port_leave(d->port);
	if (d->lan_port)
		cv_lan_port_leave(d->lan_port);
	free(d);
}
