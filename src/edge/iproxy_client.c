/* SPDX-License-Identifier: MIT */
#include "edge/iproxy_client.h"

#include "edge/iproxy_pipe.h"
#include "loop/accept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNS = 1024 };

#define LINGER CV_SEC(3)

struct conn {
	struct cv_iproxy_pipe pipe;
	struct cv_iproxy conn;
	struct cv_list all;
};

struct cv_iproxy_client {
	struct cv_loop *loop;
	struct cv_accept accept;
	struct cv_iproxy_port port;
	struct cv_list conns;
	unsigned count;
	bool accepting;
};

static struct conn *find(struct cv_iproxy_client *c, uint32_t client)
{
	for (struct cv_list *i = c->conns.next; i != &c->conns; i = i->next) {
		struct conn *x = CV_CONTAINER(i, struct conn, all);
		if (x->conn.client == client)
			return x;
	}
	return NULL;
}

static struct cv_iproxy_client *client_of(const struct cv_iproxy_pipe *p)
{
	return CV_CONTAINER(p->port, struct cv_iproxy_client, port);
}

static void over(struct cv_iproxy_pipe *p, bool closed)
{
	struct conn *x = CV_CONTAINER(p, struct conn, pipe);
	struct cv_iproxy_client *c = client_of(p);
	if (!closed)
		cv_log(&c->loop->node, CULVERT_DEBUG,
			"msg=\"connection lost\" link=iproxy server=%u",
			c->port.id);
	cv_list_del(&x->all);
	c->count--;
	free(x);
}

static uint32_t new_id(struct cv_iproxy_client *c)
{
	struct cv_env *env = &c->loop->node.env;
	uint32_t id;
	do {
		env->random(env->user, &id, sizeof id);
	} while (!id || find(c, id));
	return id;
}

static void accepted(struct cv_accept *a, int fd)
{
	struct cv_iproxy_client *c =
		CV_CONTAINER(a, struct cv_iproxy_client, accept);
	struct conn *x = c->count < CONNS ? calloc(1, sizeof *x) : NULL;
	if (!x) {
		c->loop->node.stats.drop[CV_DROP_FLOW_LIMIT]++;
		close(fd);
		return;
	}
	cv_iproxy_init(&x->conn, new_id(c), c->port.id, true, cv_now());
	cv_iproxy_pipe_init(&x->pipe, &c->port, &x->conn);
	x->pipe.over = over;
	x->pipe.linger = LINGER;
	cv_list_init(&x->all);
	cv_list_append(&c->conns, &x->all);
	c->count++;
	cv_iproxy_pipe_up(&x->pipe, fd);
}

static bool input(struct cv_iproxy_port *p, const struct cv_iproxy_packet *x,
	const struct cv_lan_way *from)
{
	struct cv_iproxy_client *c =
		CV_CONTAINER(p, struct cv_iproxy_client, port);
	struct conn *conn = x->server == p->id ? find(c, x->client) : NULL;
	if (!conn || x->flags == CV_IPROXY_HELLO)
		return false;
	cv_iproxy_pipe_input(&conn->pipe, x, from);
	return true;
}

static void changed(struct cv_lan_user *user)
{
	struct cv_iproxy_client *c =
		CV_CONTAINER(user, struct cv_iproxy_client, port.user);
	struct cv_list *l = c->conns.next, *next;
	for (; l != &c->conns; l = next) {
		next = l->next;
		cv_iproxy_pipe_moved(&CV_CONTAINER(l, struct conn, all)->pipe);
	}
}

struct cv_iproxy_client *cv_iproxy_client_new(struct cv_loop *loop,
	const struct cv_url *from, const struct cv_url *via,
	char why[CV_SOCK_WHY])
{
	struct cv_iproxy_client *c = calloc(1, sizeof *c);
	struct cv_addr at = { 0 };
	*why = '\0';
	if (!c || cv_url_addr(from, &at)) {
		free(c);
		errno = ENOMEM;
		return NULL;
	}
	c->loop = loop;
	c->accept.accepted = accepted;
	c->port.input = input;
	c->port.user.changed = changed;
	cv_list_init(&c->conns);
	if (cv_iproxy_port_open(&c->port, loop, via, false, why)) {
		free(c);
		return NULL;
	}
	if (!cv_accept_start(&c->accept, loop, &at, from, why)) {
		c->accepting = true;
		return c;
	}
	int e = errno;
	cv_iproxy_port_close(&c->port);
	free(c);
	errno = e;
	return NULL;
}

void cv_iproxy_client_pause(struct cv_iproxy_client *c)
{
	if (c->accepting)
		cv_accept_stop(&c->accept);
	c->accepting = false;
}

void cv_iproxy_client_free(struct cv_iproxy_client *c)
{
	cv_iproxy_client_pause(c);
	while (!cv_list_empty(&c->conns))
		cv_iproxy_pipe_abort(
			&CV_CONTAINER(c->conns.next, struct conn, all)->pipe);
	cv_iproxy_port_close(&c->port);
	free(c);
}
