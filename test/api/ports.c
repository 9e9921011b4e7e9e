/* SPDX-License-Identifier: MIT */
#include "ports.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in at(int n)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)n),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

int port(int type)
{
	struct sockaddr_in a = at(0);
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void on_beat(struct ev_loop *ev, ev_timer *w, int events)
{
	struct ports *p = w->data;
	(void)ev;
	(void)events;
	p->beats++;
}

static void on_limit(struct ev_loop *ev, ev_timer *w, int events)
{
	struct ports *p = w->data;
	(void)ev;
	(void)events;
	p->late = true;
}

void ports_limit(struct ports *p)
{
	ev_now_update(p->ev);
	ev_timer_stop(p->ev, &p->limit);
	ev_timer_set(&p->limit, 10., 0.);
	ev_timer_start(p->ev, &p->limit);
}

void ports_conf(struct ports *p, const char *serve, const char *client)
{
	snprintf(p->sconf, CONF,
		"[Node]\nPrivateKey = %s\n"
		"[Serve]\nListen = tcp://127.0.0.1:%d\n%s"
		"[Peer client]\nPublicKey = %s\n",
		p->skey.priv, p->tcp, serve, p->ckey.pub);
	snprintf(p->cconf, CONF,
		"[Node]\nPrivateKey = %s\nLogLevel = debug\n"
		"[Peer server]\nPublicKey = %s\nEndpoint = "
		"tcp://127.0.0.1:%d\n%s",
		p->ckey.priv, p->skey.pub, p->tcp, client);
}

void ports_begin(struct ports *p)
{
	memset(p, 0, sizeof *p);
	p->ev = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(p->ev);
	p->tcp = port(SOCK_STREAM);
	p->skey = keys_make();
	p->ckey = keys_make();
	ports_conf(p, "", "");
	ev_timer_init(&p->beat, on_beat, 0.01, 0.01);
	ev_timer_init(&p->limit, on_limit, 10., 0.);
	p->beat.data = p->limit.data = p;
	ev_timer_start(p->ev, &p->beat);
}

void ports_end(struct ports *p)
{
	side_end(&p->client);
	side_end(&p->server);
	ev_timer_stop(p->ev, &p->beat);
	ev_timer_stop(p->ev, &p->limit);
	/* nothing of ours is left on it */
	assert_false(ev_run(p->ev, EVRUN_NOWAIT));
	ev_loop_destroy(p->ev);
}

void ports_up(struct ports *p)
{
	struct culvert_options s = side_options(&p->server),
			       c = side_options(&p->client);
	s.loop = c.loop = p->ev;
	side_new(&p->server, &s, p->sconf);
	side_new(&p->client, &c, p->cconf);
	assert_int_equal(culvert_start(p->server.node), 0);
	assert_int_equal(culvert_start(p->client.node), 0);
	WAIT(p, p->server.up && p->client.up);
}

culvert_flow *ports_open(struct ports *p)
{
	culvert_flow *f;
	unsigned opened = p->client.opened, dgrams = p->server.dgrams;
	assert_int_equal(
		culvert_open(p->client.node, "server", "app://x", &f), 0);
	culvert_send(f, "hello", 5);
	WAIT(p, p->client.opened > opened && p->server.dgrams > dgrams);
	return f;
}

int ports_reload(struct side *s, const char *conf, struct culvert_diag *diag)
{
	return culvert_reload(s->node, conf, strlen(conf), diag);
}

int udp(int bound, int to)
{
	struct sockaddr_in a = at(bound), b = at(to);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	if (to)
		assert_int_equal(
			connect(fd, (struct sockaddr *)&b, sizeof b), 0);
	return fd;
}

static void on_datagram(struct ev_loop *ev, ev_io *w, int events)
{
	(void)events;
	ev_io_stop(ev, w);
	*(bool *)w->data = true;
}

bool arrives(struct ports *p, int fd, const char *text)
{
	char buf[2048];
	bool came = false;
	ev_io io;
	ev_io_init(&io, on_datagram, fd, EV_READ);
	io.data = &came;
	ev_io_start(p->ev, &io);
	WAIT(p, came);
	ssize_t n = recv(fd, buf, sizeof buf, 0);
	return n == (ssize_t)strlen(text) && !memcmp(buf, text, (size_t)n);
}
