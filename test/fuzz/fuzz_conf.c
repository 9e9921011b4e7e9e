/* SPDX-License-Identifier: MIT */
/**
 * fuzz_conf.c - a configuration file, and the text of a PeersFile behind NUL
 *
 * What is taken fits together, what is refused leaves nothing behind, and
 * blanks and carriage returns at the ends of lines change neither.
 */
#include "core/conf.h"
#include "core/framing.h"
#include "core/policy.h"
#include "fuzz/fuzz.h"
#include "unit/env.h"

enum { LINE = 1024 };

/** struct result - of one reading */
struct result {
	struct mem mem;
	struct cv_env env;
	struct cv_conf conf;
	struct culvert_diag diag;
	int err;
};

static unsigned lines(const char *text, size_t len)
{
	unsigned n = 1;
	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

static void check_refused(
	int err, const struct culvert_diag *d, const char *text, size_t len)
{
	CHECK(err == CULVERT_ESYNTAX || err == CULVERT_EINVAL ||
		err == CULVERT_ENOMEM);
	size_t n = strnlen(d->text, sizeof d->text);
	CHECK(n && n < sizeof d->text && !strchr(d->text, '\n'));
	CHECK(d->line <= lines(text, len));
}

static void check_url(const struct cv_conf_text *t, const char *scheme)
{
	struct cv_url u;
	CHECK(memchr(t->text, '\0', sizeof t->text) && t->line);
	CHECK(!cv_url_parse(&u, t->text, strlen(t->text), NULL));
	CHECK(!strcmp(u.scheme, scheme) && u.port > 0);
}

/* a port or a server in a foreign framing; false: it is none */
static bool check_foreign(const char *text)
{
	struct cv_url u;
	if (!cv_framing_of(text))
		return false;
	CHECK(!cv_url_parse(&u, text, strlen(text), NULL));
	CHECK(cv_framing_of(u.scheme) && u.port > 0);
	return true;
}

static const struct cv_conf_peer *find(
	const struct cv_conf *c, const char *name)
{
	for (unsigned i = 0; i < c->peers; i++)
		if (!strcmp(c->peer[i].name, name))
			return &c->peer[i];
	return NULL;
}

static void check_peers(const struct cv_conf *c)
{
	for (unsigned i = 0; i < c->peers; i++) {
		const struct cv_conf_peer *p = &c->peer[i];
		CHECK(*p->name && memchr(p->name, '\0', CV_NAME));
		CHECK(find(c, p->name) == p && p->keyed != c->plain);
		CHECK(memchr(p->psk_file, '\0', CV_PATH));
		if (*p->endpoint.text)
			check_url(&p->endpoint, "tcp");
	}
}

static void check_forwards(const struct cv_conf *c)
{
	CHECK(c->forwards <= CV_CONF_FORWARDS);
	for (unsigned i = 0; i < c->forwards; i++) {
		const struct cv_conf_forward *f = &c->forward[i];
		const struct cv_conf_peer *p = find(c, f->via);
		bool foreign = check_foreign(f->via);
		CHECK(memchr(f->name, '\0', CV_NAME));
		CHECK(foreign ? !*f->to.text : p && *p->endpoint.text);
		check_url(&f->from, "udp");
		if (*f->to.text)
			check_url(&f->to, "udp");
		CHECK(strlen(f->to.text) <= CV_TARGET_MAX);
	}
}

static void check_taken(const struct cv_conf *c)
{
	struct cv_allow rule;
	const char *why;
	CHECK(c->plain != (c->keyed || *c->priv_file.text));
	CHECK(c->max_age >= 1000 && c->max_age <= 10000000);
	CHECK(c->idle <= 3600000 && c->max_flows && c->max_source);
	CHECK(c->memory >= 1u << 20 && c->memory <= 1u << 31);
	CHECK(c->log <= CULVERT_DEBUG && memchr(c->name, '\0', CV_NAME));
	CHECK(c->listens <= CV_CONF_LISTENS && c->allows <= CV_ALLOW_MAX);
	for (unsigned i = 0; i < c->listens; i++)
		if (check_foreign(c->listen[i].text))
			CHECK(*c->to.text);
		else
			check_url(&c->listen[i], "tcp");
	for (unsigned i = 0; i < c->allows; i++)
		CHECK(!cv_allow_parse(&rule, c->allow[i].text, &why));
	check_peers(c);
	check_forwards(c);
}

static void read_conf(struct result *r, const char *text, size_t len)
{
	static const struct cv_conf cleared;
	r->env = mem_env(&r->mem, 1);
	memset(&r->diag, 0, sizeof r->diag);
	memset(&r->conf, 0xa5, sizeof r->conf);
	r->err = cv_conf_parse(&r->conf, &r->env, text, len, &r->diag);
	if (!r->err) {
		CHECK(!*r->diag.text);
		check_taken(&r->conf);
		return;
	}
	check_refused(r->err, &r->diag, text, len);
	CHECK(!memcmp(&r->conf, &cleared, sizeof cleared));
	CHECK(!r->mem.blocks && !r->mem.bytes);
}

static void read_peers(struct result *r, const char *text, size_t len)
{
	unsigned before = r->conf.peers;
	int err = cv_conf_peers(&r->conf, text, len, &r->diag);
	CHECK(r->conf.peers >= before && r->conf.peers <= before + len);
	if (err)
		check_refused(err, &r->diag, text, len);
	else if (!r->conf.plain)
		check_peers(&r->conf);
}

/* blanks behind every line; false if that would make one too long */
static bool widen(const char *text, size_t len, char *out, size_t *n)
{
	size_t at = 0;
	*n = 0;
	for (size_t i = 0; i < len; i++) {
		at = text[i] == '\n' ? i + 1 : at;
		if (i - at > LINE - 8 || !text[i])
			return false;
		if (text[i] == '\n') {
			memcpy(out + *n, " \t\r", 3);
			*n += 3;
		}
		out[(*n)++] = text[i];
	}
	return true;
}

static void compare(const struct cv_conf *a, const struct cv_conf *b)
{
	CHECK(a->listens == b->listens && a->allows == b->allows);
	CHECK(a->peers == b->peers && a->forwards == b->forwards);
	CHECK(!a->peers ||
		!memcmp(a->peer, b->peer, a->peers * sizeof *a->peer));
	CHECK(!a->forwards || !memcmp(a->forward, b->forward,
				      a->forwards * sizeof *a->forward));
	CHECK(a->max_age == b->max_age && a->memory == b->memory);
	CHECK(!memcmp(a->priv, b->priv, CV_KEY));
}

static void read_widened(const struct result *was, const char *text, size_t len)
{
	static struct result r;
	char *wide = malloc(4 * len + 1);
	size_t n;
	CHECK(wide);
	if (widen(text, len, wide, &n)) {
		read_conf(&r, wide, n);
		CHECK(r.err == was->err && r.diag.line == was->diag.line);
		CHECK(!strcmp(r.diag.text, was->diag.text));
		if (!r.err)
			compare(&r.conf, &was->conf);
		cv_conf_clear(&r.conf);
	}
	free(wide);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result r;
	const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
	size_t len = end ? (size_t)(end - data) : size;
	size_t rest = end ? size - len - 1 : 0;
	char *text = (char *)exact(data, len);
	char *peers = (char *)exact(end ? end + 1 : NULL, rest);
	read_conf(&r, text, len);
	read_widened(&r, text, len);
	if (!r.err) {
		read_peers(&r, peers, rest);
		cv_conf_clear(&r.conf);
	}
	CHECK(!r.mem.blocks && !r.mem.bytes);
	free(peers);
	free(text);
	return 0;
}
