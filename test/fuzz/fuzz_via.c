/* SPDX-License-Identifier: MIT */
/* fuzz_via.c - a proxy's URL taken apart, written anew and taken apart again */
#include "core/via.h"
#include "fuzz/fuzz.h"

enum { ROOM = CV_URL_TEXT + 2 * 3 * CV_VIA_SECRET };

/* every character as % and two digits */
static int encode(char *out, const char *secret)
{
	int n = 0;
	for (; *secret; secret++)
		n += sprintf(out + n, "%%%02X", (uint8_t)*secret);
	return n;
}

static void compose(const struct cv_via *v, char out[ROOM])
{
	int n = sprintf(out, "%s://", v->url.scheme);
	if (v->auth)
		n += encode(out + n, v->user);
	if (v->url.pass) {
		out[n++] = ':';
		n += encode(out + n, v->pass);
	}
	sprintf(out + n, "%s%s%s%s:%ld", v->auth ? "@" : "",
		v->url.brackets ? "[" : "", v->url.host,
		v->url.brackets ? "]" : "", v->url.port);
}

static void check_taken(const struct cv_via *v)
{
	CHECK(v->socks == !strcmp(v->url.scheme, "socks5"));
	CHECK(v->socks || !strcmp(v->url.scheme, "http"));
	CHECK(*v->url.host && strcmp(v->url.host, "*"));
	CHECK(v->url.port >= 1 && v->url.port <= 65535);
	CHECK(!v->url.options && (!v->url.path || !*v->url.path));
	CHECK(memchr(v->user, '\0', CV_VIA_SECRET));
	CHECK(memchr(v->pass, '\0', CV_VIA_SECRET));
	CHECK(v->auth || (!*v->user && !*v->pass));
	/* what neither protocol could say */
	CHECK(!v->socks || !v->auth || (*v->user && *v->pass));
	CHECK(v->socks || !strchr(v->user, ':'));
}

static void again(const struct cv_via *v)
{
	struct cv_via w;
	char text[ROOM];
	const char *why;
	compose(v, text);
	if (strlen(text) >= CV_URL_TEXT)
		return;
	CHECK(!cv_via_parse(&w, text, &why));
	CHECK(v->socks == w.socks && v->auth == w.auth);
	CHECK(!strcmp(v->user, w.user) && !strcmp(v->pass, w.pass));
	CHECK(!strcmp(v->url.host, w.url.host) && v->url.port == w.url.port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = exact_text(data, size);
	struct cv_via v;
	const char *why = NULL;
	int err = cv_via_parse(&v, text, &why);
	free(text);
	if (err) {
		CHECK(err == CULVERT_ESYNTAX && why);
		return 0;
	}
	check_taken(&v);
	again(&v);
	return 0;
}
