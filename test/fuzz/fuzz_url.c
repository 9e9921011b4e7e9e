/* SPDX-License-Identifier: MIT */
/* fuzz_url.c - a URL taken apart, put together and taken apart again */
#include "core/url.h"
#include "fuzz/fuzz.h"

static void add(char *out, const char *a, const char *b)
{
	size_t n = strlen(out);
	CHECK(n + strlen(a) + strlen(b) < 2 * CV_URL_TEXT);
	strcat(out + n, a);
	strcat(out + n, b);
}

static void compose(const struct cv_url *u, char out[2 * CV_URL_TEXT])
{
	char port[16];
	*out = '\0';
	add(out, u->scheme, "://");
	if (u->user)
		add(out, u->user, u->pass ? ":" : "@");
	if (u->pass)
		add(out, u->pass, "@");
	add(out, u->brackets ? "[" : "", u->host);
	snprintf(port, sizeof port, ":%ld", u->port);
	add(out, u->brackets ? "]" : "", u->port < 0 ? "" : port);
	if (u->path)
		add(out, "/", u->path);
	for (unsigned i = 0; i < u->options; i++) {
		add(out, i ? "&" : "?", u->option[i].key);
		add(out, "=", u->option[i].value);
	}
}

/* points into the text, or was not given and need not be */
static bool inside(const struct cv_url *u, const char *part, bool optional)
{
	if (!part)
		return optional;
	return part >= u->text && part + strlen(part) < u->text + CV_URL_TEXT;
}

static void check_parts(const struct cv_url *u)
{
	CHECK(inside(u, u->scheme, false) && *u->scheme);
	CHECK(inside(u, u->host, false) && inside(u, u->path, true));
	CHECK(inside(u, u->user, true) && inside(u, u->pass, true));
	CHECK(u->port >= -1 && u->port <= 65535 && (u->user || !u->pass));
	CHECK(u->options <= CV_URL_OPTIONS);
	for (unsigned i = 0; i < u->options; i++) {
		const char *key = u->option[i].key;
		CHECK(inside(u, key, false) && *key);
		CHECK(inside(u, u->option[i].value, false));
		unsigned first = 0;
		while (strcmp(u->option[first].key, key))
			first++;
		CHECK(cv_url_option(u, key) == u->option[first].value);
	}
	CHECK(!cv_url_option(u, ""));
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void check_same(const struct cv_url *a, const struct cv_url *b)
{
	CHECK(same_text(a->scheme, b->scheme) && same_text(a->host, b->host));
	CHECK(same_text(a->user, b->user) && same_text(a->pass, b->pass));
	CHECK(same_text(a->path, b->path) && a->port == b->port);
	CHECK(a->brackets == b->brackets && a->options == b->options);
	for (unsigned i = 0; i < a->options; i++) {
		CHECK(same_text(a->option[i].key, b->option[i].key));
		CHECK(same_text(a->option[i].value, b->option[i].value));
	}
}

/* a numeric host is the address, with the port, that its text is */
static void check_addr(const struct cv_url *u)
{
	struct cv_addr a, b;
	char text[CV_ADDRTEXT];
	if (cv_url_addr(u, &a))
		return;
	CHECK(a.port == (u->port < 0 ? 0 : u->port));
	CHECK(!cv_hostport_parse(cv_addr_format(&a, text), &b));
	CHECK(cv_addr_equal(&a, &b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cv_url u, v;
	char again[2 * CV_URL_TEXT];
	const char *why = NULL;
	uint8_t *text = exact(data, size);
	int err = cv_url_parse(&u, (char *)text, size, &why);
	free(text);
	CHECK(err ? err == CULVERT_ESYNTAX && why : !why);
	if (err)
		return 0;
	check_parts(&u);
	check_addr(&u);
	compose(&u, again);
	/* "?key" is written as "?key=", which may be longer than allowed */
	if (strlen(again) >= CV_URL_TEXT)
		return 0;
	CHECK(!cv_url_parse(&v, again, strlen(again), &why));
	check_same(&u, &v);
	return 0;
}
