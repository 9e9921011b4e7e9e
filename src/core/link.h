/* SPDX-License-Identifier: MIT */
/* link.h - what the core knows of a link: one of the two vtables */
#ifndef CV_LINK_H
#define CV_LINK_H

#include "core/addr.h"
#include "core/buf.h"
#include "core/list.h"

struct cv_link;
struct cv_node;
struct cv_path;
struct cv_session;

enum cv_link_flags {
	CV_LINK_RELIABLE = 1, /* a byte stream: ordered, nothing lost */
	CV_LINK_PORT = 2,     /* a datagram port: nobody's link, see below */
};

/**
 * struct cv_gauge - how soon a link would deliver, an estimate
 * @rtt:	its round trip, µs; 0: unknown
 * @mending:	something was lost and is sent again: what is new waits for it
 */
struct cv_gauge {
	cv_time rtt;
	bool mending;
};

/**
 * struct cv_link_ops
 * @name:	the URL scheme
 * @flush:	pull what the node has for this link with cv_node_output()
 *		and write it; called once per loop turn while the link is dirty.
 *		Must not call back into the node except cv_node_output().
 * @close:	the node is done with the link: it calls cv_node_link_down(),
 *		closes and frees itself, as if it had failed by itself
 * @gauge:	fill in an estimate; may be NULL.  Asked only if the session has
 *		other links: what it is not given then goes over another, so it
 *		should take no more than leaves at once
 * @adopt:	of a port: make a link, as of now to where @remote says, for the
 *		peer whose packet is being worked off; NULL without memory.  It
 *		ends by its own @close.  The caller puts it into a session
 * @heard:	an authentic packet came to @port; NULL: the core follows the
 *		peer's address itself (roam.h).  With it the link has ways of
 *its own to its peer, proves them with cv_session_challenge(), is told by
 *@echoed of what came back, and by @doubt that nothing does
 * @describe:	how the peer is reached, for people; may be NULL
 *
 * Datagram links: a port is a bound socket.  Its link is nobody's: @local and
 * @remote are those of the packet that is being worked off, and what it has to
 * say leaves before the next packet comes in.  Each session on it has a link of
 * its own, whose @port is that one; where its peer is now is in @remote, which
 * the core changes when the peer has moved.
 */
struct cv_link_ops {
	const char *name;
	unsigned flags;
	void (*flush)(struct cv_link *, cv_time now);
	void (*close)(struct cv_link *, const char *why);
	void (*gauge)(struct cv_link *, struct cv_gauge *);
	struct cv_link *(*adopt)(struct cv_link *);
	void (*heard)(struct cv_link *, struct cv_link *port, cv_time now);
	void (*echoed)(struct cv_link *, uint64_t token, cv_time now);
	void (*doubt)(struct cv_link *, cv_time now);
	size_t (*describe)(const struct cv_link *, char *out, size_t size);
};

struct cv_link {
	const struct cv_link_ops *ops;
	struct cv_addr local, remote;
	struct cv_link *port; /* of a datagram link, or NULL */
	uint32_t mtu;         /* of its interface, bytes; 0: unknown */
	uint32_t rate_max;    /* bytes a second; 0: any */
	uint8_t cc;           /* enum cv_cc_kind, of a datagram link */

	/* the node's */
	struct cv_node *node;
	struct cv_session *session; /* dialled for, or authenticated as */
	struct cv_path *path;       /* its place there, or NULL */
	unsigned number;            /* of that place, if it was dialled */
	struct cv_list all, dirty;
	struct cv_bufq replies; /* stateless ones: cookies */
	bool blocked;           /* wait for cv_node_writable() */
	bool trusted;           /* an authenticated packet came in */
	bool dialled;
	bool cookied;      /* was sent a cookie: may begin again at once */
	uint8_t cookies;   /* how many so far */
	cv_time init_at;   /* last initiation that came in, 0: none */
	cv_time cookie_at; /* last cookie that was taken from it, 0: none */
	cv_time up;
};

#endif
