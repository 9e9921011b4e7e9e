/* SPDX-License-Identifier: MIT */
/**
 * roam.h - a peer that comes from another address (RFC 9000, sections 8 and 9)
 *
 * DOC: The newest authentic packet says where the peer is.  What we send goes
 * there at once, but at most three times what came from there, until the peer
 * has answered a challenge at that address; if it never does, we go back to
 * where it was.
 */
#ifndef CV_ROAM_H
#define CV_ROAM_H

#include "core/addr.h"

struct cv_path;
struct cv_link;

enum {
	CV_ROAM_FACTOR = 3,
	CV_ROAM_TRIES = 4,
	CV_ROAM_LEAST = 64, /* bytes that a packet is sent for */
};

struct cv_roam {
	bool pending;          /* the address in use is not validated */
	struct cv_addr before; /* the last one that was */
	struct cv_addr before_local;
	uint64_t token;     /* of the challenge */
	uint64_t got, gave; /* bytes from and to there */
	cv_time ask;        /* when to challenge again */
	unsigned tries;
	unsigned moves; /* in all, for show */
};

/**
 * struct cv_arrival - an authentic packet that came in on a datagram path
 * @len:	bytes, all in all
 * @newest:	no later one came in before
 * @proven:	by a handshake that went there and back
 */
struct cv_arrival {
	size_t len;
	bool newest, proven;
};

/** cv_roam_arrived() - @port says from where and to where */
void cv_roam_arrived(struct cv_path *, const struct cv_link *port,
	const struct cv_arrival *, cv_time now);

/** cv_roam_answered() - the peer echoed @token */
void cv_roam_answered(struct cv_path *, uint64_t token);

/** cv_roam_allowance() - bytes that may be sent, 0 if they are too few for a
 * packet; UINT64_MAX: any */
uint64_t cv_roam_allowance(const struct cv_path *);

/** cv_roam_gave() - @len bytes were sent */
void cv_roam_gave(struct cv_path *, size_t len);

/** cv_roam_deadline(), cv_roam_clock() - challenge again, or go back */
cv_time cv_roam_deadline(const struct cv_path *);
void cv_roam_clock(struct cv_path *, cv_time now);

#endif
