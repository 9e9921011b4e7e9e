/* SPDX-License-Identifier: MIT */
/**
 * link_lan.h - packets to machines of this LAN, whatever addresses they have
 *
 * lan://, bcast:// and mcast://.  A port is a UDP port on every interface; its
 * links, one for each session, find their peer by what reaches everybody and
 * move to the best way that leads to it alone: see ways.h.
 */
#ifndef CV_LINK_LAN_H
#define CV_LINK_LAN_H

#include "core/lanurl.h"
#include "loop/lan.h"

struct cv_lan_port;

/* bytes a second, of each end, that may go to everybody: about 24 Mbit/s */
#define CV_LAN_FLOOD_RATE 3000000

/** cv_lan_port_listen() - accept links; NULL with @why filled in */
struct cv_lan_port *cv_lan_port_listen(
	struct cv_loop *, const struct cv_lanurl *, char why[CV_SOCK_WHY]);

/** cv_lan_port_dialler() - to dial from; NULL with @why filled in */
struct cv_lan_port *cv_lan_port_dialler(
	struct cv_loop *, const struct cv_lanurl *, char why[CV_SOCK_WHY]);

/** cv_lan_port_dial() - make a link for place 0 of a session: 0 or
 * CULVERT_ENOMEM */
int cv_lan_port_dial(struct cv_lan_port *, struct cv_session *);

/** cv_lan_port_pause() - who begins a handshake is not heard any more */
void cv_lan_port_pause(struct cv_lan_port *);

/** cv_lan_port_unlisten() - close it and its links */
void cv_lan_port_unlisten(struct cv_lan_port *);

/** cv_lan_port_leave() - close it as soon as its last link is gone */
void cv_lan_port_leave(struct cv_lan_port *);

#endif
