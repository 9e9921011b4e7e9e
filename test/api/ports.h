/* SPDX-License-Identifier: MIT */
/**
 * ports.h - a server and a client on one libev loop, over loopback
 *
 * The loop is the program's own: it has a watcher of its own that counts, and
 * one that ends what never comes.
 */
#ifndef PORTS_H
#define PORTS_H

#include "side.h"

#include <ev.h>

struct ports {
	struct ev_loop *ev;
	ev_timer beat, limit;
	unsigned beats;
	bool late;
	struct side server, client;
	struct keys skey, ckey;
	int tcp; /* the server's port */
	char sconf[CONF], cconf[CONF];
};

/** port() - one of 127.0.0.1 that nothing has, SOCK_STREAM or SOCK_DGRAM */
int port(int type);

/** ports_begin(), ports_end() - loop and texts, no node */
void ports_begin(struct ports *);
void ports_end(struct ports *);

/** ports_conf() - the texts again; @serve, @client: more sections or lines */
void ports_conf(struct ports *, const char *serve, const char *client);

/** ports_up() - both nodes are there, started and connected */
void ports_up(struct ports *);

/** ports_open() - a flow from the client to app://x that the server took */
culvert_flow *ports_open(struct ports *);

/** ports_reload() - 0, or what it said */
int ports_reload(struct side *, const char *conf, struct culvert_diag *);

/** WAIT() - turn the loop until @cond holds; fails if it does not in 10 s */
#define WAIT(p, cond)                                                          \
	do {                                                                   \
		ports_limit(p);                                                \
		while (!(cond)) {                                              \
			ev_run((p)->ev, EVRUN_ONCE);                           \
			if ((p)->late)                                         \
				fail_msg("never came: %s\n%s\n%s", #cond,      \
					(p)->client.said, (p)->server.said);   \
		}                                                              \
	} while (0)
void ports_limit(struct ports *);

/** udp() - a socket, bound to @at or any port, connected to @to; 0: neither */
int udp(int at, int to);

/** arrives() - the next datagram at @fd is @text; the loop turns meanwhile */
bool arrives(struct ports *, int fd, const char *text);

#endif
