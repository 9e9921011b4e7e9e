/* SPDX-License-Identifier: MIT */
/**
 * world.h - virtual time, its events, and the hosts that live in it
 *
 * Nothing here asks the machine for time, randomness or order: a seed is a
 * whole life, and the same seed the same life.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "core/backoff.h"
#include "core/node.h"
#include "sim/events.h"
#include "sim/rng.h"

enum {
	CLIENTS = 4, /* most clients of one server */
	CONVS = 24,  /* most local programs of a client */
	LINKS = 4,   /* most links of a session */
};

/** enum fault - what can go wrong; each seed switches some of it on */
enum fault {
	FAULT_STALL,       /* a connection carries nothing for a while */
	FAULT_SLOW,        /* or only little */
	FAULT_RESET,       /* it is reset, what is under way is lost */
	FAULT_HALF_OPEN,   /* only one end notices */
	FAULT_REFUSE,      /* nobody listens for a while */
	FAULT_HANG,        /* connecting gets no answer for a while */
	FAULT_KILL_SERVER, /* and it is started again */
	FAULT_KILL_CLIENT,
	FAULT_STOP_SERVER, /* the same in order, with a goodbye */
	FAULT_STOP_CLIENT,
	FAULT_FLIP,      /* somebody on the path changes a bit */
	FAULT_REPEAT,    /* and repeats a record */
	FAULT_STRANGER,  /* somebody connects and says something odd */
	FAULT_TWO_IDS,   /* two identities on one connection */
	FAULT_FLOOD,     /* more handshakes than a server wants */
	FAULT_BURST,     /* more than a session may queue, at once */
	FAULT_MEMORY,    /* a low ceiling */
	FAULT_FEW_FLOWS, /* a small flow table */
	FAULT_IDLE,      /* flows idle out soon */
	FAULT_N,
};

extern const char *const fault_name[FAULT_N];

struct world;
struct conn;
struct local;
struct model;

/** struct config - what a seed draws before it begins */
struct config {
	bool plain, psk;
	unsigned clients, convs, links;
	cv_time troubled; /* length of the phase with faults */
	cv_time pause;    /* mean time between two faults */
	cv_time gap;      /* mean time between two sends of a program */
	bool on[FAULT_N];
	uint32_t rate; /* of a healthy connection, bytes a second */
	cv_time delay;
	uint32_t sndbuf;
	uint32_t largest; /* datagram that programs send */
	cv_time idle;     /* of flows */
	size_t memory, flows;
	bool deaf; /* programs go on behind a blocked link */
};

/** struct dialer - fills one place of a client's session, as link/dial.c does
 */
struct dialer {
	struct host *host;
	unsigned number;
	struct event wait, done;
	struct cv_backoff backoff;
	bool busy;
};

/** struct host - a node, its environment and what hangs on it */
struct host {
	struct world *w;
	unsigned no; /* 0: the server, else a client */
	struct cv_env env;
	struct cv_node node;
	struct rng rng;  /* the node's own randomness */
	bool running;    /* between host_start() and host_stop() */
	bool stopping;   /* inside host_stop() */
	cv_time offset;  /* its clock ahead of the world's */
	cv_time max_age; /* as configured */
	uint8_t priv[CV_KEY];
	size_t allocated; /* bytes its node has now */
	struct event tick, start, stop;
	uint64_t spins; /* ticks in a row that followed at once */
	cv_time ticked;
	struct cv_list ends;        /* its connections */
	struct cv_session *session; /* a client's, to the server */
	struct dialer dialer[LINKS];
	struct local *local;
};

/** struct tape - a record that passed by */
struct tape {
	uint8_t bytes[512];
	uint32_t len;
};

struct world {
	uint64_t seed;
	struct rng rng;
	cv_time now;
	struct events events;
	struct config cfg;
	struct host *host[1 + CLIENTS];
	unsigned hosts;
	struct cv_list conns;
	uint32_t conn_serial;
	cv_time refused_until, hung_until; /* the listener */
	struct event trouble, audit;
	bool healed;        /* no more faults, every program is answered */
	bool quiet;         /* programs fall silent */
	int64_t bytes_left; /* that programs may still send */
	struct model *model;
	uint64_t trace; /* FNV-1a over everything that went over a wire */
	uint64_t faults[FAULT_N];
	struct tape tape[8];
	unsigned taped;
	bool failed;
	char why[240];
};

/** event_set() - fire at @when; CV_NEVER: do not */
void event_set(struct world *, struct event *, cv_time when);

/** world_run() - let time pass until @until, or until a rule is broken */
void world_run(struct world *, cv_time until);

/** world_new(), world_free() - hosts are made but not started */
struct world *world_new(uint64_t seed);
void world_free(struct world *);

/** broken() - the oracle found something; the first finding counts */
void broken(struct world *, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** host_start() - a new instance of the node, with a clock of its own */
void host_start(struct host *);

/** host_stop() - it is gone, and everything in it
 * @abrupt:	its connections are not even closed by its kernel
 */
void host_stop(struct host *, bool abrupt);

/** host_now() - what its clock says */
cv_time host_now(const struct host *);

/** host_turn() - the end of a loop turn: flush links, set the timer */
void host_turn(struct host *);

#endif
