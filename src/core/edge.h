/* SPDX-License-Identifier: MIT */
/* edge.h - what the core knows of an edge: the other vtable */
#ifndef CV_EDGE_H
#define CV_EDGE_H

#include "core/flow.h"

struct cv_edge;

/**
 * struct cv_edge_ops
 * @open:	for edges where targets lie, NULL for others: somebody wants a
 *		flow to @target (a URL, @len bytes); 0, an
 *		error, or 1: cv_flow_opened() or cv_flow_refused() will follow
 * @dgram:	deliver a train; the bytes stay valid until @flush.  0, or 1 if
 *		it was copied and waits behind something blocked
 * @wait:	after that: resume the waiter when the end takes more; NULL if
 *		@dgram never returns 1
 * @flush:	write everything that @dgram was given
 * @close:	the flow ends, or is not accepted: @why; forget it
 * @opened:	the peer accepted a flow that began here; may be NULL
 * @stream:	of a STREAM flow: @len more bytes for this end, in order; valid
 *		until @flush.  @fin: none will follow them.  The edge tells with
 *		cv_flow_took() how many it has used up: that opens the window.
 *		NULL for edges without streams
 * @resume:	cv_flow_room() had none; now it has
 *
 * An edge never calls back into the core from here, but for cv_flow_took().
 */
struct cv_edge_ops {
	const char *name;
	int (*open)(struct cv_edge *, struct cv_end *, const char *target,
		size_t len, cv_time now);
	int (*dgram)(struct cv_edge *, struct cv_end *,
		const struct cv_frame *train, cv_time now);
	void (*wait)(struct cv_edge *, struct cv_end *, struct cv_waiter *);
	void (*flush)(struct cv_edge *);
	void (*close)(struct cv_edge *, struct cv_end *, enum cv_reset why);
	void (*opened)(struct cv_edge *, struct cv_end *);
	void (*stream)(struct cv_edge *, struct cv_end *, const uint8_t *data,
		size_t len, bool fin);
	void (*resume)(struct cv_edge *, struct cv_end *);
};

struct cv_edge {
	const struct cv_edge_ops *ops;
	struct cv_node *node;
	struct cv_list dirty; /* the node's: has trains to flush */
};

#endif
