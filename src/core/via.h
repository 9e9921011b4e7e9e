/* SPDX-License-Identifier: MIT */
/**
 * via.h - the proxy that a connection goes through
 *
 *	socks5://[user:pass@]host:port		RFC 1928, RFC 1929
 *	http://[user[:pass]@]host:port		CONNECT: RFC 9110, section 9.3.6
 *
 * In user and password what is not a letter, a digit or one of -._~ is written
 * as % and two hexadecimal digits (RFC 3986, section 2.1).
 */
#ifndef CV_VIA_H
#define CV_VIA_H

#include "core/url.h"

enum {
	CV_VIA_SECRET = 256, /* user and password, with the NUL */
	CV_VIA_OUT = 1536,   /* holds all that is said unanswered */
	CV_VIA_WHY = 96,
};

struct cv_via {
	struct cv_url url;
	bool socks; /* else HTTP */
	bool auth;  /* user and password were given */
	char user[CV_VIA_SECRET], pass[CV_VIA_SECRET]; /* decoded */
};

/** struct cv_via_talk - what asking a proxy has for who moves the bytes */
struct cv_via_talk {
	uint8_t out[CV_VIA_OUT]; /* to be sent; then set @len to 0 */
	size_t len;
	bool done;            /* from now on the bytes are the target's */
	char why[CV_VIA_WHY]; /* on failure: what the proxy did */
};

/** cv_via_parse() - 0 or CULVERT_ESYNTAX and @why, a constant */
int cv_via_parse(struct cv_via *, const char *text, const char **why);

#endif
