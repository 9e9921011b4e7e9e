/* SPDX-License-Identifier: MIT */
/**
 * world.h - nodes joined by a network that loses, delays and doubles packets
 *
 * A seed is a whole life, as in the other world.  There is a server, and one
 * or two clients with a port each; streams and datagrams go between them.
 */
#ifndef SIM_UDP_WORLD_H
#define SIM_UDP_WORLD_H

#include "core/backoff.h"
#include "core/node.h"
#include "core/transport.h"
#include "sim/events.h"
#include "sim/rng.h"

enum {
	HOSTS = 3,
	TALKS = 48, /* most streams of a life */
	CHATS = 6,  /* most datagram flows */
	BATCH = 16, /* packets of one read */
	CUTS = 256, /* lists of datagrams in parts, by number */
};

/** enum fault - what can go wrong; each seed switches some of it on */
enum fault {
	FAULT_LOSS,
	FAULT_BURSTS,  /* of loss: Gilbert and Elliott's model */
	FAULT_JITTER,  /* which reorders */
	FAULT_REORDER, /* some packets are late */
	FAULT_TWICE,
	FAULT_FLIP,       /* a bit is changed */
	FAULT_BOTTLENECK, /* slow, with a short queue */
	FAULT_HOLE,       /* large packets vanish, from a time on */
	FAULT_TOO_BIG,    /* and the system refuses some */
	FAULT_PORT,       /* a client has another port ... */
	FAULT_ADDRESS,    /* ... or another address */
	FAULT_CUT,        /* nothing passes for a while, ... */
	FAULT_CUT_LONG,   /* ... for longer than links live */
	FAULT_CRASH_SERVER,
	FAULT_CRASH_CLIENT,
	FAULT_STOP_SERVER, /* the same in order, with a goodbye */
	FAULT_STOP_CLIENT,
	FAULT_SPOOF,  /* somebody's copy is there first, from elsewhere */
	FAULT_LONG,   /* a life in which keys grow old */
	FAULT_FULL,   /* a socket takes no more for a while */
	FAULT_ABORT,  /* programs break off */
	FAULT_REFUSE, /* targets are not there */
	FAULT_SLOW,   /* programs read little */
	FAULT_MEMORY, /* a low ceiling */
	FAULT_N,
};

extern const char *const fault_name[FAULT_N];

struct world;
struct host;
struct talk;
struct chat;
struct cut;

/** struct weather - of one direction; chances are of a million */
struct weather {
	uint32_t loss, enter, leave, burst; /* the last: inside bursts */
	cv_time delay, jitter;
	uint32_t reorder, twice, flip, spoof;
	cv_time late;   /* of the reordered */
	uint64_t rate;  /* bytes a second; 0: any */
	uint32_t queue; /* bytes */
	uint32_t mtu;   /* larger packets vanish */
};

struct way {
	struct weather now;
	bool bad; /* inside a burst */
	cv_time free_at, cut_until;
	cv_time last; /* packet */
};

/** struct config - what a seed draws before it begins */
struct config {
	bool plain, psk, v6;
	unsigned clients, talks, chats, cc;
	bool on[FAULT_N];
	struct weather weather[HOSTS];
	cv_time troubled; /* length of the phase with faults */
	cv_time pause;    /* mean time between two faults that happen */
	cv_time nap;      /* longest between arrival and reading */
	uint32_t device;  /* MTU that interfaces say they have */
	uint32_t most;    /* that they take */
	size_t memory;
	uint64_t bytes; /* that all streams may have */
};

/** struct tally - datagrams, by what became of them, and packets */
struct tally {
	uint64_t handed, doubled;          /* in */
	uint64_t delivered, dropped, lost; /* out: by a node, in nets */
	uint64_t cut;                      /* in parts */
	uint64_t packets, lost_packets, bytes;
	uint64_t streams, complete, broken_off;
	cv_time longest; /* from healing to the end of all streams */
};

struct world {
	uint64_t seed;
	struct rng rng;
	cv_time now;
	struct events events;
	struct config cfg;
	struct host *host[HOSTS];
	unsigned hosts;
	struct way way[HOSTS][2]; /* of each client: up, down */
	struct cv_list flying;    /* packets */
	struct talk *talk;
	struct chat *chat;
	struct cut *cut[CUTS];
	struct event trouble;
	bool healed, crashed;
	bool lax; /* streams may end for want of memory or of a peer */
	struct tally tally;
	uint64_t trace;
	uint64_t faults[FAULT_N];
	bool failed;
	char why[240];
};

extern bool verbose;

/** event_set() - fire at @when; CV_NEVER: do not */
void event_set(struct world *, struct event *, cv_time when);
void world_run(struct world *, cv_time until);

/** world_new() - from a seed, or of a given kind; hosts are not started */
struct world *world_new(uint64_t seed, const struct config *);
void world_free(struct world *);

/** broken() - the oracle found something; the first finding counts */
void broken(struct world *, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** say() - a line of --verbose */
void say(struct world *, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** odds() - true in @n of a million */
static inline bool odds(struct rng *r, uint32_t n)
{
	return n && below(r, 1000000) < n;
}

/* fate.c */
void fate_draw(struct world *);
void fate_begin(struct world *);
void fate_heal(struct world *);

/* seal.c: cheap cryptography that the oracle can read */
void seals_begin(struct world *);

#endif
