/* SPDX-License-Identifier: MIT */
/**
 * rig.h - what the suites stand on: nodes, their loops, clock and names
 *
 * Several nodes live in one thread, each with its own real event loop.  One
 * more loop, the driver, wakes when any of them has something to do and runs
 * what plays the world outside: relays, name servers.  Every link and edge
 * test runs on it, so it knows neither.
 */
#ifndef RIG_H
#define RIG_H

#include "unit/check.h"

#include "loop/loop.h"

enum {
	RIG_NODES = 4,
	RIG_SAID = 32 << 10,
	RIG_STAMP = 12, /* bytes: number and time of a datagram */
};

/* so that on a busy machine nothing ages unless a test is about that */
#define RIG_AGE CV_SEC(5)

#define RIG_PATIENCE 10. /* seconds until an event is given up */

/** struct sink - what came out at a memory edge */
struct sink {
	uint64_t dgrams, bytes, trains;
	uint64_t bad, disorder; /* altered, out of order */
	uint32_t seg, len;      /* of the last train */
	uint64_t number;        /* of the last stamped datagram, from 1 */
	cv_time age, oldest;    /* of the first since cleared, at most */
	uint64_t opens, closes;
	struct cv_end *end; /* opened last */
};

struct node {
	struct cv_loop loop;
	struct cv_env env;
	ev_embed embed;
	uint8_t priv[CV_KEY];
	bool up;
	size_t bytes; /* of the environment's allocator, outstanding */
	uint64_t number;
	struct cv_edge edge; /* the memory edge */
	struct sink sink;
	void (*kick)(struct cv_session *);
	char said[RIG_SAID];
	size_t nsaid;
};

/** rig_start() - first thing in main(): makes mallinfo2() exact, which counts
 * what a thread's cache keeps as in use */
void rig_start(char **argv);

/** rig_begin(), rig_end() - before and after each test; rig_end() returns
 * how many nodes, bytes or descriptors were left over */
void rig_begin(void);
int rig_end(void);
struct ev_loop *rig_driver(void);

/** rig_inside - the product is running, not the world around it */
extern bool rig_inside;

/** rig_turn() - let every loop turn once; waits up to 1 ms for an event */
void rig_turn(void);

/** rig_clock() - real time in seconds, untouched by rig_skip() */
double rig_clock(void);

/** rig_skip() - the nodes' clock jumps ahead */
void rig_skip(cv_time us);

/** RIG_WAIT() - turn until @cond holds; fails the test if it never does */
#define RIG_WAIT(cond)                                                         \
	do {                                                                   \
		double end_ = rig_clock() + RIG_PATIENCE;                      \
		while (!(cond)) {                                              \
			if (rig_clock() > end_) {                              \
				rig_report();                                  \
				fail_msg("never came: %s", #cond);             \
			}                                                      \
			rig_turn();                                            \
		}                                                              \
	} while (0)

/** RIG_WHILE() - turn for @seconds, checking that @cond keeps holding */
#define RIG_WHILE(cond, seconds)                                               \
	for (double end_ = rig_clock() + (seconds); rig_clock() < end_;        \
		rig_turn())                                                    \
	assert_true(cond)

/** node_up() - with the identity that belongs to @seed; 0: plain */
void node_up(struct node *, uint8_t seed);

/** node_down() - links, sessions and loop; edges must be closed between
 * node_quiet() and this */
void node_quiet(struct node *);
void node_down(struct node *);

/** node_know() - @n learns of a peer, who has @seed */
struct cv_session *node_know(struct node *n, uint8_t seed);

/** node_peer() - its first session, or NULL */
struct cv_session *node_peer(struct node *);
bool node_is_up(struct node *);

/** node_said() - whether a log line contains @text */
bool node_said(const struct node *, const char *text);

/** node_open() - a flow from the memory edge of @n into its first session */
struct cv_flow *node_open(struct node *n, uint16_t port);

/** node_send() - a train of stamped datagrams; what cv_flow_send() says */
int node_send(struct node *, struct cv_end *, uint32_t seg, uint32_t len);

/** stamp(), stamp_ok() - contents of a datagram, and whether it is whole */
void stamp(uint8_t *p, size_t len, uint64_t number);
bool stamp_ok(const uint8_t *p, size_t len);

/** node_drops() - what @n dropped on its way out, by any name */
uint64_t node_drops(const struct node *n);

/** node_drops_in() - what @n dropped of what came from its peer */
uint64_t node_drops_in(const struct node *n);

/** rig_report() - what every node dropped, for whoever reads a failure */
void rig_report(void);

/** rig_address() - loopback address @host of this process and no other */
struct cv_addr rig_address(uint8_t host);

/** rig_port() - an address of rig_address(), or @at, with an unused port */
struct cv_addr rig_port(int type, const struct cv_addr *at);

/** rig_fds() - open descriptors of this process */
int rig_fds(void);

enum rig_names { NAMES_NONE, NAMES_HELD, NAMES_ALL };

/** rig_names() - the world's only name server: knows no name, does not
 * answer yet, or gives rig_address(1) for every name */
void rig_names(enum rig_names);
unsigned rig_names_asked(void);

#endif
