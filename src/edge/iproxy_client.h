/* SPDX-License-Identifier: MIT */
/**
 * iproxy_client.h - a local TCP port, carried to a server of iproxy version 1
 */
#ifndef CV_IPROXY_CLIENT_H
#define CV_IPROXY_CLIENT_H

#include "loop/sock.h"

struct cv_iproxy_client;

/**
 * cv_iproxy_client_new() - Listen
 * @from:	tcp:// and an address of this machine
 * @via:	iproxy+...://ID@...
 *
 * Return: NULL with @why filled in, or "" and errno if the TCP port could not
 * be had
 */
struct cv_iproxy_client *cv_iproxy_client_new(struct cv_loop *,
	const struct cv_url *from, const struct cv_url *via,
	char why[CV_SOCK_WHY]);

/** cv_iproxy_client_pause() - accept no more */
void cv_iproxy_client_pause(struct cv_iproxy_client *);

/** cv_iproxy_client_free() - its connections are given up */
void cv_iproxy_client_free(struct cv_iproxy_client *);

#endif
