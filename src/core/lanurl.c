/* SPDX-License-Identifier: MIT */
#include "core/lanurl.h"

#include "core/cc.h"

#include <string.h>

#define IPROXY "iproxy+"

static const char *const names[] = {
	[CV_LAN_ANY] = "lan",
	[CV_LAN_BCAST] = "bcast",
	[CV_LAN_MCAST] = "mcast",
};

static const char *plain(const char *scheme)
{
	size_t n = strlen(IPROXY);
	return strncmp(scheme, IPROXY, n) ? scheme : scheme + n;
}

bool cv_lanurl_is(const char *text)
{
	const char *scheme = text;
	for (unsigned i = 0; i < CV_COUNT(names); i++) {
		size_t n = strlen(names[i]);
		if (!strncmp(scheme, names[i], n) &&
			(!scheme[n] || scheme[n] == ':'))
			return true;
	}
	return false;
}

bool cv_lanurl_iproxy(const char *text)
{
	return plain(text) != text;
}

static int fail(const char **why, const char *what)
{
	*why = what;
	return CULVERT_ESYNTAX;
}

static int parse_id(struct cv_lanurl *l, const char *user, const char **why)
{
	if (!user)
		return 0;
	if (cv_url_number(user, &l->id) || !l->id)
		return fail(why, "a server's id is a number from 1 to "
				 "4294967295, in front of the @");
	return 0;
}

static int parse_iface(struct cv_lanurl *l, const char *name, const char **why)
{
	if (strlen(name) >= sizeof l->ifname)
		return fail(why, "an interface's name has at most 15 "
				 "characters");
	memcpy(l->ifname, name, strlen(name) + 1);
	return 0;
}

static bool multicast(const struct cv_addr *a)
{
	if (a->family == CV_AF_INET6)
		return a->ip[0] == 0xff;
	return a->ip[0] >= 224 && a->ip[0] < 240;
}

static int parse_group(struct cv_lanurl *l, const char *host, const char **why)
{
	char group[CV_URL_HOST];
	const char *zone = strchr(host, '%');
	size_t n = zone ? (size_t)(zone - host) : strlen(host);
	memcpy(group, host, n);
	group[n] = '\0';
	if (cv_addr_parse_ip(group, &l->group) || !multicast(&l->group))
		return fail(why, "a multicast group is expected here, such as "
				 "239.255.67.86 or [ff12::e043:5654]");
	return zone ? parse_iface(l, zone + 1, why) : 0;
}

static int parse_ttl(struct cv_lanurl *l, const char *value, const char **why)
{
	uint32_t n;
	if (!value)
		return 0;
	if (cv_url_number(value, &n) || n < 1 || n > 255)
		return fail(why, "?ttl= is a number from 1 to 255");
	l->ttl = (uint8_t)n;
	return 0;
}

int cv_lanurl_parse(
	struct cv_lanurl *l, const struct cv_url *u, const char **why)
{
	const char *scheme = plain(u->scheme);
	struct cv_lanurl out = { .scheme = CV_COUNT(names) };
	for (unsigned i = 0; i < CV_COUNT(names); i++)
		if (!strcmp(scheme, names[i]))
			out.scheme = i;
	if (out.scheme == CV_COUNT(names))
		return fail(why, "lan://, bcast:// or mcast:// is expected");
	if (u->pass || u->path || u->port == 0)
		return fail(why, u->port ? "no password and no path belong here"
					 : "the port is from 1 to 65535");
	int err = parse_id(&out, u->user, why);
	if (!err && out.scheme == CV_LAN_MCAST)
		err = parse_group(&out, u->host, why);
	else if (!err)
		err = parse_iface(&out, u->host, why);
	if (!err)
		err = parse_ttl(&out, cv_url_option(u, "ttl"), why);
	if (err)
		return err;
	out.cc = (uint8_t)cv_cc_named(cv_url_option(u, "cc"));
	out.port = u->port < 0 ? 0 : (uint16_t)u->port;
	*l = out;
	return 0;
}
