/* SPDX-License-Identifier: MIT */
/* edge_frames_out.h - a server in a foreign framing, a connection a flow */
#ifndef CV_EDGE_FRAMES_OUT_H
#define CV_EDGE_FRAMES_OUT_H

#include "core/url.h"
#include "loop/loop.h"

struct cv_frames_out;

/**
 * cv_frames_out_new() - The edge behind which a server lies
 * @url:	frames+tcp:// or udptunnel+tcp://; what it reaches is its own
 *		choice, flows name no target
 *
 * Return: the edge, or NULL without memory
 */
struct cv_frames_out *cv_frames_out_new(
	struct cv_loop *, const struct cv_url *url);

/** cv_frames_out_free() - its connections and their flows end */
void cv_frames_out_free(struct cv_frames_out *);

/** cv_frames_out_edge() - the far edge of flows that go there */
struct cv_edge *cv_frames_out_edge(struct cv_frames_out *);

#endif
