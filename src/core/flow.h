/* SPDX-License-Identifier: MIT */
/**
 * flow.h - one conversation with two ends
 *
 * An end is on an edge or in a session.  States:
 *
 *	OPENING	the peer has not confirmed yet; datagrams may be sent, an
 *		OPEN frame goes in front of the first of each epoch
 *	OPEN	the peer confirmed
 *
 * A flow opened by the peer is OPEN from the start.
 */
#ifndef CV_FLOW_H
#define CV_FLOW_H

#include "core/addr.h"
#include "core/frame.h"
#include "core/hash.h"
#include "core/list.h"
#include "core/stats.h"

struct cv_edge;
struct cv_node;
struct cv_session;
struct cv_stream;

enum cv_kind {
	CV_KIND_STREAM = 1,
	CV_KIND_DGRAM = 2,
	CV_KIND_PACKET = 3,
};

enum cv_flow_state {
	CV_FLOW_OPENING,
	CV_FLOW_OPEN,
};

struct cv_end {
	struct cv_edge *edge;       /* on an edge, or ... */
	struct cv_session *session; /* ... in a session */
	union {
		void *ctx;   /* the edge's */
		uint64_t id; /* the session's, as we write it on the wire */
	};
	uint64_t side; /* which of the flow's ends this is */
};

/**
 * struct cv_waiter - whoever wants to know when a session or an edge's end
 * takes more
 * @resume:	called once, from cv_node_flush(), when the queue has emptied
 */
struct cv_waiter {
	struct cv_list list;
	void (*resume)(struct cv_waiter *);
};

/** struct cv_source - who opened flows: a local address, or a peer */
struct cv_source {
	struct cv_hnode node;
	struct cv_addr addr;
	struct cv_list flows; /* longest idle first */
	size_t count;
	unsigned pinned; /* of these, flows that are kept */
};

struct cv_flow {
	struct cv_end end[2];    /* [0] opened it */
	struct cv_hnode by_addr; /* edge, src, dst */
	struct cv_hnode by_id;   /* session, id */
	struct cv_list lru;      /* like flows, longest idle first; or kept */
	struct cv_list peers;    /* flows of the session */
	struct cv_list siblings; /* of the source, longest idle first */
	struct cv_source *source;
	struct cv_addr src; /* the local client */
	struct cv_addr dst; /* the local address it sent to, or the target */
	const char *target; /* what to OPEN; belongs to the rule */
	cv_time used;
	uint32_t epoch; /* of the OPEN that is under way */
	uint8_t kind, state;
	bool pinned;              /* never expires, never gives way */
	bool standing;            /* never expires, but gives way */
	uint64_t tx, rx;          /* datagrams away from and to end[0] */
	struct cv_stream *stream; /* STREAM in a session, or NULL */
};

struct cv_flows {
	const struct cv_env *env;
	struct cv_htab by_addr, by_id, sources;
	struct cv_list lru;      /* those that may expire, longest idle first */
	struct cv_list standing; /* those that only give way, the same */
	struct cv_list kept;     /* those that never do */
	uint64_t key[2];
	size_t count, max;
	size_t streams;    /* of these, STREAM */
	size_t max_source; /* of one source */
	cv_time idle;      /* 0: never */
};

static inline struct cv_flow *cv_end_flow(struct cv_end *e)
{
	return CV_CONTAINER(e - e->side, struct cv_flow, end[0]);
}

static inline struct cv_end *cv_end_other(struct cv_end *e)
{
	return e->side ? e - 1 : e + 1;
}

/** cv_flow_end_in() - the end that is in a session; the flow has one there */
static inline struct cv_end *cv_flow_end_in(
	struct cv_flow *f, const struct cv_session *s)
{
	return &f->end[f->end[0].session != s];
}

/** cv_flows_init() - 0 or CULVERT_ENOMEM; cv_flows_clear() when empty */
int cv_flows_init(struct cv_flows *, const struct cv_env *, size_t max);
void cv_flows_clear(struct cv_flows *);

/** cv_flow_find() - by local edge and addresses, or NULL */
struct cv_flow *cv_flow_find(struct cv_flows *, const struct cv_edge *,
	const struct cv_addr *src, const struct cv_addr *dst);

/** cv_flow_find_id() - by session and wire id, or NULL */
struct cv_flow *cv_flow_find_id(
	struct cv_flows *, const struct cv_session *, uint64_t id);

/**
 * cv_flow_new() - An entry with no ends
 * @source:	who opens it; the port does not count
 * Return: the flow, or NULL at a limit or without memory
 */
struct cv_flow *cv_flow_new(struct cv_flows *, enum cv_kind,
	const struct cv_addr *source, cv_time now);

/** cv_flow_keep() - it never expires and never gives way */
void cv_flow_keep(struct cv_flows *, struct cv_flow *);

/** cv_flow_stand() - it never expires, but gives way: what it lies on has an
 * end of its own */
void cv_flow_stand(struct cv_flows *, struct cv_flow *);

/** cv_flows_expired() - a flow that was idle for too long, or NULL */
struct cv_flow *cv_flows_expired(const struct cv_flows *, cv_time now);

/** cv_flows_oldest() - the longest idle flow that is not kept, or NULL */
struct cv_flow *cv_flows_oldest(const struct cv_flows *);

/** cv_flows_oldest_of() - the same among one source's, at its limit only */
struct cv_flow *cv_flows_oldest_of(
	const struct cv_flows *, const struct cv_addr *source);

/** cv_flow_set_addr(), cv_flow_set_id() - make it findable */
void cv_flow_set_addr(struct cv_flows *, struct cv_flow *, struct cv_edge *,
	const struct cv_addr *src, const struct cv_addr *dst);
void cv_flow_set_id(struct cv_flows *, struct cv_flow *, unsigned side,
	struct cv_session *, uint64_t id);

/** cv_flow_touch() - it was used */
void cv_flow_touch(struct cv_flows *, struct cv_flow *, cv_time now);

/**
 * cv_flow_orphan() - Its session end is gone: nobody finds it by its id, and
 * its edge is told when there is time
 * @to:		list of flows that are to be closed
 */
void cv_flow_orphan(struct cv_flows *, struct cv_flow *, struct cv_list *to);

/** cv_flow_free() - take it out of all tables; its ends were told */
void cv_flow_free(struct cv_flows *, struct cv_flow *);

/** cv_flows_deadline() - when the longest idle flow expires */
cv_time cv_flows_deadline(const struct cv_flows *);

#endif
