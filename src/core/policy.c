/* SPDX-License-Identifier: MIT */
#include "core/policy.h"

#include <stdio.h>
#include <string.h>

/* a peer may take these as its source port without a rule naming it */
enum { UNPRIVILEGED = 1024 };

/* a decimal number up to @max; advances *@s; -1 if there is none */
static long decimal(const char **s, long max)
{
	long v = 0;
	if (**s < '0' || **s > '9')
		return -1;
	for (; **s >= '0' && **s <= '9'; (*s)++) {
		v = v * 10 + (**s - '0');
		if (v > max)
			return -1;
	}
	return v;
}

/* "*", "53" or "1000-2000" */
static int parse_ports(const char *s, struct cv_allow *a)
{
	long first = 0, last = 65535;
	if (strcmp(s, "*")) {
		first = last = decimal(&s, 65535);
		if (*s == '-') {
			s++;
			last = decimal(&s, 65535);
		}
		if (first < 0 || last < first || *s)
			return CULVERT_ESYNTAX;
	}
	a->first = (uint16_t)first;
	a->last = (uint16_t)last;
	return 0;
}

/* "host[/bits][:ports]": taken apart by hand, for a prefix is no URL */
static int parse_host(char *s, struct cv_allow *a, const char **why)
{
	char *host = s, *rest = s + strcspn(s, "/:");
	if (*s == '[') {
		host = s + 1;
		rest = strchr(s, ']');
		if (!rest) {
			*why = "an IPv6 address ends in ]";
			return CULVERT_ESYNTAX;
		}
		*rest++ = '\0';
	}
	long bits = -1;
	if (*rest == '/') {
		*rest++ = '\0';
		const char *digits = rest;
		bits = decimal(&digits, 128);
		if (bits < 0) {
			*why = "the prefix length is a number up to 128";
			return CULVERT_ESYNTAX;
		}
		rest += digits - rest;
	}
	a->last = 65535;
	if (*rest == ':') {
		*rest = '\0';
		if (parse_ports(rest + 1, a)) {
			*why = "the port is a number, a range or *";
			return CULVERT_ESYNTAX;
		}
	} else if (*rest) {
		*why = "expected udp:// or tcp:// and host[/bits][:port]";
		return CULVERT_ESYNTAX;
	}
	if (!*host || !strcmp(host, "*")) {
		a->any = true;
		return 0;
	}
	if (cv_addr_parse_ip(host, &a->net)) {
		snprintf(a->name, sizeof a->name, "%s", host);
		return 0;
	}
	long max = a->net.family == CV_AF_INET ? 32 : 128;
	a->bits = (unsigned)(bits < 0 ? max : bits);
	if (bits > max) {
		*why = "the prefix is longer than the address";
		return CULVERT_ESYNTAX;
	}
	return 0;
}

static int parse_option(const char *opt, struct cv_allow *a, const char **why)
{
	bool streams = !strcmp(a->scheme, "tcp");
	if (streams && !strcmp(opt, "proxy=v2")) {
		a->proxy = true;
		return 0;
	}
	if (!streams && !strncmp(opt, "bind=", 5) &&
		!cv_hostport_parse(opt + 5, &a->bind))
		return 0;
	*why = streams ? "the only option is ?proxy=v2"
		       : "the only option is ?bind=address:port";
	return CULVERT_ESYNTAX;
}

int cv_allow_parse(struct cv_allow *a, const char *text, const char **why)
{
	char copy[CV_URL_TEXT];
	memset(a, 0, sizeof *a);
	if (strlen(text) >= sizeof copy) {
		*why = "longer than 511 characters";
		return CULVERT_ESYNTAX;
	}
	strcpy(copy, text);
	char *host = strstr(copy, "://");
	if (!host || (size_t)(host - copy) >= sizeof a->scheme) {
		*why = "no scheme such as udp:// or tcp://";
		return CULVERT_ESYNTAX;
	}
	*host = '\0';
	host += 3;
	strcpy(a->scheme, copy);
	if (strcmp(a->scheme, "udp") && strcmp(a->scheme, "tcp")) {
		*why = "only udp:// and tcp:// targets are known";
		return CULVERT_ESYNTAX;
	}
	char *opt = strchr(host, '?');
	if (opt)
		*opt++ = '\0';
	return opt && parse_option(opt, a, why) ? CULVERT_ESYNTAX
						: parse_host(host, a, why);
}

int cv_policy_add(struct cv_policy *p, const char *text, const char **why)
{
	struct cv_allow a;
	int err = cv_allow_parse(&a, text, why);
	if (err)
		return err;
	if (!p->rule)
		p->rule = p->env->alloc(
			p->env->user, CV_ALLOW_MAX * sizeof *p->rule);
	*why = "too many rules, or out of memory";
	if (!p->rule || p->rules == CV_ALLOW_MAX)
		return CULVERT_ENOMEM;
	p->rule[p->rules++] = a;
	return 0;
}

void cv_policy_clear(struct cv_policy *p)
{
	if (p->rule)
		p->env->free(
			p->env->user, p->rule, CV_ALLOW_MAX * sizeof *p->rule);
	p->rule = NULL;
	p->rules = 0;
}

static bool matches(const struct cv_allow *a, const struct cv_url *u,
	const struct cv_addr *addr, const struct cv_addr *bind)
{
	if (strcmp(a->scheme, u->scheme) || addr->port < a->first ||
		addr->port > a->last)
		return false;
	if (bind && bind->port && bind->port < UNPRIVILEGED &&
		!cv_addr_equal(bind, &a->bind))
		return false;
	if (a->any)
		return true;
	if (*a->name)
		return !strcmp(a->name, u->host);
	return cv_addr_in_prefix(addr, &a->net, a->bits);
}

bool cv_policy_allows(const struct cv_policy *p, const struct cv_url *u,
	const struct cv_addr *addr, const struct cv_addr *bind)
{
	if (!p->rules)
		return cv_addr_loopback(addr) &&
		       (!bind || !bind->port || bind->port >= UNPRIVILEGED);
	for (unsigned i = 0; i < p->rules; i++) {
		if (matches(&p->rule[i], u, addr, bind))
			return true;
	}
	return false;
}

bool cv_policy_proxy(const struct cv_policy *p, const struct cv_url *u,
	const struct cv_addr *addr)
{
	for (unsigned i = 0; i < p->rules; i++) {
		if (p->rule[i].proxy && matches(&p->rule[i], u, addr, NULL))
			return true;
	}
	return false;
}
