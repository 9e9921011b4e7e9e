/* SPDX-License-Identifier: MIT */
/* edge_frames.h - a port for TCP connections of a foreign framing */
#ifndef CV_EDGE_FRAMES_H
#define CV_EDGE_FRAMES_H

#include "core/url.h"
#include "loop/sock.h"

struct cv_frames_port;

/**
 * cv_frames_listen() - Give every connection a flow to a target
 * @url:	frames+tcp:// or udptunnel+tcp://, a numeric host
 * @out:	the edge where targets lie; asked for "", its own choice
 * @max:	connections at a time
 *
 * Return: the port, or NULL and @why or errno, as cv_sock_listen()
 */
struct cv_frames_port *cv_frames_listen(struct cv_loop *,
	const struct cv_url *url, struct cv_edge *out, size_t max,
	char why[CV_SOCK_WHY]);

/** cv_frames_pause() - accept no more; what was accepted lives on */
void cv_frames_pause(struct cv_frames_port *);

/** cv_frames_unlisten() - close it, its connections and their flows */
void cv_frames_unlisten(struct cv_frames_port *);

#endif
