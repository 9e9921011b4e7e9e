/* SPDX-License-Identifier: MIT */
/**
 * policy.h - which targets peers may reach
 *
 *	udp://10.0.0.0/8:1000-2000   udp://[fd00::]/8   udp://dns.example:53
 *	udp://10.1.1.2:5001?bind=10.1.1.1:53   tcp://127.0.0.1:80?proxy=v2
 *
 * A star stands for every host, or every port.
 *
 * Without any rule only loopback targets are allowed.
 */
#ifndef CV_POLICY_H
#define CV_POLICY_H

#include "core/limits.h"
#include "core/url.h"

struct cv_allow {
	char scheme[8];
	char name[CV_URL_HOST]; /* "": net and bits count */
	struct cv_addr net;
	unsigned bits;
	bool any;             /* every host */
	uint16_t first, last; /* ports */
	struct cv_addr bind;  /* family NONE: none named */
	bool proxy;           /* ?proxy=v2: it wants to know its clients */
};

struct cv_policy {
	const struct cv_env *env;
	struct cv_allow *rule;
	unsigned rules;
};

/** cv_allow_parse() - read one rule; 0 or CULVERT_ESYNTAX with a reason */
int cv_allow_parse(struct cv_allow *, const char *text, const char **why);

/** cv_policy_add() - 0, CULVERT_ESYNTAX with a reason, or CULVERT_ENOMEM */
int cv_policy_add(struct cv_policy *, const char *text, const char **why);
void cv_policy_clear(struct cv_policy *);

/**
 * cv_policy_allows() - May a peer reach @addr, asked for as @url?
 * @bind:	local address it wants there, or NULL
 */
bool cv_policy_allows(const struct cv_policy *, const struct cv_url *,
	const struct cv_addr *addr, const struct cv_addr *bind);

/** cv_policy_proxy() - does a rule that allows this say ?proxy=v2? */
bool cv_policy_proxy(const struct cv_policy *, const struct cv_url *,
	const struct cv_addr *addr);

#endif
