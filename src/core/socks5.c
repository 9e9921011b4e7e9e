/* SPDX-License-Identifier: MIT */
#include "core/socks5.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
	VERSION = 5,
	AUTH_VERSION = 1,
	NO_AUTH = 0,
	USER_PASS = 2,
	NO_METHOD = 0xff,
	CONNECT = 1,
	IPV4 = 1,
	NAME = 3,
	IPV6 = 4,
};

static int fail(struct cv_socks5 *s, int err, const char *why)
{
	snprintf(s->talk.why, sizeof s->talk.why, "%s", why);
	return err;
}

static void put(struct cv_socks5 *s, const void *data, size_t len)
{
	memcpy(s->talk.out + s->talk.len, data, len);
	s->talk.len += len;
}

static void put_byte(struct cv_socks5 *s, size_t byte)
{
	s->talk.out[s->talk.len++] = (uint8_t)byte;
}

static void put_text(struct cv_socks5 *s, const char *text)
{
	put_byte(s, strlen(text));
	put(s, text, strlen(text));
}

static void await(struct cv_socks5 *s, enum cv_socks5_state state, size_t want)
{
	s->state = state;
	s->have = 0;
	s->want = want;
}

void cv_socks5_start(struct cv_socks5 *s, const struct cv_url *target,
	const struct cv_via *via)
{
	memset(s, 0, sizeof *s);
	s->target = target;
	s->via = via;
	put_byte(s, VERSION);
	put_byte(s, via->auth ? 2 : 1);
	put_byte(s, NO_AUTH);
	if (via->auth)
		put_byte(s, USER_PASS);
	await(s, CV_SOCKS5_METHOD, 2);
}

/* RFC 1928, section 4 */
static void request(struct cv_socks5 *s)
{
	struct cv_addr a;
	put(s, (uint8_t[]){ VERSION, CONNECT, 0 }, 3);
	if (cv_addr_parse_ip(s->target->host, &a)) {
		put_byte(s, NAME);
		put_text(s, s->target->host);
	} else if (a.family == CV_AF_INET) {
		put_byte(s, IPV4);
		put(s, a.ip, 4);
	} else {
		put_byte(s, IPV6);
		put(s, a.ip, 16);
	}
	put_byte(s, (size_t)s->target->port >> 8);
	put_byte(s, (size_t)s->target->port & 0xff);
	await(s, CV_SOCKS5_REPLY, 2);
}

static int got_method(struct cv_socks5 *s)
{
	uint8_t method = s->in[1];
	if (s->in[0] != VERSION)
		return fail(s, CULVERT_EPROTO, "it does not speak SOCKS5");
	if (method == NO_METHOD)
		return fail(s, CULVERT_EREFUSED,
			s->via->auth ? "it accepts neither user and password "
				       "nor their absence"
				     : "it wants a user and a password");
	if (method == USER_PASS && s->via->auth) {
		put_byte(s, AUTH_VERSION);
		put_text(s, s->via->user);
		put_text(s, s->via->pass);
		await(s, CV_SOCKS5_AUTH, 2);
		return 0;
	}
	if (method != NO_AUTH)
		return fail(s, CULVERT_EPROTO,
			"it chose a way to log in that was not offered");
	request(s);
	return 0;
}

static int got_auth(struct cv_socks5 *s)
{
	/* the version before it is 1, but there are proxies that say 5 */
	if (s->in[1])
		return fail(s, CULVERT_EREFUSED,
			"it refuses the user or the password");
	request(s);
	return 0;
}

/* RFC 1928, section 6 */
static int got_reply(struct cv_socks5 *s)
{
	static const char *const words[] = {
		[0] = NULL,
		[1] = "it failed for a reason it does not name",
		[2] = "its rules do not allow the target",
		[3] = "the target's network is unreachable from there",
		[4] = "the target is unreachable from there",
		[5] = "the target refuses the connection",
		[6] = "the way from there to the target is too long",
		[7] = "it does not open connections for others",
		[8] = "it does not take this kind of address",
	};
	uint8_t reply = s->in[1];
	if (s->in[0] != VERSION)
		return fail(s, CULVERT_EPROTO, "its reply is not SOCKS5");
	if (reply >= CV_COUNT(words))
		return fail(s, CULVERT_EREFUSED,
			"it refuses, for a reason SOCKS5 does not know");
	if (reply)
		return fail(s, CULVERT_EREFUSED, words[reply]);
	await(s, CV_SOCKS5_ADDRESS, 3);
	return 0;
}

static int got_address(struct cv_socks5 *s)
{
	size_t len;
	switch (s->in[1]) {
	case IPV4:
		len = 4 - 1;
		break;
	case NAME:
		len = s->in[2];
		break;
	case IPV6:
		len = 16 - 1;
		break;
	default:
		return fail(s, CULVERT_EPROTO, "its reply is not SOCKS5");
	}
	await(s, CV_SOCKS5_BOUND, len + 2);
	return 0;
}

static int got_bound(struct cv_socks5 *s)
{
	await(s, CV_SOCKS5_DONE, 0);
	s->talk.done = true;
	return 0;
}

int cv_socks5_input(struct cv_socks5 *s, const uint8_t *data, size_t len)
{
	static int (*const got[])(struct cv_socks5 *) = {
		[CV_SOCKS5_METHOD] = got_method,
		[CV_SOCKS5_AUTH] = got_auth,
		[CV_SOCKS5_REPLY] = got_reply,
		[CV_SOCKS5_ADDRESS] = got_address,
		[CV_SOCKS5_BOUND] = got_bound,
	};
	static_assert(CV_COUNT(got) == CV_SOCKS5_DONE, "all have a function");
	size_t used = 0;
	while (used < len && s->state != CV_SOCKS5_DONE) {
		size_t n = s->want - s->have;
		if (n > len - used)
			n = len - used;
		memcpy(s->in + s->have, data + used, n);
		s->have += n;
		used += n;
		int err = s->have < s->want ? 0 : got[s->state](s);
		if (err)
			return err;
	}
	return (int)used;
}
