/* SPDX-License-Identifier: MIT */
/**
 * net.h - the nodes of a pair, joined by datagrams
 *
 *	   node[A] ── link ── port ~~~ parcels ~~~ port ── link ── node[B]
 *
 * A dials B.  What becomes of each parcel is the test's: it may be lost, late,
 * changed, or come from elsewhere.  Where nobody is, nothing arrives.
 */
#ifndef NET_H
#define NET_H

#include "unit/pair.h"

struct net;

/** struct parcel - a packet under way */
struct parcel {
	struct parcel *next;
	cv_time at; /* when it arrives */
	int to;     /* side */
	struct cv_addr from, dest;
	size_t len;
	uint8_t data[];
};

/** struct port - a socket */
struct port {
	struct cv_link link;
	struct net *net;
	int side;
	bool barren; /* has no memory for links */
};

struct net {
	struct pair *p;
	struct port port[2];
	struct cv_list links; /* of both sides */
	struct parcel *first; /* in the order of arrival */
	struct cv_addr addr[2];
	cv_time delay;     /* one way */
	uint32_t mtu;      /* larger ones are lost, IP and UDP included */
	uint32_t device;   /* of the interface, which refuses larger ones */
	uint32_t said_mtu; /* of links to come: what is known of that */
	uint8_t cc;        /* of these: enum cv_cc_kind */
	uint64_t sent, lost;
	uint64_t bytes[2]; /* sent by each, payload of UDP */
	unsigned idle;     /* turns of the clock in which nothing happened */
	/* before it leaves; false: it is lost */
	bool (*fate)(struct net *, struct parcel *);
	void *user;
	uint64_t seed;
};

/** net_new() - both nodes, nothing dialled; net_free() - nothing is left */
struct net *net_new(bool plain);
void net_free(struct net *);

/** net_init(), net_clear() - the same around @p, which the caller has */
void net_init(struct net *, struct pair *p);
void net_clear(struct net *);

/** net_dial() - a link from A to B */
struct cv_link *net_dial(struct net *);

/** net_up() - the same, and the handshake is done */
void net_up(struct net *);

/** net_settle() - what happens now; net_run() - ... until then */
void net_settle(struct net *);
void net_run(struct net *, cv_time until);

/** net_move() - @side has another address, of the same host or not */
void net_move(struct net *, int side, bool same);

/** net_hang_up() - links of a side are closed without a word */
void net_hang_up(struct net *, int side);

/** net_restart() - @side forgets everything, as a killed process does */
void net_restart(struct net *, int side);

/** net_post() - @len bytes arrive at @to now, from anywhere
 * Return: what cv_node_input() said */
int net_post(struct net *, int to, const struct cv_addr *from,
	const uint8_t *data, size_t len);

/** net_seal() - frames as a packet of @side's, with its next number, and one
 * that was never sent; bytes at @p */
size_t net_seal(
	struct net *, int side, const void *frames, size_t len, uint8_t *p);

/** net_inject() - frames as a packet of @side's, which arrives now
 * Return: what cv_node_input() said */
int net_inject(struct net *, int side, const void *frames, size_t len);

/** net_inject_frame() - the same of one that cv_frame_put() writes */
int net_inject_frame(struct net *, int side, const struct cv_frame *);

/** net_transport() - of @side's session with the other; B plain: its only one
 */
struct cv_transport *net_transport(struct net *, int side);

#endif
