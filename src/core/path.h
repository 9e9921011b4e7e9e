/* SPDX-License-Identifier: MIT */
/**
 * path.h - where a peer is: a link's place in a session
 *
 * DOC: A session has as many places as its peers agreed on, numbered from 0;
 * a link in one is a path.  States:
 *
 *	waiting	 dialled while another link's handshake is on its way
 *	hello	 dialled, and the session's handshake is on its way over it
 *	joining	 dialled, and LINK was said; nothing came in yet
 *	ready	 the keys were agreed or used on it: it carries datagrams
 *
 * What a session has to send goes over one path at a time, the one whose turn
 * it is.  With one link that is always the same.  With several it is chosen
 * anew with every packet: of those that are not blocked one where no loss is
 * being mended, and among equals the one that was used longest ago.  So it is
 * a blocked one's turn only if all are blocked.
 */
#ifndef CV_PATH_H
#define CV_PATH_H

#include "core/frame.h"
#include "core/late.h"
#include "core/link.h"
#include "core/roam.h"

struct cv_path {
	struct cv_link *link; /* NULL: the place is free */
	bool ready, joining;
	bool left;           /* CLOSE was said */
	struct cv_bufq ctl;  /* control frames for this link alone */
	struct cv_late late; /* of what comes in */
	cv_time rx_at;
	cv_time ping_at; /* unanswered since, or 0 */
	cv_time rtt;     /* of the last PING, 0: unknown */
	struct cv_gauge gauge;
	cv_time gauged; /* when */
	uint64_t used;  /* the session's count of packets when it had one */
	struct cv_roam roam; /* datagram links: the peer's address */
	unsigned failures;   /* links in a row that never became ready: this
				outlives them */
};

/** cv_path_number() - of its place */
unsigned cv_path_number(const struct cv_path *);

/** cv_path_next() - the next place of @s that has a link; NULL: the first */
struct cv_path *cv_path_next(struct cv_session *s, struct cv_path *);

/** cv_path_shown() - the one that is used now, or any, or a free place */
const struct cv_path *cv_path_shown(const struct cv_session *);

/** cv_path_take() - put @link into a place; who was there is closed */
struct cv_path *cv_path_take(
	struct cv_session *, unsigned number, struct cv_link *, cv_time now);

/** cv_path_clear() - the place is free; its link is the caller's to close */
void cv_path_clear(struct cv_path *);

/** cv_path_evict() - close the links of all places, waiting ones and @but
 * left out: the peer has moved away from them */
void cv_path_evict(struct cv_session *, const struct cv_path *but, cv_time now);

/** cv_path_control() - queue a frame for this link, lost without memory */
void cv_path_control(struct cv_path *, const struct cv_frame *);

/** cv_path_greet() - the first packet of a dialled link: LINK, if there may be
 * several, and a PING */
void cv_path_greet(struct cv_path *, cv_time now);

/** cv_path_on() - the path of @s on @link, or on the port that @link is; or
 * NULL */
struct cv_path *cv_path_on(struct cv_session *s, const struct cv_link *link);

/** cv_path_datagram() - it is no byte stream */
bool cv_path_datagram(const struct cv_path *);

/** cv_path_turn() - whose turn it is: choose; NULL: no link is ready */
struct cv_path *cv_path_turn(struct cv_session *, cv_time now);

/** cv_path_unblocked() - its link takes bytes again: it may be its turn */
void cv_path_unblocked(struct cv_path *);

#endif
