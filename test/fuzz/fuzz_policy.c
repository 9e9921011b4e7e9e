/* SPDX-License-Identifier: MIT */
/**
 * fuzz_policy.c - allow rules, a line each, and what they let through
 *
 *	target\n | rule\n ...
 */
#include "core/policy.h"
#include "fuzz/fuzz.h"
#include "unit/env.h"

enum { RULES = 8, UNPRIVILEGED = 1024 };

/** struct asked - what a peer wants */
struct asked {
	struct cv_url url;
	struct cv_addr addr, bind;
	bool binds;
};

static void check_rule(const struct cv_allow *a)
{
	bool net = a->net.family != CV_AF_NONE;
	CHECK((!strcmp(a->scheme, "udp") || !strcmp(a->scheme, "tcp")) &&
		a->first <= a->last);
	CHECK(memchr(a->name, '\0', sizeof a->name));
	CHECK(a->any + net + (*a->name != '\0') == 1);
	CHECK(a->bits <= (a->net.family == CV_AF_INET ? 32 : 128));
	CHECK(!a->bits || net);
}

static bool allows(struct cv_policy *p, const struct asked *q)
{
	return cv_policy_allows(
		p, &q->url, &q->addr, q->binds ? &q->bind : NULL);
}

/* what the rule says, in so many words */
static bool means(const struct cv_allow *a, const struct asked *q)
{
	bool port = q->addr.port >= a->first && q->addr.port <= a->last;
	bool host = a->any;
	if (*a->name)
		host = !strcmp(a->name, q->url.host);
	else if (!a->any)
		host = cv_addr_in_prefix(&q->addr, &a->net, a->bits);
	bool low = q->binds && q->bind.port && q->bind.port < UNPRIVILEGED;
	bool scheme = !strcmp(q->url.scheme, a->scheme);
	return scheme && host && port &&
	       (!low || cv_addr_equal(&q->bind, &a->bind));
}

/* true if it is a rule, and its answer to @q in *@yes */
static bool one_rule(const char *text, const struct asked *q, bool *yes)
{
	struct cv_allow a;
	const char *why = NULL;
	int err = cv_allow_parse(&a, text, &why);
	CHECK(!err == !why);
	if (err) {
		CHECK(err == CULVERT_ESYNTAX);
		return false;
	}
	check_rule(&a);
	*yes = means(&a, q);
	return true;
}

/* the target of a peer's OPEN, as edge_udp_out reads it */
static bool read_target(struct asked *q, const char *text)
{
	const char *why, *bind;
	if (cv_url_parse(&q->url, text, strlen(text), &why))
		return false;
	if (cv_url_addr(&q->url, &q->addr))
		cv_addr_parse_ip("192.0.2.1", &q->addr);
	q->addr.port = q->url.port < 0 ? 0 : (uint16_t)q->url.port;
	bind = cv_url_option(&q->url, "bind");
	q->binds = bind && !cv_hostport_parse(bind, &q->bind);
	return true;
}

static void check_none(struct cv_policy *p, const struct asked *q)
{
	bool low = q->binds && q->bind.port && q->bind.port < UNPRIVILEGED;
	CHECK(allows(p, q) == (cv_addr_loopback(&q->addr) && !low));
}

/* each line once as a rule by itself and once as one of all */
static void rules(struct cv_policy *p, const struct asked *q, char *lines)
{
	bool any = false, yes;
	const char *why;
	for (char *next; lines && p->rules < RULES; lines = next) {
		next = strchr(lines, '\n');
		if (next)
			*next++ = '\0';
		unsigned before = p->rules;
		if (!one_rule(lines, q, &yes)) {
			CHECK(cv_policy_add(p, lines, &why) == CULVERT_ESYNTAX);
			CHECK(p->rules == before);
			continue;
		}
		CHECK(!cv_policy_add(p, lines, &why));
		CHECK(p->rules == before + 1);
		any |= yes;
		CHECK(allows(p, q) == any);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct asked q;
	struct mem mem;
	struct cv_env env = mem_env(&mem, 1);
	struct cv_policy p = { .env = &env };
	char *text = exact_text(data, size);
	char *lines = strchr(text, '\n');
	if (lines)
		*lines++ = '\0';
	memset(&q, 0, sizeof q);
	if (read_target(&q, text)) {
		check_none(&p, &q);
		rules(&p, &q, lines);
	}
	cv_policy_clear(&p);
	CHECK(!mem.blocks && !mem.bytes);
	free(text);
	return 0;
}
