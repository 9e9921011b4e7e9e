/* SPDX-License-Identifier: MIT */
/**
 * link_suite.h - what every link must do
 *
 * A new link is one more fixture: how two nodes are joined by it, and how the
 * network between them misbehaves.  Its main() calls link_suite().
 */
#ifndef LINK_SUITE_H
#define LINK_SUITE_H

#include "conform/rig.h"

#include "core/url.h"

enum link_flags {
	LINK_RELIABLE = 1, /* nothing is lost while it lives */
	LINK_ORDERED = 2,
	LINK_STREAM = 4, /* a byte stream: strangers may say half a thing */
	LINK_NAMES = 8,  /* the place of B may be a name */
	LINK_ENDS = 16,  /* both ends see that it ends, and why */
	LINK_WHOLE = 32, /* datagrams of any size pass as they are */
};

enum net {
	NET_OPEN,    /* everything passes */
	NET_STALLED, /* nobody reads: senders are held back */
	NET_SILENT,  /* everything vanishes, and nobody is told */
	NET_SLOW,    /* one byte at a time */
};

/**
 * struct link_fixture
 * @open:	build the network; B listens on it.  close() ends all of it
 * @listen:	B comes back to the same place; unlisten(): it goes
 * @dial:	a dialler for @s to B, by @host if that is not NULL
 * @undial:	free it
 * @kick:	what a node's environment does when a session wants a link
 * @net:	how the network behaves from now on
 * @reset:	cut every connection hard, both ends told
 * @vacant:	nobody is there: attempts are refused, or not any more
 * @attempts:	how often somebody tried to get through since open()
 * @stranger:	a socket on which raw bytes reach B, or -1
 * @frame:	wrap a packet as the link does; returns its length
 * @taped:	what A said to B on its first connection, as raw bytes
 */
struct link_fixture {
	const char *name;
	unsigned flags;
	void (*open)(struct node *b);
	void (*close)(void);
	void (*listen)(struct node *b);
	void (*unlisten)(void);
	void (*dial)(struct node *, struct cv_session *s, const char *host);
	void (*undial)(struct cv_session *s);
	void (*kick)(struct cv_session *);
	void (*net)(enum net);
	void (*reset)(void);
	void (*vacant)(bool);
	unsigned (*attempts)(void);
	int (*stranger)(void);
	size_t (*frame)(uint8_t *out, const uint8_t *packet, size_t len);
	size_t (*taped)(const uint8_t **);
};

extern const struct link_fixture link_tcp_fixture, link_udp_fixture;

/** link_suite() - run it; a process's exit code */
int link_suite(const struct link_fixture *);

#endif
