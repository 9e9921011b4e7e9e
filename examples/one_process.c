/* SPDX-License-Identifier: MIT */
/**
 * one_process.c - a server and a client in one program, on one libev loop
 *
 * What a VPN app does, in small: both nodes are made of text, live on the
 * program's own event loop beside its other watchers, and speak to each other
 * in datagrams, without any UDP socket.  Here both ends are in one process so
 * that you can see all of it happen.
 *
 *	cc one_process.c $(pkg-config --cflags --libs culvert) -lev
 */
#include <culvert.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 3 };

/* what one of the two nodes is, handed to each of its callbacks */
struct end {
	const char *name;
	culvert *node;
	unsigned answers;
	struct end *other;
};

static void state(void *user, const char *peer, enum culvert_peer_state s)
{
	struct end *e = user;
	printf("%s: %s is %s\n", e->name, peer,
		s == CULVERT_PEER_UP ? "up" : "down");
}

/* the server's: whoever is a peer may talk to app://echo, nothing else */
static int accept_flow(
	void *user, culvert_flow *flow, const char *peer, const char *target)
{
	struct end *e = user;
	(void)flow;
	printf("%s: %s asks for %s\n", e->name, peer, target);
	return strcmp(target, "app://echo") ? CULVERT_EREFUSED : 0;
}

static void echo(void *user, culvert_flow *flow, const void *data, size_t len)
{
	(void)user;
	culvert_send(flow, data, len);
}

/* the client's: three answers are enough */
static void answer(void *user, culvert_flow *flow, const void *data, size_t len)
{
	struct end *e = user;
	printf("%s: got \"%.*s\"\n", e->name, (int)len, (const char *)data);
	if (++e->answers < ROUNDS) {
		culvert_send(flow, "and again", 9);
		return;
	}
	culvert_close(flow);
	/* in good order: the other end hears of it at once */
	culvert_stop(e->node);
	culvert_stop(e->other->node);
}

/* @closed means that the peer ended or refused a flow of ours */
static void closed(void *user, culvert_flow *flow, int why)
{
	struct end *e = user;
	(void)flow;
	printf("%s: flow ended: %s\n", e->name, culvert_strerror(why));
}

/* a node may be freed from within any callback; the loop ends with the last */
static void stopped(void *user)
{
	struct end *e = user;
	printf("%s: stopped\n", e->name);
	culvert_free(e->node);
	e->node = NULL;
}

static void make(struct end *e, struct ev_loop *loop, const char *conf)
{
	struct culvert_diag diag;
	int server = !strcmp(e->name, "server");
	struct culvert_options options = {
		.size = sizeof options,
		.loop = loop,
		.user = e,
		.state = state,
		.accept = server ? accept_flow : NULL,
		.dgram = server ? echo : answer,
		.closed = closed,
		.stopped = stopped,
	};
	/* the text is that of a file: see culvert(1) */
	if (culvert_new(&e->node, conf, strlen(conf), &options, &diag)) {
		fprintf(stderr, "%s: line %u: %s\n", e->name, diag.line,
			diag.text);
		exit(1);
	}
	culvert_start(e->node);
}

int main(int argc, char **argv)
{
	const char *port = argc > 1 ? argv[1] : "34567";
	char key[2][CULVERT_KEYTEXT], pub[2][CULVERT_KEYTEXT], conf[1000];
	struct end server = { .name = "server" }, client = { .name = "client" };
	struct ev_loop *loop = ev_default_loop(0);
	culvert_flow *flow;
	client.other = &server;

	/* an app keeps the private key and hands out the public one */
	for (int i = 0; i < 2; i++)
		if (culvert_genkey(key[i], 0) || culvert_pubkey(pub[i], key[i]))
			return 1;
	snprintf(conf, sizeof conf,
		"[Node]\nPrivateKey = %s\n[Serve]\nListen = "
		"tcp://127.0.0.1:%s\n"
		"[Peer client]\nPublicKey = %s\n",
		key[0], port, pub[1]);
	make(&server, loop, conf);
	snprintf(conf, sizeof conf,
		"[Node]\nPrivateKey = %s\n[Peer server]\nPublicKey = %s\n"
		"Endpoint = tcp://127.0.0.1:%s\n",
		key[1], pub[0], port);
	make(&client, loop, conf);

	/* need not wait until the peer is up: datagrams do, for a second */
	if (culvert_open(client.node, "server", "app://echo", &flow))
		return 1;
	culvert_send(flow, "hello", 5);

	/* your own watchers go on this loop as well */
	ev_run(loop, 0);
	return client.answers == ROUNDS ? 0 : 1;
}
