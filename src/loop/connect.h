/* SPDX-License-Identifier: MIT */
/**
 * connect.h - one attempt to get a connected TCP socket to a URL's host
 *
 * DOC: The name is resolved anew, then its addresses are tried in turn,
 * families alternating, the next one started 250 ms after the last or when
 * that has failed (RFC 8305); the first that connects wins.  With the option
 * via= all of this goes to a proxy, which is then asked for the URL's host: its
 * name is not looked up here.  Everything together takes 10 s at most.
 */
#ifndef CV_CONNECT_H
#define CV_CONNECT_H

#include "core/url.h"
#include "loop/loop.h"

struct cv_connect;

enum { CV_CONNECT_WHY = 128 + CV_URL_HOST }; /* longest @why, with the NUL */

/** How it ended: @fd >= 0 is the caller's; -1: @why, valid during the call. */
typedef void cv_connected(void *user, int fd, const char *why);

/**
 * cv_connect() - Begin; what it returns is gone once @done is called
 * @url:	host, port and options of the socket (sock.h); must live as long
 * @done:	called once, from the loop, never before this returns
 *
 * Return: NULL if out of memory, if CV_LOOKUPS names are being looked up, or if
 * via= is not what via.h takes
 */
struct cv_connect *cv_connect(struct cv_loop *, const struct cv_url *url,
	cv_connected *done, void *user);

/**
 * cv_connect_only() - Right after cv_connect(): addresses to leave alone
 * @may:	whether to try this one; with a proxy it is the proxy's
 */
void cv_connect_only(
	struct cv_connect *, bool (*may)(void *user, const struct cv_addr *));

/** cv_connect_error() - From within @done: errno of the failure, EACCES if no
 * address may be tried, 0 if there is none to try */
int cv_connect_error(const struct cv_connect *);

/** cv_connect_cancel() - give up; @done is not called any more */
void cv_connect_cancel(struct cv_connect *);

#endif
