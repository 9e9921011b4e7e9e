/* SPDX-License-Identifier: MIT */
/* forward.c - the local port of a [Forward], whatever its scheme */
#include "instance.h"

#include "core/lanurl.h"
#include "edge/iproxy_client.h"

#include <string.h>

bool cv_forward_streams(const struct cv_conf_forward *f)
{
	return cv_conf_is(&f->from, "tcp");
}

bool cv_forward_iproxied(const struct cv_conf_forward *f)
{
	return cv_lanurl_iproxy(f->via);
}

static void *listen_iproxied(struct culvert *c, const struct cv_conf_forward *f,
	const struct cv_url *u, char why[CV_SOCK_WHY])
{
	struct cv_url via;
	cv_url_parse(&via, f->via, strlen(f->via), NULL); /* was checked */
	return cv_iproxy_client_new(&c->loop, u, &via, why);
}

void *cv_forward_listen(struct culvert *c, const struct cv_conf_forward *f,
	const struct cv_url *u, char why[CV_SOCK_WHY])
{
	struct cv_addr at = { 0 };
	if (cv_forward_iproxied(f))
		return listen_iproxied(c, f, u, why);
	if (cv_forward_streams(f))
		return cv_tcp_port_listen(&c->loop, u, why);
	*why = '\0';
	cv_url_addr(u, &at);
	return cv_udp_listen(c->udp, &at);
}

static void route_udp(void *port, const struct cv_conf_forward *f,
	struct cv_session *via, struct cv_edge *far)
{
	struct cv_udp_route r = { .via = via, .far = far };
	struct cv_url u;
	strcpy(r.target, f->to.text); /* checked to be no longer than that */
	if (!cv_url_parse(&u, f->from.text, strlen(f->from.text), NULL)) {
		const char *peer = cv_url_option(&u, "peer");
		if (peer)
			cv_hostport_parse(peer, &r.peer);
	}
	cv_udp_route(port, &r);
}

void cv_forward_route(void *port, const struct cv_conf_forward *f,
	struct cv_session *via, struct cv_edge *far)
{
	if (cv_forward_iproxied(f))
		return; /* it has one way only */
	if (!cv_forward_streams(f)) {
		route_udp(port, f, via, far);
		return;
	}
	struct cv_tcp_route r = { .via = via,
		.far = far,
		.proxied = strstr(f->from.text, "proxy=v2") != NULL };
	strcpy(r.target, f->to.text); /* likewise */
	cv_tcp_port_route(port, &r);
}

void cv_forward_pause(const struct cv_conf_forward *f, void *port)
{
	if (cv_forward_iproxied(f))
		cv_iproxy_client_pause(port);
	else if (cv_forward_streams(f))
		cv_tcp_port_pause(port);
}

void cv_forward_close(const struct cv_conf_forward *f, void *port)
{
	if (cv_forward_iproxied(f))
		cv_iproxy_client_free(port);
	else if (cv_forward_streams(f))
		cv_tcp_port_close(port);
	else
		cv_udp_unlisten(port);
}
