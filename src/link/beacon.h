/* SPDX-License-Identifier: MIT */
/* beacon.h - a LAN port that answers who is there: discovery */
#ifndef CV_BEACON_H
#define CV_BEACON_H

#include "core/discover.h"
#include "loop/lan.h"

struct cv_beacon;

/**
 * cv_beacon_new() - Answer on the port that these options open
 * @says:	id, key, boot, uptime so far, name, version and services; copied
 *
 * Return: NULL with @why filled in
 */
struct cv_beacon *cv_beacon_new(struct cv_loop *, const struct cv_lan_options *,
	const struct cv_answer *says, char why[CV_SOCK_WHY]);

/** cv_beacon_free() - silence; NULL is fine */
void cv_beacon_free(struct cv_beacon *);

#endif
