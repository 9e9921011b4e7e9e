/* SPDX-License-Identifier: MIT */
/**
 * local.h - the edges: programs at clients, targets behind the server
 *
 * Both send trains of every size, slow down behind a blocked link as
 * edge/udp_io.c does, and name a flow's owner to the oracle.
 */
#ifndef SIM_LOCAL_H
#define SIM_LOCAL_H

#include "sim/world.h"

/** local_start(), local_stop() - with the node; local_free() - for good */
void local_start(struct host *);
void local_stop(struct host *);
void local_free(struct host *);

/** local_flushed() - whether nothing waits for the edge's flush */
bool local_flushed(const struct host *);

/** local_burst() - one program sends more than a session may queue */
void local_burst(struct host *);

/** local_probe() - every program whose target answers sends a datagram that
 * was not answered yet; true if there was any such program */
bool local_probe(struct host *, bool again);

#endif
