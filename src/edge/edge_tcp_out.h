/* SPDX-License-Identifier: MIT */
/* edge_tcp_out.h - the TCP targets that peers reach, a connection each */
#ifndef CV_EDGE_TCP_OUT_H
#define CV_EDGE_TCP_OUT_H

#include "core/policy.h"
#include "loop/loop.h"

struct cv_tcp_out;

/**
 * cv_tcp_out_new() - The edge behind which peers' TCP targets lie
 * @policy:	what may be reached; stays the caller's
 *
 * Return: the edge, or NULL without memory
 */
struct cv_tcp_out *cv_tcp_out_new(
	struct cv_loop *, const struct cv_policy *policy);

/**
 * cv_tcp_out_allow() - The policy has changed, or is set for the first time
 * @to:		target of flows that name none, or ""; always allowed
 *
 * Flows to what is not allowed any more end.
 */
void cv_tcp_out_allow(struct cv_tcp_out *, const char *to);

/** cv_tcp_out_free() - its flows must be gone; NULL is fine */
void cv_tcp_out_free(struct cv_tcp_out *);

/** cv_tcp_out_edge() - what the node is given */
struct cv_edge *cv_tcp_out_edge(struct cv_tcp_out *);

#endif
