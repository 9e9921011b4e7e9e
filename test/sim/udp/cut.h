/* SPDX-License-Identifier: MIT */
/**
 * cut.h - what the wire says of datagrams that leave in parts
 *
 * None is in a packet, so none is lost with one.  At the end of a life each was
 * delivered, or counted by one end, but for two kinds: nothing of it arrived
 * though all of it left, or only some of it left, so that its sender counted
 * it, and its receiver too as some of that arrived.
 */
#ifndef SIM_UDP_CUT_H
#define SIM_UDP_CUT_H

#include "sim/udp/host.h"

struct cut {
	struct cut *next;
	unsigned from; /* host */
	uint64_t number;
	uint32_t whole, sent;
	bool taken; /* some of it, by the far node */
};

/** cut_sent() - a frame left, and may be lost at once */
void cut_sent(struct host *from, const struct cv_frame *);

/** cut_taken() - a node has taken a packet of the host @from */
void cut_taken(struct world *, unsigned from, uint8_t *p, uint32_t len);

/** cuts_judge() - into the tally, when nothing is under way any more */
void cuts_judge(struct world *);

void cuts_free(struct world *);

#endif
