/* SPDX-License-Identifier: MIT */
/**
 * connect.h - one attempt to get a connected TCP socket to a URL's host
 *
 * DOC: The name is resolved anew, then its addresses are tried in turn,
 * families alternating, the next one started 250 ms after the last or when
 * that has failed (RFC 8305); the first that connects wins.  All of it takes
 * 10 s at most.
 */
#ifndef CV_CONNECT_H
#define CV_CONNECT_H

#include "core/url.h"
#include "loop/loop.h"

struct cv_connect;

/** How it ended: @fd >= 0 is the caller's; -1: @why, valid during the call. */
typedef void cv_connected(void *user, int fd, const char *why);

/**
 * cv_connect() - Begin; what it returns is gone once @done is called
 * @url:	host and port; must live as long as the attempt
 * @done:	called once, from the loop, never before this returns
 *
 * Return: NULL if out of memory, or CV_LOOKUPS names are being looked up
 */
struct cv_connect *cv_connect(struct cv_loop *, const struct cv_url *url,
	cv_connected *done, void *user);

/** cv_connect_cancel() - give up; @done is not called any more */
void cv_connect_cancel(struct cv_connect *);

#endif
