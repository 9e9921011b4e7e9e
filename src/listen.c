/* SPDX-License-Identifier: MIT */
/* listen.c - the port that a Listen is made into, whatever its scheme */
#include "instance.h"

#include "core/framing.h"
#include "edge/iproxy_server.h"
#include "link/dial.h"
#include "link/link_lan.h"
#include "loop/files.h"

#include <stdio.h>
#include <string.h>

struct listening {
	struct culvert *c;
	const struct cv_conf_text *text, *to;
	const struct cv_url *url;
	char *why; /* CV_SOCK_WHY */
};

size_t cv_listen_foreign_max(void)
{
	unsigned fds = cv_files_limit();
	return fds > 256 ? (fds - 128) / 2 : 64;
}

static bool is_foreign(const char *text)
{
	return cv_framing_of(text) != 0;
}

static void *listen_foreign(const struct listening *l)
{
	struct culvert *c = l->c;
	struct cv_addr at;
	void *port = cv_frames_listen(&c->loop, l->url, cv_udp_out_edge(c->out),
		cv_listen_foreign_max(), l->why);
	if (port && !cv_url_addr(l->url, &at) && !cv_addr_loopback(&at))
		cv_log(&c->loop.node, CULVERT_WARN,
			"msg=\"whoever reaches this port reaches To: it is "
			"neither authenticated nor encrypted\" link=%s to=%s",
			l->text->text, l->to->text);
	return port;
}

static void pause_foreign(void *port)
{
	cv_frames_pause(port);
}

static void close_foreign(void *port)
{
	cv_frames_unlisten(port);
}

static void *listen_lan(const struct listening *l)
{
	struct cv_lanurl url;
	const char *no;
	if (!cv_lanurl_parse(&url, l->url, &no))
		return cv_lan_port_listen(&l->c->loop, &url, l->why);
	snprintf(l->why, CV_SOCK_WHY, "%s", no);
	return NULL;
}

static void pause_lan(void *port)
{
	cv_lan_port_pause(port);
}

static void close_lan(void *port)
{
	cv_lan_port_unlisten(port);
}

static void *listen_iproxy(const struct listening *l)
{
	struct cv_url to;
	/* was checked */
	cv_url_parse(&to, l->to->text, strlen(l->to->text), NULL);
	return cv_iproxy_server_new(&l->c->loop, l->url, &to, l->why);
}

static void pause_iproxy(void *port)
{
	cv_iproxy_server_pause(port);
}

static void close_iproxy(void *port)
{
	cv_iproxy_server_free(port);
}

static bool is_udp(const char *text)
{
	return !strncmp(text, "udp:", 4);
}

static void *listen_udp(const struct listening *l)
{
	struct cv_addr at;
	cv_url_addr(l->url, &at); /* it is a number: cv_listen_named() */
	return cv_port_listen(&l->c->loop, &at, l->url, l->why);
}

static void pause_udp(void *port)
{
	cv_port_pause(port);
}

static void close_udp(void *port)
{
	cv_port_unlisten(port);
}

static bool is_any(const char *text)
{
	(void)text;
	return true;
}

static void *listen_tcp(const struct listening *l)
{
	struct cv_addr at;
	cv_url_addr(l->url, &at); /* likewise */
	return cv_tcp_listen(&l->c->loop, &at, l->url, l->why);
}

static void close_tcp(void *port)
{
	cv_tcp_unlisten(port);
}

/* @pause: what goes on in it does so until it is closed; NULL: all that goes
   on lives without the port */
static const struct kind {
	bool (*is)(const char *text);
	bool named; /* its place is an address of this machine */
	void *(*listen)(const struct listening *);
	void (*pause)(void *port);
	void (*close)(void *port);
} kinds[] = {
	{ is_foreign, true, listen_foreign, pause_foreign, close_foreign },
	{ cv_lanurl_is, false, listen_lan, pause_lan, close_lan },
	{ cv_lanurl_iproxy, false, listen_iproxy, pause_iproxy, close_iproxy },
	{ is_udp, true, listen_udp, pause_udp, close_udp },
	{ is_any, true, listen_tcp, NULL, close_tcp },
};

static const struct kind *kind_of(const struct cv_conf_text *t)
{
	const struct kind *k = kinds;
	while (!k->is(t->text))
		k++;
	return k;
}

bool cv_listen_named(const struct cv_conf_text *t)
{
	return kind_of(t)->named;
}

bool cv_listen_same(const struct cv_conf *a, unsigned i,
	const struct cv_conf *b, unsigned k)
{
	const struct cv_conf_text *t = &a->listen[i];
	if (strcmp(t->text, b->listen[k].text) != 0)
		return false;
	/* of these the target belongs to the port */
	return !cv_lanurl_iproxy(t->text) || !strcmp(a->to.text, b->to.text);
}

void *cv_listen(struct culvert *c, const struct cv_conf *conf, unsigned i,
	const struct cv_url *url, char why[CV_SOCK_WHY])
{
	struct listening l = { c, &conf->listen[i], &conf->to, url, why };
	return kind_of(l.text)->listen(&l);
}

void *cv_listen_pause(const struct cv_conf_text *t, void *port)
{
	const struct kind *k = kind_of(t);
	if (k->pause)
		k->pause(port);
	else if (port)
		k->close(port);
	return k->pause ? port : NULL;
}

void cv_unlisten(const struct cv_conf_text *t, void *port)
{
	if (port)
		kind_of(t)->close(port);
}
