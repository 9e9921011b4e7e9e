/* SPDX-License-Identifier: MIT */
/**
 * node.h - the core as its shell sees it: bytes and time in, bytes out
 */
#ifndef CV_NODE_H
#define CV_NODE_H

#include "core/cookie.h"
#include "core/edge.h"
#include "core/session.h"

struct cv_node {
	struct cv_env env;
	struct cv_crypto *crypto;
	struct cv_pool pool;
	struct cv_timers timers;
	struct cv_flows flows;
	struct cv_htab by_index, by_hello, by_pub;
	struct cv_list sessions, links, dirty_links, dirty_edges;
	struct cv_list hungry;  /* waiters whose stream had no memory */
	struct cv_bufq spent;   /* received bytes that edges still write from */
	struct cv_bufq wholes;  /* the same of datagrams that came in parts */
	struct cv_list resumed; /* waiters whose session takes more */
	struct cv_list orphans; /* flows to be closed, a few in each tick */
	size_t nsessions;

	/* configuration */
	uint8_t priv[CV_KEY], pub[CV_KEY];
	bool plain;      /* speaks plain, and only plain */
	bool accepts;    /* answers handshakes */
	uint16_t server; /* number that leads our indices */
	cv_time max_age;
	/* where peers' flows go: to the edge that has the scheme's name, or to
	   the first; NULL: refused */
	struct cv_edge *out[CV_OUTS];

	/* state */
	struct cv_cookies cookies;
	uint64_t instance;
	uint64_t forgotten; /* temporary sessions */
	uint64_t key[2];    /* of the hash tables */
	bool stopping;      /* no new flow; those there are go on ... */
	bool draining;      /* ... and now end */
	size_t backlog; /* ends on edges with datagrams still to be written */
	size_t foreign; /* connections in foreign framings */
	struct cv_timer trim; /* set while the pool holds spare buffers */
	cv_time began;
	const char *notes; /* "key: value" lines for show, or NULL */
	struct cv_stats stats;
};

/**
 * cv_node_init() - @memory: ceiling of all buffers, bytes; @flows: of flows
 *
 * Return: 0 or CULVERT_ENOMEM with everything given back
 */
int cv_node_init(
	struct cv_node *, const struct cv_env *, size_t memory, size_t flows);

/** cv_node_clear() - free everything; links and edges must be gone */
void cv_node_clear(struct cv_node *);

/** cv_node_set_key() - own identity */
int cv_node_set_key(struct cv_node *, const uint8_t priv[CV_KEY]);

/** cv_node_find() - session of a public key, or NULL */
struct cv_session *cv_node_find(struct cv_node *, const uint8_t pub[CV_KEY]);

/** cv_node_link_up() - a link exists; with session: it was dialled for it */
void cv_node_link_up(
	struct cv_node *, struct cv_link *, struct cv_session *, cv_time now);

/** cv_node_link_down() - it is gone; the caller frees it */
void cv_node_link_down(struct cv_node *, struct cv_link *, cv_time now);

/** cv_node_writable() - a blocked link takes bytes again */
void cv_node_writable(struct cv_node *, struct cv_link *);

/**
 * cv_node_input() - One packet from a link; changed in place
 *
 * Return: 0, or the enum cv_drop under which it was counted
 */
int cv_node_input(struct cv_node *, struct cv_link *, uint8_t *p, size_t len,
	cv_time now);

/** cv_node_input_done() - a batch of input ends: edges write */
void cv_node_input_done(struct cv_node *);

/**
 * cv_node_output() - Pull packets for a link
 * @out:	they are pushed here; the caller gives them back to the pool
 * @bytes:	stop when @out holds this many
 */
void cv_node_output(struct cv_node *, struct cv_link *, struct cv_bufq *out,
	size_t bytes, cv_time now);

/** cv_node_flush() - let every dirty link write; once per loop turn */
void cv_node_flush(struct cv_node *, cv_time now);

/**
 * cv_node_expects() - The packet says that it is of a session, or an answer to
 * one's initiation, that has a link on this port: of several that share a
 * socket each asks for itself
 */
bool cv_node_expects(struct cv_node *, const struct cv_link *port,
	const uint8_t *p, size_t len);

/** cv_node_stirred() - links or edges have something to do before the wait */
bool cv_node_stirred(const struct cv_node *);

/**
 * cv_node_drain() - An orderly stop: nothing new, and a CLOSE behind what is
 * queued for each peer
 */
void cv_node_drain(struct cv_node *);

/** cv_node_drained() - everything was handed to the links and left them */
bool cv_node_drained(const struct cv_node *);

/** cv_node_reap() - close up to @max orphaned flows */
void cv_node_reap(struct cv_node *, size_t max, cv_time now);

/** cv_node_deadline() - when cv_node_tick() has something to do */
cv_time cv_node_deadline(const struct cv_node *);
void cv_node_tick(struct cv_node *, cv_time now);

/**
 * struct cv_train - packets of equal size for one address
 * @buf:	the packets, one behind the other; the caller's to free
 * @seg:	bytes of each but the last, which may be shorter
 * @probe:	one packet that may be too large: cv_node_too_big() if so
 */
struct cv_train {
	struct cv_buf *buf;
	uint32_t seg;
	struct cv_addr to, from;
	bool probe;
};

/**
 * cv_node_output_train() - Pull the next packets for a datagram link
 * Return: false if there is nothing to send now
 */
bool cv_node_output_train(
	struct cv_node *, struct cv_link *, struct cv_train *, cv_time now);

/** cv_node_too_big() - the system refused a packet of @size bytes (EMSGSIZE) */
void cv_node_too_big(
	struct cv_node *, struct cv_link *, size_t size, cv_time now);

/** cv_node_rerouted() - a link has changed to another way to its peer; what is
 * under way is lost */
void cv_node_rerouted(struct cv_node *, struct cv_link *, cv_time now);

/** cv_node_moved() - addresses or routes of this machine have changed: every
 * peer dialled by datagrams is told at once where we are now */
void cv_node_moved(struct cv_node *, cv_time now);

/** struct cv_opening - who wants a flow, and where to */
struct cv_opening {
	enum cv_kind kind; /* 0: DGRAM */
	struct cv_edge *edge;
	struct cv_addr src, dst;    /* the client, the address it asked */
	struct cv_session *session; /* that carries it, or ... */
	struct cv_edge *far;        /* ... the edge where it ends */
	const char *target;         /* URL; must outlive the flow */
};

/**
 * cv_node_open() - A flow from an edge into a session or to another edge
 * Return: the flow, or NULL at a limit or if the far edge refuses
 */
struct cv_flow *cv_node_open(
	struct cv_node *, const struct cv_opening *, cv_time now);

/**
 * cv_node_flow() - A table entry; the longest idle flow may give way
 * @source:	who opens it, its port left out; see cv_flow_new()
 */
struct cv_flow *cv_node_flow(struct cv_node *, enum cv_kind,
	const struct cv_addr *source, cv_time now);

/** cv_node_give_way() - Close @f if it is idle enough; NULL is fine */
bool cv_node_give_way(struct cv_node *, struct cv_flow *f, cv_time now);

/** cv_flow_pin() - A static mapping: never idle, opened before it is used */
void cv_flow_pin(struct cv_node *, struct cv_flow *);

/** cv_flow_send() - A train from one end of a flow to the other
 * Return: 0, or 1 if it waits behind a blocked link
 */
int cv_flow_send(struct cv_node *, struct cv_end *from,
	const struct cv_frame *train, cv_time now);

/**
 * cv_flow_room() - STREAM: where to put bytes that come from this end
 * @len:	in: how many at most; out: how many have room
 * Return: NULL if there is no room now: ops->resume will be called
 */
uint8_t *cv_flow_room(struct cv_node *, struct cv_end *from, size_t *len);

/** cv_flow_wrote() - @len bytes were put there; call after every cv_flow_room()
 * that did not return NULL, 0 if there were none */
void cv_flow_wrote(
	struct cv_node *, struct cv_end *from, size_t len, cv_time now);

/** cv_flow_finish() - STREAM: no more bytes will come from this end */
void cv_flow_finish(struct cv_node *, struct cv_end *from, cv_time now);

/** cv_flow_took() - STREAM: this end has used up @len bytes that ops->stream
 * gave it; with the last of them and the stream's end, that it needs the flow
 * no more if it has finished too */
void cv_flow_took(struct cv_node *, struct cv_end *to, size_t len, cv_time now);

/** cv_flow_wait() - after cv_flow_send() returned 1: tell @w when to go on */
void cv_flow_wait(struct cv_end *from, struct cv_waiter *w);

/** cv_flow_close() - End a flow; tells its ends but @but */
void cv_flow_close(struct cv_node *, struct cv_flow *, const struct cv_end *but,
	enum cv_reset why, cv_time now);

/**
 * cv_flow_opened(), cv_flow_refused() - The edge's late answer to open
 * @err:	a negative enum culvert_err
 */
void cv_flow_opened(struct cv_node *, struct cv_end *, cv_time now);
void cv_flow_refused(struct cv_node *, struct cv_end *, int err, cv_time now);

/** cv_flow_refused_why() - the same, with a reason that is no error of ours */
void cv_flow_refused_why(
	struct cv_node *, struct cv_end *, enum cv_reset why, cv_time now);

/** cv_node_dirty() - @link has something to send, unless it is blocked */
void cv_node_dirty(struct cv_node *, struct cv_link *);

/** cv_node_out() - the edge behind which a peer's @target lies, or NULL; the
 * first for that kind if no scheme says more */
struct cv_edge *cv_node_out(const struct cv_node *, enum cv_kind kind,
	const char *target, size_t len);

/**
 * cv_node_close_edge() - End flows that have an end on the edge
 * @gone:	whether the flow of such an end is to go; NULL: all of them
 */
void cv_node_close_edge(struct cv_node *, struct cv_edge *,
	bool (*gone)(struct cv_edge *, struct cv_end *), cv_time now);

/** cv_node_edge_dirty() - the edge has something to flush */
void cv_node_edge_dirty(struct cv_node *, struct cv_edge *);

/** cv_node_new_index() - unused, led by the server number */
uint64_t cv_node_new_index(struct cv_node *);

/** cv_log() - one line in logfmt, without time, level and newline */
void cv_log(struct cv_node *, enum culvert_log_level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
