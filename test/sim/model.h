/* SPDX-License-Identifier: MIT */
/**
 * model.h - the oracle: what must hold, written down as simply as possible
 *
 * It knows every datagram that a program handed to a node, follows every
 * record over the wire by its tag, and watches nodes from outside.
 */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "sim/net.h"

struct target;

/** struct dgram - one that was handed over */
struct dgram {
	cv_time handed;
	uint32_t len;
	bool done; /* delivered */
};

/** struct gen - a flow's life at the client that opened it */
struct gen {
	uint32_t uid;
	unsigned client, conv;
	uint64_t instance, id; /* of the client's node, on the wire */
	bool open;             /* at the client */
	uint64_t opened; /* instance whose OPENED came (seen in plain mode) */
	uint32_t asked;  /* serial of the connection OPEN went over */
	struct target *target; /* its far end, while it lives */
	uint64_t served;       /* instance of the server that had one */
	cv_time touched;       /* last time that one was used */
	struct {
		struct dgram *v;
		size_t n, room;
		int64_t last; /* delivered */
	} dir[2];
};

/** struct seen - what arrived, for the caller that plays the program */
struct seen {
	uint32_t seq; /* of the newest */
	cv_time handed;
};

/** struct totals - figures of one seed, added up over all */
struct totals {
	uint64_t handed, delivered, lost, handshakes, records, bytes;
	uint64_t drop[CV_DROP_N];      /* datagrams, by name */
	uint64_t packets[CV_DROP_N];   /* packets, by name */
	uint64_t in_packet[CV_DROP_N]; /* datagrams inside these */
	cv_time longest_wait;
};

struct model *model_new(struct world *);
void model_free(struct model *);
const struct totals *model_totals(const struct model *);

/** model_gen() - a client opened a flow; model_find() - by what is on wire */
struct gen *model_gen(struct host *, unsigned conv, const struct cv_flow *);
struct gen *model_find(struct world *, uint64_t instance, uint64_t id);

/** model_hand() - fill @f's datagrams and remember them; dir 0: to targets */
void model_hand(
	struct host *, struct gen *, unsigned dir, const struct cv_frame *f);

/** model_delivered() - an edge of @h was given @f for @g */
struct seen model_delivered(
	struct host *, struct gen *g, unsigned dir, const struct cv_frame *f);

/** model_pulled() - a link took a packet, sealed, not yet wrapped */
void model_pulled(struct end *, struct cv_buf *);

/** model_arriving(), model_arrived() - around cv_node_input()
 * @at:		stream offset of the record; UINT64_MAX: a repeated one
 */
void model_arriving(struct end *, uint64_t at, uint8_t *p, uint32_t len);
void model_arrived(struct end *, int drop);

/** model_lost() - what is in this pipe never arrives */
void model_lost(struct model *, struct pipe *);

/** model_bad_length() - a node gave up a stream for its framing */
void model_bad_length(struct end *);

/** model_watch() - look at a node's sessions, after anything happened */
void model_watch(struct host *);

/** model_queues() - the bounds of its queues, after it flushed */
void model_queues(struct host *);

/** model_stopped() - a node is cleared: its counters, its empty tables */
void model_stopped(struct host *);

/** model_audit() - the conservation law, now; and ceilings */
void model_audit(struct world *);

/** model_log() - a node's log line */
void model_log(struct host *, enum culvert_log_level, const char *line);

extern bool model_verbose;

#endif
