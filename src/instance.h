/* SPDX-License-Identifier: MIT */
/* instance.h - struct culvert: a node and everything it holds */
#ifndef CV_INSTANCE_H
#define CV_INSTANCE_H

#include "core/conf_keys.h"
#include "edge/edge_app.h"
#include "edge/edge_frames.h"
#include "edge/edge_frames_out.h"
#include "edge/edge_tcp.h"
#include "edge/edge_tcp_out.h"
#include "edge/edge_udp.h"
#include "edge/edge_udp_out.h"
#include "link/link_app.h"
#include "link/link_tcp.h"
#include "link/link_udp.h"
#include "loop/control.h"
#include "loop/log.h"

#include <stdatomic.h>

/**
 * struct cv_part - what one rule of the configuration was made into
 * @is:		the object
 * @was:	its place in the configuration before, -1: it is new
 * @moved:	a peer's Endpoint is another: @dialer takes over, NULL for none
 */
struct cv_part {
	void *is;
	int was;
	bool moved;
	struct cv_dialer *dialer;
};

/** struct cv_parts - one for each rule, in the order of struct cv_conf */
struct cv_parts {
	struct cv_part *peer;    /* struct cv_session */
	struct cv_part *listen;  /* struct cv_tcp_listener, cv_port or
				    cv_frames_port */
	struct cv_part *forward; /* struct cv_udp_port or cv_tcp_port */
	struct cv_part metrics;  /* struct cv_metrics */
	struct cv_part *far;     /* of each forward: struct cv_frames_out, or
				    none where Via is a peer */
};

struct cv_beacon;

enum { CV_NOTES = 1024 };

struct culvert {
	struct culvert_options options;
	struct cv_env env;
	struct cv_logger log;

	/* what it is: apply.c */
	struct cv_conf conf;
	struct cv_parts parts;
	struct cv_policy policy;
	struct cv_beacon **beacon; /* answer on LAN ports: announce.c */
	unsigned beacons;
	cv_time born; /* when it was first made what a text says */
	char name[64];
	char notes[CV_NOTES]; /* of culvert_note(), a line each */

	/* what it stands on; without a loop, loop.ev is NULL */
	struct cv_loop loop;
	struct cv_udp_io *udp;
	struct cv_udp_out *out;
	struct cv_tcp_out *tcp_out;
	struct cv_app *app;
	struct cv_applinks links;
	struct cv_control *control;

	/* its life: life.c */
	bool made;    /* culvert_new() is through */
	bool started; /* ... culvert_start(); without a loop: knows the time */
	bool running; /* in culvert_run() */
	bool doomed;  /* freed by a callback, as soon as that has returned */
	bool goodbye; /* the orderly stop has come to its last second */
	bool ended;   /* ... and is complete */
	atomic_uint stop_asked; /* how often */
	atomic_bool wake_asked;
	cv_time drain_end; /* of the time that the stop may take */
	ev_async asked;
	ev_prepare turn; /* the last thing in each turn of the loop */
	ev_timer drain_limit;
};

/** cv_env_plain - memory and random numbers of the system; silent */
extern const struct cv_env cv_env_plain;

/** cv_session_named() - the session of a [Peer], or NULL */
struct cv_session *cv_session_named(struct culvert *, const char *name);

/**
 * cv_apply() - Make a node what a configuration says
 * @next:	the configuration; on success it is taken over, and empty
 *
 * What stands in both, the present one and @next, goes on as it is.
 *
 * Return: 0, or an error with nothing changed and @diag filled in
 */
int cv_apply(struct culvert *, struct cv_conf *next, struct culvert_diag *);

/** cv_listen_named() - its place is an address of this machine, not an
 * interface */
bool cv_listen_named(const struct cv_conf_text *);

/** cv_listen_same() - rule @i of @a makes the same port as rule @k of @b */
bool cv_listen_same(const struct cv_conf *a, unsigned i,
	const struct cv_conf *b, unsigned k);

/** cv_listen() - Make rule @i into a port
 * Return: NULL with @why filled in, or "" and errno */
void *cv_listen(struct culvert *, const struct cv_conf *, unsigned i,
	const struct cv_url *, char why[CV_SOCK_WHY]);

/** cv_listen_foreign_max() - connections of a foreign framing: each has two
 * descriptors, and some are for other things */
size_t cv_listen_foreign_max(void);

/** cv_listen_pause() - nobody new comes in; the port, or NULL if it is gone */
void *cv_listen_pause(const struct cv_conf_text *, void *port);

/** cv_unlisten() - close the port that a Listen was made into; NULL is fine */
void cv_unlisten(const struct cv_conf_text *, void *port);

/**
 * cv_forward_listen() - The local port of a [Forward], by the scheme of From
 *
 * Return: the port, or NULL and @why or errno, as cv_sock_listen()
 */
void *cv_forward_listen(struct culvert *, const struct cv_conf_forward *,
	const struct cv_url *from, char why[CV_SOCK_WHY]);

/** cv_forward_iproxied() - its way is iproxy version 1 */
bool cv_forward_iproxied(const struct cv_conf_forward *);

/** cv_forward_streams() - its scheme is tcp */
bool cv_forward_streams(const struct cv_conf_forward *);

/** cv_forward_route() - where its clients go from now on */
void cv_forward_route(void *port, const struct cv_conf_forward *,
	struct cv_session *via, struct cv_edge *far);

/** cv_forward_pause() - no new connections; cv_forward_close() - the end */
void cv_forward_pause(const struct cv_conf_forward *, void *port);
void cv_forward_close(const struct cv_conf_forward *, void *port);

/** cv_announce() - Be found on the LAN ports of its configuration, if that says
 * so; cv_unannounce() - no more */
void cv_announce(struct culvert *);
void cv_unannounce(struct culvert *);

/** cv_hello_discover() - culvert_discover() of iproxy version 1 */
int cv_hello_discover(
	const char *url, const struct culvert_search *, struct culvert_diag *);

/** cv_unapply() - close all that the configuration was made into */
void cv_unapply(struct culvert *);

/** cv_asked() - write the answer to a request of culvert_ask() */
void cv_asked(void *user, const char *request, FILE *);

/** cv_now_of() - the time: the clock's, or what the program said last */
cv_time cv_now_of(const struct culvert *);

/** cv_life_init() - watch for culvert_stop(); cv_life_clear() - no more */
void cv_life_init(struct culvert *);
void cv_life_clear(struct culvert *);

/** cv_life_turn() - what was asked from other threads or by callbacks */
void cv_life_turn(struct culvert *);

/** cv_life_deadline() - when that has something to do, without a loop */
cv_time cv_life_deadline(const struct culvert *);

/** cv_life_over() - destroy it if a callback freed it; true if so */
bool cv_life_over(struct culvert *);

/** cv_destroy() - close and free everything */
void cv_destroy(struct culvert *);

#endif
