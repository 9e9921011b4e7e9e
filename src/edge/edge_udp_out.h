/* SPDX-License-Identifier: MIT */
/* edge_udp_out.h - the targets that peers reach, one socket each */
#ifndef CV_EDGE_UDP_OUT_H
#define CV_EDGE_UDP_OUT_H

#include "core/policy.h"
#include "loop/udp_io.h"

struct cv_udp_out;

/**
 * cv_udp_out_new() - The edge behind which peers' targets lie
 * @policy:	what may be reached; stays the caller's
 *
 * Return: the edge, or NULL without memory
 */
struct cv_udp_out *cv_udp_out_new(
	struct cv_udp_io *, const struct cv_policy *policy);

/**
 * cv_udp_out_allow() - The policy has changed, or is set for the first time
 * @to:		target of flows that name none, or ""; always allowed
 *
 * Flows to what is not allowed any more end.
 */
void cv_udp_out_allow(struct cv_udp_out *, const char *to);

/** cv_udp_out_free() - its flows must be gone */
void cv_udp_out_free(struct cv_udp_out *);

/** cv_udp_out_edge() - what the node is given */
struct cv_edge *cv_udp_out_edge(struct cv_udp_out *);

#endif
