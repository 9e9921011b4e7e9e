/* SPDX-License-Identifier: MIT */
/* host.h - a node, its port, and the steps of link_udp.c on it */
#ifndef SIM_UDP_HOST_H
#define SIM_UDP_HOST_H

#include "sim/udp/world.h"

struct packet;

struct host {
	struct world *w;
	unsigned no; /* 0: the server */
	struct cv_env env;
	struct cv_node node;
	struct rng rng; /* the node's own randomness */
	bool running, stopping;
	unsigned lives; /* how often it was started, ... */
	cv_time born;   /* ... and when, the last time */
	cv_time offset; /* its clock ahead of the world's */
	uint8_t priv[CV_KEY];
	size_t allocated;
	struct cv_addr at; /* as others see it */
	struct cv_link port;
	struct cv_list links;
	struct packet *first, *last; /* that came in */
	unsigned waiting;            /* how many */
	struct event tick, start, stop, read, dial;
	struct cv_backoff backoff;
	struct cv_session *session; /* a client's, to the server */
	struct cv_edge talks, chats;
	struct cv_list pieces; /* talk.c: sides with something to flush */
	uint64_t spins;
	cv_time ticked;
	uint64_t packet_drops[CV_DROP_N];
};

struct host *host_new(struct world *, unsigned no);
void host_free(struct host *);

/** host_start() - a new instance of the node, with a clock of its own */
void host_start(struct host *);

/** host_stop() - it is gone, and everything in it */
void host_stop(struct host *);

cv_time host_now(const struct host *);

/** host_turn() - the end of a loop turn: flush links, set the timer */
void host_turn(struct host *);

/** host_tell() - what its sessions are like, for --verbose */
void host_tell(const struct host *);

/** host_target() - the number in a target's name */
unsigned host_target(const char *target, size_t len);

/** host_hears() - a packet came in */
void host_hears(struct host *, struct packet *);

#endif
