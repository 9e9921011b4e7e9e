/* SPDX-License-Identifier: MIT */
/* conf_check.c - what takes more than one line of a configuration to see */
#include "core/conf_keys.h"
#include "core/framing.h"
#include "core/keytext.h"
#include "core/lanurl.h"
#include "core/policy.h"

#include <string.h>

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

static int check_iproxied(const struct cv_conf_forward *f,
	const struct cv_conf_text *via, struct culvert_diag *d)
{
	if (!cv_conf_is(&f->from, "tcp"))
		return cv_conf_fail(d, CULVERT_EINVAL, f->from.line,
			"From = \"%s\": iproxy carries TCP: write tcp:// here",
			f->from.text);
	if (*f->to.text)
		return cv_conf_fail(d, CULVERT_EINVAL, f->to.line,
			"To = \"%s\": via iproxy TO is the server's choice: "
			"remove it",
			f->to.text);
	return cv_conf_url_via(via, d);
}

/* Via is a URL: what is there knows no target but its own */
static int check_foreign(
	const struct cv_conf_forward *f, struct culvert_diag *d)
{
	struct cv_conf_text via = { .line = f->via_line };
	strcpy(via.text, f->via);
	if (cv_lanurl_iproxy(f->via))
		return check_iproxied(f, &via, d);
	if (cv_conf_is(&f->from, "tcp"))
		return cv_conf_fail(d, CULVERT_EINVAL, f->from.line,
			"From = \"%s\": frames+tcp:// and udptunnel+tcp:// "
			"carry datagrams: write udp:// here",
			f->from.text);
	if (*f->to.text)
		return cv_conf_fail(d, CULVERT_EINVAL, f->to.line,
			"To = \"%s\": via frames+tcp:// and udptunnel+tcp:// "
			"TO is the far end's choice: remove it",
			f->to.text);
	return cv_conf_url_via(&via, d);
}

static int check_forward(const struct cv_conf *c,
	const struct cv_conf_forward *f, struct culvert_diag *d)
{
	if (!*f->from.text || !*f->via)
		return cv_conf_fail(d, CULVERT_EINVAL, f->line,
			"[Forward %s] needs \"%s\"", f->name,
			*f->via ? "From" : "Via");
	int err = cv_conf_url_from(&f->from, d);
	if (!err && *f->to.text)
		err = cv_conf_url_to(&f->to, d);
	if (!err && *f->to.text &&
		cv_conf_is(&f->to, "tcp") != cv_conf_is(&f->from, "tcp"))
		err = cv_conf_fail(d, CULVERT_EINVAL, f->to.line,
			"To = \"%s\": From is %s://, and a flow is of one kind "
			"from end to end: write %s:// here too",
			f->to.text, cv_conf_is(&f->from, "tcp") ? "tcp" : "udp",
			cv_conf_is(&f->from, "tcp") ? "tcp" : "udp");
	if (err)
		return err;
	if (strstr(f->via, "://"))
		return check_foreign(f, d);
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

/* the first Listen in a foreign framing, or NULL */
static const struct cv_conf_text *foreign_listen(const struct cv_conf *c)
{
	for (unsigned i = 0; i < c->listens; i++) {
		if (cv_framing_of(c->listen[i].text))
			return &c->listen[i];
	}
	return NULL;
}

static bool address_of(const char *text, struct cv_addr *a)
{
	struct cv_url u;
	return !cv_url_parse(&u, text, strlen(text), NULL) &&
	       !cv_url_addr(&u, a);
}

/* whether what is sent to @to surely arrives at a socket bound to @at */
static bool reaches(const struct cv_addr *to, const struct cv_addr *at)
{
	return to->port == at->port &&
	       (cv_addr_same_ip(to, at) ||
		       (cv_addr_loopback(to) && cv_addr_any(at)));
}

/* a forward to one of our own foreign ports, whose target is that forward */
static int check_circle(const struct cv_conf *c,
	const struct cv_conf_forward *f, struct culvert_diag *d)
{
	struct cv_addr to, from, via, listen;
	if (!address_of(c->to.text, &to) || !address_of(f->from.text, &from) ||
		!address_of(f->via, &via) || !reaches(&to, &from))
		return 0;
	for (unsigned i = 0; i < c->listens; i++) {
		const char *text = c->listen[i].text;
		if (cv_framing_of(text) && address_of(text, &listen) &&
			reaches(&via, &listen))
			return cv_conf_fail(d, CULVERT_EINVAL, c->to.line,
				"To = \"%s\": that is our own From, via our "
				"own Listen: datagrams would go in circles",
				c->to.text);
	}
	return 0;
}

/* who is to be found needs a LAN, and an id there */
static int check_discoverable(const struct cv_conf *c, struct culvert_diag *d)
{
	struct cv_lanurl l;
	struct cv_url u;
	const char *why;
	bool any = false;
	for (unsigned i = 0; i < c->listens; i++) {
		const struct cv_conf_text *t = &c->listen[i];
		if (!cv_lanurl_is(t->text) ||
			cv_url_parse(&u, t->text, strlen(t->text), &why) ||
			cv_lanurl_parse(&l, &u, &why))
			continue;
		any = true;
		if (l.id && c->server_id && l.id != c->server_id)
			return cv_conf_fail(d, CULVERT_EINVAL, t->line,
				"Listen = \"%s\": ServerId (--id) says %lu",
				t->text, (unsigned long)c->server_id);
		if (c->discoverable && !l.id && !c->server_id)
			return cv_conf_fail(d, CULVERT_EINVAL, t->line,
				"Listen = \"%s\": who is to be discovered "
				"has an id: write %s://67@ or the like",
				t->text, u.scheme);
	}
	if (any || !c->discoverable)
		return 0;
	return cv_conf_fail(d, CULVERT_EINVAL, c->discoverable_line,
		"Discoverable: servers are found on lan://, bcast:// and "
		"mcast://: add \"Listen = lan://67@\" or the like");
}

static int check_serve(struct cv_conf *c, struct culvert_diag *d)
{
	struct cv_allow rule;
	const char *why;
	int err = 0;
	for (unsigned i = 0; i < c->listens && !err; i++)
		err = cv_conf_url_listen(&c->listen[i], d);
	if (!err && *c->to.text)
		err = cv_conf_url_to(&c->to, d);
	if (!err)
		err = check_discoverable(c, d);
	for (unsigned i = 0; i < c->listens && !err; i++)
		if (cv_lanurl_iproxy(c->listen[i].text) &&
			!cv_conf_is(&c->to, "tcp"))
			err = cv_conf_fail(d, CULVERT_EINVAL, c->listen[i].line,
				"Listen = \"%s\": its clients name no target: "
				"add \"--to tcp://HOST:PORT\" (To)",
				c->listen[i].text);
	const struct cv_conf_text *foreign = foreign_listen(c);
	if (!err && foreign && (!*c->to.text || cv_conf_is(&c->to, "tcp")))
		err = cv_conf_fail(d, CULVERT_EINVAL, foreign->line,
			"Listen = \"%s\": its clients name no target: add "
			"\"--to udp://HOST:PORT\" (To)",
			foreign->text);
	for (unsigned i = 0; i < c->forwards && foreign && !err; i++)
		err = check_circle(c, &c->forward[i], d);
	for (unsigned i = 0; i < c->allows && !err; i++) {
		err = cv_allow_parse(&rule, c->allow[i].text, &why);
		if (err)
			cv_conf_fail(d, err, c->allow[i].line,
				"Allow = \"%s\": %s", c->allow[i].text, why);
	}
	return err;
}

/* where scrapers connect to: a port, or a socket with a path */
static int check_metrics(const struct cv_conf_text *t, struct culvert_diag *d)
{
	struct cv_url u;
	if (!*t->text)
		return 0;
	if (cv_url_parse(&u, t->text, strlen(t->text), NULL) ||
		strcmp(u.scheme, "unix"))
		return cv_conf_url_metrics(t, d);
	if (u.path && *u.path && !*u.host && !u.user && u.port < 0 &&
		!u.options)
		return 0;
	return cv_conf_fail(d, CULVERT_EINVAL, t->line,
		"Metrics = \"%s\": unix:///path is expected here", t->text);
}

static bool is_foreign(const char *url)
{
	return cv_framing_of(url) || cv_lanurl_iproxy(url);
}

/* one of iproxy version 1, or NULL */
static const char *iproxy_url(const struct cv_conf *c)
{
	for (unsigned i = 0; i < c->listens; i++)
		if (cv_lanurl_iproxy(c->listen[i].text))
			return c->listen[i].text;
	for (unsigned i = 0; i < c->forwards; i++)
		if (cv_lanurl_iproxy(c->forward[i].via))
			return c->forward[i].via;
	return NULL;
}

/* who wants it says so: there is a better protocol for the same */
static int check_iproxy_plain(const struct cv_conf *c, struct culvert_diag *d)
{
	const char *url = iproxy_url(c);
	if (!url || c->plain)
		return 0;
	return cv_conf_fail(d, CULVERT_EINVAL, 0,
		"\"%s\": iproxy version 1 neither encrypts nor authenticates: "
		"add \"--plain\" (Plain = yes) if you want that, or use "
		"lan://",
		url);
}

/* nothing but foreign framings, which have no keys; *@url: one of them */
static bool only_foreign(const struct cv_conf *c, const char **url)
{
	bool native = false;
	*url = NULL;
	for (unsigned i = 0; i < c->forwards; i++) {
		if (is_foreign(c->forward[i].via))
			*url = c->forward[i].via;
	}
	for (unsigned i = 0; i < c->listens; i++) {
		if (is_foreign(c->listen[i].text))
			*url = c->listen[i].text;
		else
			native = true;
	}
	for (unsigned i = 0; i < c->peers; i++)
		native |= *c->peer[i].endpoint.text != '\0';
	return *url && !native;
}

/* keys there would be in vain, and somebody would think they protect */
static int check_no_keys(
	const struct cv_conf *c, const char *url, struct culvert_diag *d)
{
	unsigned line = 0;
	const char *what = NULL;
	if (c->keyed || *c->priv_file.text) {
		what = "--key (PrivateKey)";
		line = c->priv_file.line;
	} else if (*c->peers_file.text) {
		what = "--peers (PeersFile)";
		line = c->peers_file.line;
	} else if (c->peers) {
		what = "--peer ([Peer])";
		line = c->peer[0].line;
	}
	return what ? cv_conf_fail(d, CULVERT_EINVAL, line,
			      "%.*s:// has no keys: remove %s, or use tcp:// "
			      "at both ends",
			      (int)strcspn(url, ":"), url, what)
		    : 0;
}

static bool has_key(const struct cv_conf *c)
{
	return c->keyed || *c->priv_file.text;
}

/* keys, or Plain: one of the two, never by accident */
static int check_keys(const struct cv_conf *c, struct culvert_diag *d)
{
	bool own = has_key(c);
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
	const char *url;
	int err = check_serve(c, d);
	for (unsigned i = 0; i < c->peers && !err; i++) {
		if (*c->peer[i].endpoint.text)
			err = cv_conf_url_endpoint(&c->peer[i].endpoint, d);
	}
	if (!err)
		err = cv_conf_check_peers(c, 0, d);
	for (unsigned i = 0; i < c->forwards && !err; i++)
		err = check_forward(c, &c->forward[i], d);
	if (!err)
		err = check_metrics(&c->metrics, d);
	if (!err)
		err = check_iproxy_plain(c, d);
	if (err)
		return err;
	if (!only_foreign(c, &url)) {
		/* Plain is said of iproxy then, and of nothing else */
		if (has_key(c) && iproxy_url(c))
			c->plain = false;
		return check_keys(c, d);
	}
	c->plain = true;
	return check_no_keys(c, url, d);
}
