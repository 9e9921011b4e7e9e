/* SPDX-License-Identifier: MIT */
/* fixture_udp.c - UDP ports and UDP targets, joined by the TCP link or, past
   it, by connections in a foreign framing */
#include "conform/edge_suite.h"

#include "edge/edge_frames.h"
#include "edge/edge_frames_out.h"
#include "edge/edge_udp.h"
#include "edge/edge_udp_out.h"
#include "loop/sock.h"

#include <unistd.h>

enum { ROOM = 16 << 20, MOST = 2000 };

static struct {
	struct cv_udp_io *io[2];
	struct cv_udp_port *port;
	struct cv_udp_out *out;
	struct cv_policy policy;
	struct cv_frames_port *in;
	struct cv_frames_out *far;
} udp;

static struct cv_addr open_edges(
	struct node *a, struct node *b, const struct edge_setup *set)
{
	struct cv_addr third = rig_address(3);
	struct cv_addr at = set->at ? *set->at : rig_port(SOCK_DGRAM, &third);
	const char *why;
	memset(&udp, 0, sizeof udp);
	udp.policy.env = &b->env;
	if (set->allow)
		assert_int_equal(
			cv_policy_add(&udp.policy, set->allow, &why), 0);
	udp.io[0] = cv_udp_io_new(&a->loop);
	udp.io[1] = cv_udp_io_new(&b->loop);
	udp.out = cv_udp_out_new(udp.io[1], &udp.policy);
	cv_udp_out_allow(udp.out, set->to ? set->to : "");
	b->loop.node.out[0] = cv_udp_out_edge(udp.out);
	udp.port = cv_udp_listen(udp.io[0], &at);
	assert_non_null(udp.port);
	struct cv_udp_route r = { .via = node_peer(a) };
	if (set->client)
		r.peer = *set->client;
	snprintf(r.target, sizeof r.target, "%s", set->target);
	cv_udp_route(udp.port, &r);
	return at;
}

/* the session is there as well, but nothing goes over it */
static struct cv_addr open_frames(
	struct node *a, struct node *b, const struct edge_setup *set)
{
	struct cv_udp_route r = { .target = "" };
	struct cv_addr third = rig_address(3);
	struct cv_addr place = rig_port(SOCK_STREAM, &third);
	char text[CV_URL_TEXT], to[CV_ADDRTEXT], why[CV_SOCK_WHY];
	struct cv_url u;
	struct cv_addr at = open_edges(a, b, set);
	cv_udp_out_allow(udp.out, set->target);
	snprintf(text, sizeof text, "frames+tcp://%s",
		cv_addr_format(&place, to));
	assert_int_equal(cv_url_parse(&u, text, strlen(text), NULL), 0);
	udp.in = cv_frames_listen(
		&b->loop, &u, cv_udp_out_edge(udp.out), MOST, why);
	udp.far = cv_frames_out_new(&a->loop, &u);
	assert_non_null(udp.in);
	assert_non_null(udp.far);
	r.far = cv_frames_out_edge(udp.far);
	cv_udp_route(udp.port, &r);
	return at;
}

static void close_edges(void)
{
	if (udp.port)
		cv_udp_unlisten(udp.port);
	if (udp.far)
		cv_frames_out_free(udp.far);
	if (udp.in)
		cv_frames_unlisten(udp.in);
	cv_udp_out_free(udp.out);
	cv_udp_io_free(udp.io[0]);
	cv_udp_io_free(udp.io[1]);
	if (udp.policy.env)
		cv_policy_clear(&udp.policy);
	memset(&udp, 0, sizeof udp);
}

static void url(const struct cv_addr *a, char out[CV_URL_TEXT])
{
	char at[CV_ADDRTEXT];
	snprintf(out, CV_URL_TEXT, "udp://%s", cv_addr_format(a, at));
}

static int at(const struct cv_addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = cv_sock_addr(a, &ss);
	int fd = cv_sock_new(a, SOCK_DGRAM);
	assert_true(fd >= 0);
	cv_sock_buffer(fd, true, ROOM);
	cv_sock_buffer(fd, false, ROOM);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static int client(const struct cv_addr *from, const struct cv_addr *to)
{
	struct cv_addr any = { .family = to ? to->family : CV_AF_INET };
	struct sockaddr_storage ss;
	int fd = at(from ? from : &any);
	if (!to)
		return fd;
	socklen_t len = cv_sock_addr(to, &ss);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

const struct edge_fixture edge_udp_fixture = {
	.name = "udp",
	.flags = EDGE_DATAGRAMS | EDGE_TARGETS | EDGE_ANY | EDGE_BIND |
		 EDGE_LINK,
	.link = &link_tcp_fixture,
	.open = open_edges,
	.close = close_edges,
	.url = url,
	.client = client,
	.target = at,
};

const struct edge_fixture edge_frames_fixture = {
	.name = "frames",
	.flags = EDGE_DATAGRAMS | EDGE_ANY,
	.link = &link_tcp_fixture,
	.open = open_frames,
	.close = close_edges,
	.url = url,
	.client = client,
	.target = at,
};
