/* SPDX-License-Identifier: MIT */
#include "edge/iproxy_asker.h"

#include <string.h>

static void copy(char out[CV_IPROXY_TEXT], const struct cv_iproxy_packet *x)
{
	uint32_t n = x->len < CV_IPROXY_TEXT ? x->len : CV_IPROXY_TEXT - 1;
	for (uint32_t i = 0; i < n; i++) {
		bool printable = x->data[i] >= ' ' && x->data[i] <= '~';
		out[i] = printable ? (char)x->data[i] : '?';
	}
	out[n] = '\0';
}

/* one server is heard by several ways: its text tells */
static bool known(const struct cv_iproxy_asker *a, const char *text)
{
	for (unsigned i = 0; i < a->n; i++)
		if (!strcmp(a->heard[i].text, text))
			return true;
	return false;
}

static bool input(struct cv_iproxy_port *p, const struct cv_iproxy_packet *x,
	const struct cv_lan_way *from)
{
	struct cv_iproxy_asker *a =
		CV_CONTAINER(p, struct cv_iproxy_asker, port);
	struct cv_iproxy_heard h = { .id = x->server, .from = *from };
	if (x->flags != CV_IPROXY_HELLO || x->client != a->client)
		return false;
	copy(h.text, x);
	h.rtt = cv_now() - a->last;
	if (a->n < CV_IPROXY_HEARD && !known(a, h.text))
		a->heard[a->n++] = h;
	return true;
}

int cv_iproxy_asker_open(struct cv_iproxy_asker *a, struct cv_loop *loop,
	const struct cv_url *url, char why[CV_SOCK_WHY])
{
	struct cv_env *env = &loop->node.env;
	a->port.input = input;
	a->asked = a->n = 0;
	env->random(env->user, &a->client, sizeof a->client);
	return cv_iproxy_port_open(&a->port, loop, url, false, why);
}

void cv_iproxy_asker_ask(struct cv_iproxy_asker *a)
{
	struct cv_iproxy_packet x = { .flags = CV_IPROXY_LIST,
		.client = a->client,
		.server = CV_IPROXY_LIST_SID };
	a->asked++;
	a->last = cv_now();
	cv_iproxy_port_call(&a->port, &x);
}

void cv_iproxy_asker_close(struct cv_iproxy_asker *a)
{
	cv_iproxy_port_close(&a->port);
}
