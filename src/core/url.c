/* SPDX-License-Identifier: MIT */
#include "core/url.h"

#include <string.h>

static int fail(const char **why, const char *what)
{
	if (why)
		*why = what;
	return CULVERT_ESYNTAX;
}

/* cut at the first @c: the rest, or NULL if there is none */
static char *cut(char *s, char c)
{
	char *p = strchr(s, c);
	if (!p)
		return NULL;
	*p = '\0';
	return p + 1;
}

static long parse_port(const char *s)
{
	long v = 0;
	if (!*s || strlen(s) > 5)
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		v = v * 10 + (*s - '0');
	}
	return v > 65535 ? -1 : v;
}

static int parse_options(struct cv_url *u, char *s, const char **why)
{
	while (s && *s) {
		char *next = cut(s, '&');
		char *value = cut(s, '=');
		if (!*s)
			return fail(why, "an option without a name");
		if (u->options == CV_URL_OPTIONS)
			return fail(why, "too many options");
		u->option[u->options].key = s;
		u->option[u->options++].value = value ? value : s + strlen(s);
		s = next;
	}
	return 0;
}

static int parse_hostport(struct cv_url *u, char *s, const char **why)
{
	char *port;
	u->port = -1;
	if (*s == '[') {
		u->brackets = true;
		u->host = s + 1;
		s = cut(s, ']');
		if (!s || (*s && *s != ':'))
			return fail(why, "an IPv6 address ends in ]");
		port = *s == ':' ? s + 1 : NULL;
	} else {
		u->host = s;
		port = cut(s, ':');
		if (port && strchr(port, ':'))
			return fail(why, "an IPv6 address stands in [ ]");
	}
	if (strlen(u->host) >= CV_URL_HOST)
		return fail(why, "the host is longer than 255 characters");
	if (port && strcmp(port, "*")) {
		u->port = parse_port(port);
		if (u->port < 0)
			return fail(
				why, "the port is not a number below 65536");
	}
	return 0;
}

int cv_url_parse(
	struct cv_url *u, const char *text, size_t len, const char **why)
{
	memset(u, 0, sizeof *u);
	if (len >= sizeof u->text)
		return fail(why, "longer than 511 characters");
	memcpy(u->text, text, len);
	for (size_t i = 0; i < len; i++) {
		if (text[i] <= ' ' || text[i] >= 0x7f || text[i] == '"')
			return fail(why, "a space, a quote, or a character "
					 "beyond ASCII");
	}
	char *rest = strstr(u->text, "://");
	if (!rest || rest == u->text)
		return fail(why, "no scheme such as udp:// or tcp://");
	*rest = '\0';
	rest += 3;
	u->scheme = u->text;
	char *options = cut(rest, '?');
	u->path = cut(rest, '/');
	char *host = strrchr(rest, '@');
	if (host) {
		*host = '\0';
		u->user = rest;
		u->pass = cut(rest, ':');
		rest = host + 1;
	}
	int err = parse_hostport(u, rest, why);
	return err ? err : parse_options(u, options, why);
}

void cv_url_copy(struct cv_url *to, const struct cv_url *from)
{
	*to = *from;
	char **part[] = { &to->scheme, &to->user, &to->pass, &to->host,
		&to->path };
	for (unsigned i = 0; i < CV_COUNT(part); i++) {
		if (*part[i])
			*part[i] = to->text + (*part[i] - from->text);
	}
	for (unsigned i = 0; i < to->options; i++) {
		to->option[i].key = to->text + (to->option[i].key - from->text);
		to->option[i].value =
			to->text + (to->option[i].value - from->text);
	}
}

const char *cv_url_option(const struct cv_url *u, const char *key)
{
	for (unsigned i = 0; i < u->options; i++) {
		if (!strcmp(u->option[i].key, key))
			return u->option[i].value;
	}
	return NULL;
}

int cv_url_shown(const char *text)
{
	size_t n = strcspn(text, "?");
	return (int)(strchr(text + n, '@') ? n : strlen(text));
}

/* value of a hexadecimal digit, or 16 */
static unsigned digit(char c)
{
	static const char all[] = "0123456789abcdefABCDEF";
	const char *p = c ? strchr(all, c) : NULL;
	unsigned n = p ? (unsigned)(p - all) : 16;
	return p && n > 15 ? n - 6 : n;
}

int cv_url_decode(const char *text, char *out, size_t size)
{
	size_t n = 0;
	while (*text) {
		unsigned c = (uint8_t)*text++;
		if (c == '%') {
			unsigned high = digit(text[0]);
			unsigned low = high < 16 ? digit(text[1]) : 16;
			if (low > 15)
				return CULVERT_ESYNTAX;
			c = high << 4 | low;
			text += 2;
		}
		if (c < ' ' || c == 0x7f || n + 1 == size)
			return CULVERT_ESYNTAX;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return 0;
}

int cv_url_number(const char *text, uint32_t *out)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	uint64_t v = 0;
	text += hex ? 2 : 0;
	if (!*text)
		return CULVERT_ESYNTAX;
	for (; *text; text++) {
		unsigned n = digit(*text), base = hex ? 16 : 10;
		if (n >= base || (v = v * base + n) > UINT32_MAX)
			return CULVERT_ESYNTAX;
	}
	*out = (uint32_t)v;
	return 0;
}

int cv_url_addr(const struct cv_url *u, struct cv_addr *out)
{
	struct cv_addr a;
	const char *host = *u->host ? u->host : "::";
	if (!strcmp(host, "*"))
		host = "::";
	if (!strcmp(host, "localhost")) /* RFC 6761, section 6.3 */
		host = "127.0.0.1";
	if (cv_addr_parse_ip(host, &a))
		return CULVERT_EINVAL;
	a.port = u->port < 0 ? 0 : (uint16_t)u->port;
	*out = a;
	return 0;
}

int cv_hostport_parse(const char *text, struct cv_addr *out)
{
	struct cv_url u = { 0 };
	if (strlen(text) >= sizeof u.text)
		return CULVERT_ESYNTAX;
	strcpy(u.text, text);
	int err = parse_hostport(&u, u.text, NULL);
	return err ? err : cv_url_addr(&u, out);
}
