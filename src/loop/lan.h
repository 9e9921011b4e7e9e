/* SPDX-License-Identifier: MIT */
/**
 * lan.h - one UDP port on every interface, for who has no address to go by
 *
 * DOC: A *way* is how a packet gets to a neighbour, or to all of them: an
 * interface, a kind, and for one neighbour its address or its hardware address.
 * Nothing of it needs an address or a route of ours: everything leaves by
 * interface index.  Interfaces that come and go are followed by netlink.
 *
 * With CAP_NET_RAW a packet socket hears what the kernel would not deliver for
 * the sender's address (no address here, or reverse path filter), and *frame*
 * ways write whole frames with source 0.0.0.0, which every receiver takes.
 * What goes to a group or everybody of IPv4 is then given as that frame alone.
 *
 * A port belongs to the loop and is shared: each of its users is offered what
 * comes in until one takes it.
 */
#ifndef CV_LAN_H
#define CV_LAN_H

#include "core/frame.h"
#include "loop/loop.h"
#include "loop/sock.h"

enum cv_lan_kind {
	CV_LAN_UNICAST,    /* to @addr */
	CV_LAN_FRAME,      /* a frame to @mac, IPv4 0.0.0.0 > 255.255.255.255 */
	CV_LAN_MULTICAST6, /* to the group, or ff02::1, of IPv6 */
	CV_LAN_BROADCAST,  /* to 255.255.255.255 */
	CV_LAN_MULTICAST4, /* to the group of IPv4 */
	CV_LAN_FRAMECAST,  /* a frame to every station */
	CV_LAN_KINDS
};

/** masks of kinds */
enum {
	CV_LAN_ONE = 1 << CV_LAN_UNICAST | 1 << CV_LAN_FRAME,
	CV_LAN_ALL = (1 << CV_LAN_KINDS) - 1,
	CV_LAN_CASTS = CV_LAN_ALL & ~CV_LAN_ONE,
	CV_LAN_HOSTS = 1 << CV_LAN_KINDS, /* groups of all hosts, too */
};

struct cv_lan_way {
	uint32_t ifindex;
	uint8_t kind;        /* enum cv_lan_kind */
	uint8_t mac[6];      /* of a frame's neighbour, else zero */
	struct cv_addr addr; /* where it goes to; of what came in: its source */
};

/**
 * struct cv_lan_msg - what came in
 * @way:	its source: kind UNICAST with an address, or FRAME with a
 *hardware address, whichever an answer can go to; by which interface
 * @cast:	it went to a group or to everybody
 * @train:	bytes, as datagrams of equal size (the last may be shorter)
 */
struct cv_lan_msg {
	struct cv_lan_way way;
	bool cast;
	struct cv_frame train;
};

/**
 * struct cv_lan_user
 * @input:	true if it took it; the bytes are gone afterwards
 * @changed:	interfaces or addresses have; may be NULL
 */
struct cv_lan_user {
	struct cv_list list;
	bool (*input)(struct cv_lan_user *, const struct cv_lan_msg *);
	void (*changed)(struct cv_lan_user *);
};

/**
 * struct cv_lan_options
 * @kinds:	mask of those that are sent and heard; UNICAST is always
 * @ifname:	the one interface, or "" for all that are up and no loopback
 * @port:	to be bound
 * @fallback:	any other port if that one is taken
 * @at:		bind to this address alone, its port left out; family NONE: to
 *		all.  Then there are no groups and no frames
 * @group4, @group6: family NONE for ours, CV_LAN_GROUP4 and CV_LAN_GROUP6
 * @hops:	of multicast; 0: 255, which no router lets out of a link-local
 *		group
 */
struct cv_lan_options {
	unsigned kinds;
	char ifname[16];
	uint16_t port;
	bool fallback;
	struct cv_addr at;
	struct cv_addr group4, group6;
	uint8_t hops;
};

#define CV_LAN_GROUP4 "239.255.67.86"
#define CV_LAN_GROUP6 "ff12::e043:5654"
enum {
	CV_LAN_PORT = 17238,   /* of who serves */
	CV_LAN_ASKING = 17239, /* of who asks: fixed, for firewalls' sake */
};

struct cv_ifaces;
struct cv_lan;

/**
 * cv_lan_open() - Use a port; one that is open with the same options is shared
 *
 * Return: NULL with @why filled in (one line, no dot)
 */
struct cv_lan *cv_lan_open(struct cv_loop *, const struct cv_lan_options *,
	struct cv_lan_user *, char why[CV_SOCK_WHY]);

/** cv_lan_close() - @user uses it no more; the last one closes it */
void cv_lan_close(struct cv_lan *, struct cv_lan_user *user);

/** cv_lan_loop(), cv_lan_port() - its loop; the port that was bound */
struct cv_loop *cv_lan_loop(const struct cv_lan *);
uint16_t cv_lan_port(const struct cv_lan *);

/** cv_lan_frames() - it may send and hear frames (CAP_NET_RAW) */
bool cv_lan_frames(const struct cv_lan *);

/**
 * cv_lan_casts() - Every way to everybody: of each interface that is up the
 * kinds in @kinds that it has now; with CV_LAN_HOSTS also to the groups of all
 * hosts (ff02::1, 224.0.0.1)
 * @port:	to be sent to
 *
 * Return: how many were filled in, at most @max
 */
unsigned cv_lan_casts(const struct cv_lan *, unsigned kinds, uint16_t port,
	struct cv_lan_way *out, unsigned max);

/** cv_lan_usable() - its interface is (still) there, and it leads to one
 * neighbour without a router, or to all */
bool cv_lan_usable(const struct cv_lan *, const struct cv_lan_way *);

/**
 * cv_lan_answers() - The ways by which an answer reaches whoever sent a message
 * @from:	its way
 * @loud:	to everybody as well if it is a frame: those may not pass
 *
 * The way back, if that is one; a sender whose address is none here, or not of
 * this subnet, only hears what is sent to everybody on that interface.
 *
 * Return: how many were filled in, at most @max
 */
unsigned cv_lan_answers(const struct cv_lan *, const struct cv_lan_way *from,
	bool loud, struct cv_lan_way *out, unsigned max);

/** cv_lan_ifaces() - those of the machine, as they are now */
const struct cv_ifaces *cv_lan_ifaces(const struct cv_lan *);

/** cv_lan_ifname() - for people; "?" if it is gone */
const char *cv_lan_ifname(const struct cv_lan *, uint32_t ifindex);

/** cv_lan_kind_name() - for people: "unicast", "broadcast", ... */
const char *cv_lan_kind_name(enum cv_lan_kind);

/**
 * cv_lan_send() - Write a train, or one datagram
 * @train:	what was written is taken off its front
 *
 * Return: 0, or an errno: EAGAIN if the socket takes no more now
 */
int cv_lan_send(
	struct cv_lan *, const struct cv_lan_way *, struct cv_frame *train);

#endif
