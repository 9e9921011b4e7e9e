/* SPDX-License-Identifier: MIT */
/* sock.h - addresses and options of sockets */
#ifndef CV_SOCK_H
#define CV_SOCK_H

#include "core/url.h"
#include "loop/loop.h"

#include <sys/socket.h>

enum { CV_SOCK_WHY = 128 }; /* what went wrong, with the NUL */

/** cv_sock_addr() - to a sockaddr; returns its length */
socklen_t cv_sock_addr(const struct cv_addr *, struct sockaddr_storage *);

/** cv_sock_from() - from a sockaddr */
void cv_sock_from(const struct sockaddr_storage *, struct cv_addr *);

/** cv_sock_ends() - of a connected socket; untouched where unknown */
void cv_sock_ends(int fd, struct cv_addr *local, struct cv_addr *remote);

/** cv_sock_new() - non-blocking, close-on-exec; -1 and errno */
int cv_sock_new(const struct cv_addr *, int type);

/**
 * cv_sock_inherited() - A socket that is bound to the address already
 * @type:	SOCK_DGRAM, or SOCK_STREAM for one that listens
 *
 * Return: a duplicate, non-blocking, close-on-exec; -1: there is none
 */
int cv_sock_inherited(const struct cv_loop *, const struct cv_addr *, int type);

/**
 * cv_sock_stream() - a stream socket as the URL's options want it
 *
 * mark= sets SO_MARK, interface= SO_BINDTODEVICE, cc= TCP_CONGESTION; with
 * mptcp=yes it is one of MPTCP (RFC 8684), or, said once in the log, of TCP
 * where the kernel has no MPTCP.
 *
 * Return: non-blocking, close-on-exec; -1 and @why
 */
int cv_sock_stream(struct cv_loop *, const struct cv_addr *,
	const struct cv_url *, char why[CV_SOCK_WHY]);

/** cv_sock_dgram() - a datagram socket, likewise: mark= and interface= */
int cv_sock_dgram(
	const struct cv_addr *, const struct cv_url *, char why[CV_SOCK_WHY]);

/** cv_sock_listen() - such a one that listens, or a duplicate of the loop's
 * fds that does so at this address already; -1 and @why, or, if an option is
 * not what is wrong, "" and errno */
int cv_sock_listen(struct cv_loop *, const struct cv_addr *,
	const struct cv_url *, char why[CV_SOCK_WHY]);

/** cv_sock_int() - setsockopt() of an int; false if refused */
bool cv_sock_int(int fd, int level, int option, int value);

/** cv_sock_buffer() - ask for @bytes, beyond the limit if we may */
void cv_sock_buffer(int fd, bool rx, int bytes);

#endif
