/* SPDX-License-Identifier: MIT */
/* conf_check.c - what takes more than one line of a configuration to see */
#include "core/conf_keys.h"
#include "core/keytext.h"
#include "core/policy.h"
#include "core/via.h"

#include <string.h>

/** struct shape - what a URL of one place in the configuration looks like */
struct shape {
	const char *what, *scheme, *options; /* options: "a b", space apart */
	bool host;                           /* must be given */
};

static const struct shape listen_shape = { "Listen", "tcp",
	"mark interface cc mptcp", false };
static const struct shape endpoint_shape = { "Endpoint", "tcp",
	"mark interface cc mptcp connections via", true };
static const struct shape from_shape = { "From", "udp", "peer", false };
static const struct shape to_shape = { "To", "udp", "bind", true };

static bool in_words(const char *words, const char *word)
{
	size_t n = strlen(word);
	for (const char *p = words; (p = strstr(p, word)); p += n) {
		if ((p == words || p[-1] == ' ') && (!p[n] || p[n] == ' '))
			return true;
	}
	return false;
}

/* options of links, and of the addresses of forwards: what is wrong, or NULL */

static const char *bad_mark(const char *s)
{
	uint32_t n;
	return cv_url_number(s, &n) ? "is a number below 2^32, such as 7 or 0x7"
				    : NULL;
}

static const char *bad_name(const char *s)
{
	/* IFNAMSIZ and TCP_CA_NAME_MAX, both 16, with the NUL */
	return *s && strlen(s) < 16 ? NULL : "is a name of 1 to 15 characters";
}

static const char *bad_switch(const char *s)
{
	return strcmp(s, "yes") && strcmp(s, "no") ? "is yes or no" : NULL;
}

static const char *bad_connections(const char *s)
{
	uint32_t n;
	return cv_url_number(s, &n) || n < 1 || n > CV_LINKS_SESSION
		       ? "is a number from 1 to 16"
		       : NULL;
}

static const char *bad_via(const char *s)
{
	struct cv_via via;
	const char *why;
	int err = cv_via_parse(&via, s, &why);
	cv_crypto_wipe(&via, sizeof via);
	return err ? why : NULL;
}

static const char no_address[] =
	"is an address and a port, such as 192.0.2.1:5000";

static const char *bad_bind(const char *s)
{
	struct cv_addr a;
	return cv_hostport_parse(s, &a) ? no_address : NULL;
}

static const char *bad_peer(const char *s)
{
	struct cv_addr a;
	return cv_hostport_parse(s, &a) || !a.port ? no_address : NULL;
}

static const struct {
	const char *key;
	const char *(*bad)(const char *value);
} options[] = {
	{ "mark", bad_mark },
	{ "interface", bad_name },
	{ "cc", bad_name },
	{ "mptcp", bad_switch },
	{ "connections", bad_connections },
	{ "via", bad_via },
	{ "bind", bad_bind },
	{ "peer", bad_peer },
};

static const char *bad_value(const char *key, const char *value)
{
	for (unsigned i = 0; i < CV_COUNT(options); i++) {
		if (!strcmp(options[i].key, key))
			return options[i].bad(value);
	}
	return NULL;
}

static int check_options(const struct cv_conf_text *t, const struct shape *s,
	const struct cv_url *u, struct culvert_diag *d)
{
	int len = cv_url_shown(t->text);
	for (unsigned i = 0; i < u->options; i++) {
		const char *key = u->option[i].key, *why;
		if (!in_words(s->options, key))
			return cv_conf_fail(d, CULVERT_EINVAL, t->line,
				"%s = \"%.*s\": unknown option \"%s\"%s%s",
				s->what, len, t->text,
				t->text[len] ? "..." : key,
				*s->options ? "; known here: " : "",
				s->options);
		why = bad_value(key, u->option[i].value);
		if (why)
			return cv_conf_fail(d, CULVERT_ESYNTAX, t->line,
				"%s = \"%.*s\": ?%s= %s", s->what, len, t->text,
				key, why);
	}
	return 0;
}

static int check_url(const struct cv_conf_text *t, const struct shape *s,
	struct culvert_diag *d)
{
	struct cv_url u;
	const char *why;
	int len = cv_url_shown(t->text);
	if (cv_url_parse(&u, t->text, strlen(t->text), &why))
		return cv_conf_fail(d, CULVERT_ESYNTAX, t->line,
			"%s = \"%.*s\": %s", s->what, len, t->text, why);
	if (strcmp(u.scheme, s->scheme))
		return cv_conf_fail(d, CULVERT_EINVAL, t->line,
			"%s = \"%.*s\": %s://host:port is expected here",
			s->what, len, t->text, s->scheme);
	if (u.user || u.path)
		return cv_conf_fail(d, CULVERT_EINVAL, t->line,
			"%s = \"%.*s\": %s:// takes no user and no path",
			s->what, len, t->text, s->scheme);
	if (u.port < 1 || (s->host && !*u.host))
		return cv_conf_fail(d, CULVERT_EINVAL, t->line,
			"%s = \"%.*s\": %s is missing", s->what, len, t->text,
			u.port < 1 ? "the port (1 to 65535)" : "the host");
	if (s->host && !strcmp(u.host, "*"))
		return cv_conf_fail(d, CULVERT_EINVAL, t->line,
			"%s = \"%.*s\": * is no host to reach", s->what, len,
			t->text);
	return check_options(t, s, &u, d);
}

int cv_conf_check_peers(
	struct cv_conf *c, unsigned from, struct culvert_diag *d)
{
	char text[CULVERT_KEYTEXT];
	for (unsigned i = from; i < c->peers; i++) {
		struct cv_conf_peer *p = &c->peer[i];
		if (!*p->name && p->keyed) {
			cv_keytext_format(p->pub, text);
			memcpy(p->name, text, 8);
		} else if (!*p->name) {
			strcpy(p->name, "peer");
		}
		for (unsigned j = 0; j < i; j++) {
			if (p->keyed && c->peer[j].keyed &&
				!memcmp(p->pub, c->peer[j].pub, CV_KEY))
				return cv_conf_fail(d, CULVERT_EINVAL, p->line,
					"peer \"%s\" has the same public key "
					"as \"%s\"",
					p->name, c->peer[j].name);
			if (!strcmp(p->name, c->peer[j].name))
				return cv_conf_fail(d, CULVERT_EINVAL, p->line,
					"two peers are called \"%s\"", p->name);
		}
	}
	return 0;
}

static const struct cv_conf_peer *peer_named(
	const struct cv_conf *c, const char *name)
{
	for (unsigned i = 0; i < c->peers; i++) {
		if (!strcmp(c->peer[i].name, name))
			return &c->peer[i];
	}
	return NULL;
}

static int check_forward(const struct cv_conf *c,
	const struct cv_conf_forward *f, struct culvert_diag *d)
{
	if (!*f->from.text || !*f->via)
		return cv_conf_fail(d, CULVERT_EINVAL, f->line,
			"[Forward %s] needs \"%s\"", f->name,
			*f->via ? "From" : "Via");
	int err = check_url(&f->from, &from_shape, d);
	if (!err && *f->to.text)
		err = check_url(&f->to, &to_shape, d);
	if (err)
		return err;
	const struct cv_conf_peer *p = peer_named(c, f->via);
	if (!p)
		return cv_conf_fail(d, CULVERT_EINVAL, f->via_line,
			"Via = \"%s\": there is no [Peer %s]", f->via, f->via);
	if (!*p->endpoint.text)
		return cv_conf_fail(d, CULVERT_EINVAL, f->via_line,
			"Via = \"%s\": that peer has no Endpoint to dial",
			f->via);
	return 0;
}

static int check_serve(struct cv_conf *c, struct culvert_diag *d)
{
	struct cv_allow rule;
	const char *why;
	int err = 0;
	for (unsigned i = 0; i < c->listens && !err; i++)
		err = check_url(&c->listen[i], &listen_shape, d);
	if (!err && *c->to.text)
		err = check_url(&c->to, &to_shape, d);
	for (unsigned i = 0; i < c->allows && !err; i++) {
		err = cv_allow_parse(&rule, c->allow[i].text, &why);
		if (err)
			cv_conf_fail(d, err, c->allow[i].line,
				"Allow = \"%s\": %s", c->allow[i].text, why);
	}
	return err;
}

/* keys, or Plain: one of the two, never by accident */
static int check_keys(const struct cv_conf *c, struct culvert_diag *d)
{
	bool own = c->keyed || *c->priv_file.text;
	if (c->keyed && *c->priv_file.text)
		return cv_conf_fail(d, CULVERT_EINVAL, c->priv_file.line,
			"PrivateKey and PrivateKeyFile exclude each other");
	if (c->plain && own)
		return cv_conf_fail(d, CULVERT_EINVAL, c->priv_file.line,
			"Plain = yes goes without keys: remove one of the two");
	if (!c->plain && !own)
		return cv_conf_fail(d, CULVERT_EINVAL, 0,
			"no private key: type \"culvert genkey my.key\" and "
			"add \"--key my.key\" (PrivateKeyFile in a file), "
			"or add \"--plain\" to go without encryption and "
			"authentication");
	if (!c->plain && !c->peers && !*c->peers_file.text)
		return cv_conf_fail(d, CULVERT_EINVAL, 0,
			"no peer: add \"--peer PUBLICKEY\", which "
			"\"culvert pubkey <my.key\" prints at the other "
			"end");
	for (unsigned i = 0; i < c->peers; i++) {
		if (c->peer[i].keyed == c->plain)
			return cv_conf_fail(d, CULVERT_EINVAL, c->peer[i].line,
				c->plain ? "Plain = yes goes without keys: "
					   "remove PublicKey"
					 : "no public key of the peer \"%s\": "
					   "add "
					   "\"--peer PUBLICKEY\" (PublicKey in "
					   "its section), which \"culvert "
					   "pubkey "
					   "<my.key\" prints at the other end",
				c->peer[i].name);
	}
	return 0;
}

int cv_conf_check(struct cv_conf *c, struct culvert_diag *d)
{
	int err = check_serve(c, d);
	for (unsigned i = 0; i < c->peers && !err; i++) {
		if (*c->peer[i].endpoint.text)
			err = check_url(
				&c->peer[i].endpoint, &endpoint_shape, d);
	}
	if (!err)
		err = cv_conf_check_peers(c, 0, d);
	for (unsigned i = 0; i < c->forwards && !err; i++)
		err = check_forward(c, &c->forward[i], d);
	if (!err)
		err = check_keys(c, d);
	if (!err && !c->listens && !c->forwards)
		err = cv_conf_fail(d, CULVERT_EINVAL, 0,
			"nothing to do: neither \"Listen\" in [Serve] nor a "
			"[Forward]");
	return err;
}
