/* SPDX-License-Identifier: MIT */
/* lan_sock.h - the sockets of UDP of a port on every interface */
#ifndef CV_LAN_SOCK_H
#define CV_LAN_SOCK_H

#include "loop/lan.h"

/** cv_lan_sock4(), cv_lan_sock6() - bound, and told by which interface packets
 * come; -1 and errno (EAFNOSUPPORT if the port is one of the other family) */
int cv_lan_sock4(const struct cv_lan_options *);
int cv_lan_sock6(const struct cv_lan_options *);

#endif
