/* SPDX-License-Identifier: MIT */
/**
 * url.h - addresses, as command line, configuration and peers write them
 *
 *	scheme://[user[:pass]@]host[:port][/path][?key=value[&key=value]...]
 *
 * An IPv6 host stands in brackets.  RFC 3986, but nothing is decoded here, and
 * an option's value is all up to the next &: it may be a URL itself.
 */
#ifndef CV_URL_H
#define CV_URL_H

#include "core/addr.h"

enum {
	CV_URL_HOST = 256,
	CV_URL_TEXT = 512,
	CV_URL_OPTIONS = 8,
};

struct cv_url {
	char text[CV_URL_TEXT]; /* what the pointers below point into */
	char *scheme, *user, *pass, *host, *path; /* NULL: not given */
	long port;                                /* -1: not given */
	bool brackets;
	struct {
		char *key, *value;
	} option[CV_URL_OPTIONS];
	unsigned options;
};

/**
 * cv_url_parse() - Take a URL apart
 * @text:	@len bytes, need not end in NUL
 * @why:	on failure what is wrong, a constant
 *
 * Return: 0 or CULVERT_ESYNTAX
 */
int cv_url_parse(
	struct cv_url *, const char *text, size_t len, const char **why);

/** cv_url_copy() - @to is a copy of its own, whatever becomes of @from */
void cv_url_copy(struct cv_url *to, const struct cv_url *from);

/** cv_url_option() - value of an option, or NULL */
const char *cv_url_option(const struct cv_url *, const char *key);

/** cv_url_shown() - how many characters may be shown: not a proxy's password,
 * which follows the ? of an endpoint */
int cv_url_shown(const char *text);

/**
 * cv_url_decode() - Undo percent-encoding: RFC 3986, section 2.1
 *
 * Return: 0; CULVERT_ESYNTAX if what follows a % is not two hexadecimal
 * digits, a control character comes out, or it is too long
 */
int cv_url_decode(const char *text, char *out, size_t size);

/** cv_url_number() - an option's value, decimal or 0x and hexadecimal digits:
 * 0 or CULVERT_ESYNTAX */
int cv_url_number(const char *text, uint32_t *out);

/** cv_url_addr() - the address if the host is a number; else CULVERT_EINVAL */
int cv_url_addr(const struct cv_url *, struct cv_addr *out);

/** cv_hostport_parse() - "192.0.2.1:53", "[::1]:53" or ":53" */
int cv_hostport_parse(const char *text, struct cv_addr *out);

#endif
