/* SPDX-License-Identifier: MIT */
#include "core/via.h"

#include <string.h>

static int check(const struct cv_via *v, const char **why)
{
	*why = "a proxy is socks5:// or http://[user:pass@]host:port";
	if (strcmp(v->url.scheme, v->socks ? "socks5" : "http") ||
		(v->url.path && *v->url.path) || v->url.options)
		return CULVERT_ESYNTAX;
	*why = "the proxy's host is missing";
	if (!*v->url.host || !strcmp(v->url.host, "*"))
		return CULVERT_ESYNTAX;
	*why = "the proxy's port (1 to 65535) is missing";
	if (v->url.port < 1)
		return CULVERT_ESYNTAX;
	*why = "SOCKS5 wants both user and password (RFC 1929)";
	if (v->socks && v->auth && (!*v->user || !*v->pass))
		return CULVERT_ESYNTAX;
	*why = "HTTP takes no colon in a user (RFC 7617)";
	if (!v->socks && strchr(v->user, ':'))
		return CULVERT_ESYNTAX;
	return 0;
}

int cv_via_parse(struct cv_via *v, const char *text, const char **why)
{
	memset(v, 0, sizeof *v);
	int err = cv_url_parse(&v->url, text, strlen(text), why);
	if (err)
		return err;
	v->socks = !strcmp(v->url.scheme, "socks5");
	v->auth = v->url.user;
	*why = "user and password of a proxy are up to 255 characters, and %XX "
	       "stands for what is no letter, digit or -._~";
	if (v->auth &&
		(cv_url_decode(v->url.user, v->user, sizeof v->user) ||
			(v->url.pass && cv_url_decode(v->url.pass, v->pass,
						sizeof v->pass))))
		return CULVERT_ESYNTAX;
	return check(v, why);
}
