/* SPDX-License-Identifier: MIT */
/**
 * http_connect.h - asking an HTTP proxy for a tunnel
 *
 * The CONNECT request of RFC 9110, section 9.3.6, with Basic credentials
 * (RFC 7617).  Of the response only the status line is read, and where its
 * head ends (RFC 9112, section 2); not a byte behind that is taken.
 */
#ifndef CV_HTTP_CONNECT_H
#define CV_HTTP_CONNECT_H

#include "core/via.h"

enum {
	CV_HTTP_HEAD = 8192, /* longest head, with interim responses (1xx) */
	CV_HTTP_STATUS = 80, /* of the status line so much is kept */
};

struct cv_http_connect {
	struct cv_via_talk talk;
	bool auth;                   /* the request has credentials */
	char status[CV_HTTP_STATUS]; /* the status line, cut */
	size_t kept, column, total;  /* bytes: there, in the line, in all */
	bool fields;                 /* the status line is over */
};

/** cv_http_connect_start() - Ask for host and port of @target, as they are */
void cv_http_connect_start(struct cv_http_connect *,
	const struct cv_url *target, const struct cv_via *);

/**
 * cv_http_connect_input() - What the proxy says, cut anywhere
 *
 * Return: bytes taken; CULVERT_EPROTO or CULVERT_EREFUSED and talk.why
 */
int cv_http_connect_input(
	struct cv_http_connect *, const uint8_t *data, size_t len);

#endif
