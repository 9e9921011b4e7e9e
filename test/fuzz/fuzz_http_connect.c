/* SPDX-License-Identifier: MIT */
/**
 * fuzz_http_connect.c - what an HTTP proxy says, beside the plainest reader
 *
 *	target, password 1 | answer ...
 */
#include "core/http_connect.h"
#include "fuzz/fuzz.h"

enum { CODE = 9, STATUS = 12 }; /* where the status is, where it ends */

/** struct run - one conversation */
struct run {
	struct cv_http_connect h;
	size_t taken;
	int err;
};

/* the answer in pieces of @piece bytes */
static void hear(struct run *r, const uint8_t *p, size_t len, size_t piece)
{
	while (len && !r->err && !r->h.talk.done) {
		size_t n = piece < len ? piece : len;
		uint8_t *copy = exact(p, n);
		int took = cv_http_connect_input(&r->h, copy, n);
		free(copy);
		if (took < 0) {
			r->err = took;
			return;
		}
		CHECK((size_t)took == n || (r->h.talk.done && took));
		r->taken += (size_t)took;
		p += took;
		len -= (size_t)took;
	}
}

/** struct answer - all of it, and how far it was read */
struct answer {
	const uint8_t *p;
	size_t len, at;
};

/* a line without its end, cut to @size bytes; false: it is not all there */
static bool line(struct answer *a, char *out, size_t size)
{
	size_t n = 0;
	memset(out, 0, size);
	while (a->at < a->len) {
		char c = (char)a->p[a->at++];
		if (c == '\n')
			return a->at <= CV_HTTP_HEAD;
		if (c != '\r' && n < size - 1)
			out[n++] = c;
		/* a second empty line must not seem empty for its NUL */
		if (c == '\0' && n == 1)
			*out = ' ';
	}
	return false;
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool status_line(const char *s)
{
	return !strncmp(s, "HTTP/1.", 7) && digit(s[7]) && s[8] == ' ' &&
	       s[CODE] != '0' && digit(s[CODE]) && digit(s[CODE + 1]) &&
	       digit(s[CODE + 2]) && (!s[STATUS] || s[STATUS] == ' ');
}

/* one response's class, '0' if that is none, 0 if it is not all there */
static char response(struct answer *a)
{
	char status[STATUS + 2], field[2];
	if (!line(a, status, sizeof status))
		return 0;
	if (!status_line(status))
		return '0';
	do {
		if (!line(a, field, sizeof field))
			return 0;
	} while (*field);
	return status[CODE];
}

static void check_why(const struct run *r)
{
	const char *why = r->h.talk.why;
	CHECK(r->err == CULVERT_EPROTO || r->err == CULVERT_EREFUSED);
	CHECK(*why && memchr(why, '\0', CV_VIA_WHY));
	for (; *why; why++)
		CHECK(*why >= ' ' && *why <= '~' && *why != '"');
}

static void check(const struct run *r, struct answer a)
{
	char class;
	do {
		class = response(&a);
	} while (class == '1');
	CHECK((class == '2') == r->h.talk.done);
	CHECK(!r->h.talk.done || (!r->err && r->taken == a.at));
	CHECK((class > '2') == (r->err == CULVERT_EREFUSED));
	/* who speaks something else need not end a line */
	CHECK(class != '0' || r->err == CULVERT_EPROTO);
	CHECK(class || r->err || r->taken == a.len);
	if (r->err)
		check_why(r);
}

static void check_request(const struct cv_via_talk *t, bool auth)
{
	char text[CV_VIA_OUT + 1] = { 0 };
	memcpy(text, t->out, t->len);
	CHECK(strlen(text) == t->len && !strncmp(text, "CONNECT ", 8));
	CHECK(!strcmp(text + t->len - 4, "\r\n\r\n"));
	CHECK(strstr(text, "\r\n\r\n") == text + t->len - 4);
	CHECK((strstr(text, "Basic bWU6c2VjcmV0\r\n") != NULL) == auth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const proxies[] = { "http://proxy:1",
		"http://me:secret@proxy:1" };
	static const char *const targets[] = { "tcp://far.example:3456",
		"tcp://192.0.2.1:1", "tcp://[2001:db8::1]:65535" };
	struct feed f = { data, size };
	uint8_t which = feed_byte(&f);
	struct run whole = { .err = 0 }, bits = { .err = 0 };
	struct cv_via via;
	struct cv_url to;
	const char *why, *text = targets[which % CV_COUNT(targets)];
	CHECK(!cv_via_parse(&via, proxies[which >> 4 & 1], &why));
	CHECK(!cv_url_parse(&to, text, strlen(text), &why));
	cv_http_connect_start(&whole.h, &to, &via);
	check_request(&whole.h.talk, which >> 4 & 1);
	bits.h = whole.h;
	hear(&whole, f.p, f.left, f.left);
	hear(&bits, f.p, f.left, f.left / 64 + 1);
	CHECK(whole.err == bits.err);
	CHECK(!memcmp(&whole.h, &bits.h, sizeof whole.h));
	check(&whole, (struct answer){ f.p, f.left, 0 });
	return 0;
}
