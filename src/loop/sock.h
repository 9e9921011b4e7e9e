/* SPDX-License-Identifier: MIT */
/* sock.h - addresses and options of sockets */
#ifndef CV_SOCK_H
#define CV_SOCK_H

#include "core/addr.h"

#include <sys/socket.h>

/** cv_sock_addr() - to a sockaddr; returns its length */
socklen_t cv_sock_addr(const struct cv_addr *, struct sockaddr_storage *);

/** cv_sock_from() - from a sockaddr */
void cv_sock_from(const struct sockaddr_storage *, struct cv_addr *);

/** cv_sock_ends() - of a connected socket; untouched where unknown */
void cv_sock_ends(int fd, struct cv_addr *local, struct cv_addr *remote);

/** cv_sock_new() - non-blocking, close-on-exec; -1 and errno */
int cv_sock_new(const struct cv_addr *, int type);

/** cv_sock_int() - setsockopt() of an int; false if refused */
bool cv_sock_int(int fd, int level, int option, int value);

/** cv_sock_buffer() - ask for @bytes, beyond the limit if we may */
void cv_sock_buffer(int fd, bool rx, int bytes);

#endif
