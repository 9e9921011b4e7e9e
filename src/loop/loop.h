/* SPDX-License-Identifier: MIT */
/**
 * loop.h - what links and edges share: the event loop and the clock
 *
 * DOC: One turn: wait; read every socket that has something (datagrams go
 * into session queues, packets through the node to edges); then, just before
 * waiting again, every link that has something to send is flushed once.
 *
 * The event loop waits in whole milliseconds, and trains are paced in
 * microseconds: deadlines that are near are a timerfd's.
 *
 * Waking up costs both ends more than a datagram does.  Where datagrams come
 * fast but few at a time the loop sleeps for what is left of CV_BREATH before
 * it waits: as network cards moderate their interrupts.
 */
#ifndef CV_LOOP_H
#define CV_LOOP_H

#include "core/node.h"

#include <ev.h>

struct cv_netlink;
struct cv_resolver;
struct cv_udp_io;

enum {
	CV_RX_AREA = 128 << 10, /* bytes read from a stream at once */
};

/** struct cv_breath - how busy the loop is, and with how little at a time */
struct cv_breath {
	cv_time since;   /* start of the window being counted */
	uint64_t dgrams; /* sent to peers by then */
	unsigned turns;  /* since then */
	bool deep;       /* the last window says: take more at a time */
	cv_time woke;    /* when the last turn began */
};

struct cv_loop {
	struct ev_loop *ev;
	struct cv_node node;
	ev_prepare prepare;
	ev_timer timer;
	ev_io alarm;   /* a timerfd, for what is near; its fd -1: none */
	cv_time armed; /* what the timer or the alarm is set to */
	bool near;     /* it is the alarm */
	bool own;      /* the event loop is ours alone */
	struct cv_breath breath;
	uint8_t *area; /* CV_RX_AREA + CV_PACKET_MAX, shared by all streams */
	struct cv_resolver *resolver;
	struct cv_udp_io *udp;      /* once there is one */
	struct cv_netlink *netlink; /* while somebody asks: netlink.h */
	struct cv_list lans;        /* ports on every interface: lan.h */
	const int *fds; /* listening sockets that exist, while it is made */
	size_t nfds;
	bool no_mptcp; /* the kernel has none, which was said */
};

/** struct cv_loop_size - how much a node may hold */
struct cv_loop_size {
	size_t memory, flows; /* bytes of all buffers; flows */
};

/**
 * cv_loop_init() - @ev: the loop to live on; NULL: one of its own
 * Return: 0 or CULVERT_ENOMEM; cv_loop_clear() also after that
 */
int cv_loop_init(struct cv_loop *, const struct cv_env *,
	const struct cv_loop_size *, struct ev_loop *ev);
void cv_loop_clear(struct cv_loop *);

/** cv_now() - CLOCK_MONOTONIC, µs */
cv_time cv_now(void);

#endif
