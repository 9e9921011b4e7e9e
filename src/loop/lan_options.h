/* SPDX-License-Identifier: MIT */
/**
 * lan_options.h - what the URL of a LAN port asks of its sockets
 */
#ifndef CV_LAN_OPTIONS_H
#define CV_LAN_OPTIONS_H

#include "core/lanurl.h"
#include "loop/lan.h"

/** cv_lan_options_of() - what a URL asks for
 * @serves:	the port is for others to find, or to ask from */
struct cv_lan_options cv_lan_options_of(const struct cv_lanurl *, bool serves);

#endif
