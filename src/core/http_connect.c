/* SPDX-License-Identifier: MIT */
#include "core/http_connect.h"

#include "core/base64.h"
#include "core/crypto.h"

#include <stdio.h>
#include <string.h>

static const char version[] = "HTTP/1."; /* 0 or 1, a space, three digits */
enum { CODE = sizeof version + 1 };

static void put(struct cv_http_connect *h, const char *a, const char *b)
{
	struct cv_via_talk *t = &h->talk;
	t->len += (size_t)snprintf(
		(char *)t->out + t->len, sizeof t->out - t->len, "%s%s", a, b);
}

static void put_credentials(struct cv_http_connect *h, const struct cv_via *via)
{
	char plain[2 * CV_VIA_SECRET], text[CV_BASE64_TEXT(sizeof plain)];
	int n = snprintf(plain, sizeof plain, "%s:%s", via->user, via->pass);
	put(h, "\r\nProxy-Authorization: Basic ",
		cv_base64_format(plain, (size_t)n, text));
	cv_crypto_wipe(plain, sizeof plain);
	cv_crypto_wipe(text, sizeof text);
}

void cv_http_connect_start(struct cv_http_connect *h,
	const struct cv_url *target, const struct cv_via *via)
{
	char at[CV_URL_HOST + 16];
	memset(h, 0, sizeof *h);
	h->auth = via->auth;
	snprintf(at, sizeof at, "%s%s%s:%ld", target->brackets ? "[" : "",
		target->host, target->brackets ? "]" : "", target->port);
	put(h, "CONNECT ", at);
	put(h, " HTTP/1.1\r\nHost: ", at);
	if (via->auth)
		put_credentials(h, via);
	put(h, "\r\n", "\r\n");
}

static int fail(struct cv_http_connect *h, int err, const char *why)
{
	snprintf(h->talk.why, sizeof h->talk.why, "%s", why);
	return err;
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool well_formed(const struct cv_http_connect *h)
{
	const char *s = h->status;
	return !memcmp(s, version, sizeof version - 1) &&
	       digit(s[sizeof version - 1]) && s[CODE - 1] == ' ' &&
	       s[CODE] > '0' && digit(s[CODE]) && digit(s[CODE + 1]) &&
	       digit(s[CODE + 2]) && (!s[CODE + 3] || s[CODE + 3] == ' ');
}

/* the head is over: what it means */
static int judge(struct cv_http_connect *h)
{
	char class = h->status[CODE];
	if (class == '2') {
		h->talk.done = true;
		return 0;
	}
	if (class == '1') { /* RFC 9110, section 15.2: the answer follows */
		h->kept = 0;
		h->fields = false;
		memset(h->status, 0, sizeof h->status);
		return 0;
	}
	/* 407 it should be; of wrong passwords tinyproxy says 401 */
	if (!memcmp(h->status + CODE, "407", 3) ||
		!memcmp(h->status + CODE, "401", 3))
		return fail(h, CULVERT_EREFUSED,
			h->auth ? "it refuses the user or the password"
				: "it wants a user and a password");
	/* it goes into a log line, in quotes */
	for (char *p = h->status + CODE; *p; p++) {
		if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
			*p = '?';
	}
	snprintf(h->talk.why, sizeof h->talk.why, "it says %s",
		h->status + CODE);
	return CULVERT_EREFUSED;
}

/* the end of a line, or of the head if that one is empty */
static int end_line(struct cv_http_connect *h)
{
	bool empty = !h->column;
	h->column = 0;
	if (!h->fields && !well_formed(h))
		return fail(h, CULVERT_EPROTO, "it does not speak HTTP");
	if (h->fields && empty)
		return judge(h);
	h->fields = true;
	return 0;
}

static int take(struct cv_http_connect *h, char c)
{
	if (++h->total > CV_HTTP_HEAD)
		return fail(h, CULVERT_EPROTO, "its answer does not end");
	if (c == '\n')
		return end_line(h);
	if (c == '\r')
		return 0;
	h->column++;
	if (!h->fields && h->kept < sizeof h->status - 1)
		h->status[h->kept++] = c;
	/* who speaks something else may never end a line */
	if (h->kept < sizeof version &&
		memcmp(h->status, version, h->kept) != 0)
		return fail(h, CULVERT_EPROTO, "it does not speak HTTP");
	return 0;
}

int cv_http_connect_input(
	struct cv_http_connect *h, const uint8_t *data, size_t len)
{
	size_t used = 0;
	while (used < len && !h->talk.done) {
		int err = take(h, (char)data[used++]);
		if (err)
			return err;
	}
	return (int)used;
}
