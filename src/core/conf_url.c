/* SPDX-License-Identifier: MIT */
/* conf_url.c - what a URL in each place of a configuration looks like */
#include "core/conf_keys.h"
#include "core/iproxy.h"
#include "core/lanurl.h"
#include "core/via.h"

#include <string.h>

/** struct shape - what a URL of one place in the configuration looks like */
struct shape {
	const char *what, *scheme, *options; /* words, space apart */
	bool host;                           /* must be given */
};

#define SOCKET_OPTIONS "mark interface cc mptcp"

#define DGRAM_OPTIONS "mark interface cc"

static const struct shape listen_shape = { "Listen",
	"tcp udp lan bcast mcast frames+tcp udptunnel+tcp iproxy+udp "
	"iproxy+bcast iproxy+mcast",
	SOCKET_OPTIONS, false };
static const struct shape listen_udp_shape = { "Listen", "udp", DGRAM_OPTIONS,
	false };
static const struct shape listen_lan_shape = { "Listen", "", "ttl cc", false };
static const struct shape endpoint_lan_shape = { "Endpoint", "", "ttl cc",
	false };
static const struct shape listen_iproxy = { "Listen", "", "ttl", false };
static const struct shape via_iproxy = { "Via", "", "ttl", false };
static const struct shape via_shape = { "Via", "frames+tcp udptunnel+tcp",
	SOCKET_OPTIONS " via", true };
static const struct shape endpoint_shape = { "Endpoint",
	"tcp udp lan bcast mcast", SOCKET_OPTIONS " connections via", true };
static const struct shape endpoint_udp_shape = { "Endpoint", "udp",
	DGRAM_OPTIONS, true };
static const struct shape from_shape = { "From", "udp tcp", "peer", false };
static const struct shape from_tcp = { "From", "tcp", SOCKET_OPTIONS " proxy",
	false };
static const struct shape metrics_shape = { "Metrics", "tcp", "", false };
static const struct shape to_shape = { "To", "udp tcp", "bind", true };
static const struct shape to_tcp = { "To", "tcp", "proxy", true };

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

static const char *bad_model(const char *s)
{
	return strcmp(s, "rate") && strcmp(s, "cubic") ? "is rate or cubic"
						       : NULL;
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

static const char *bad_proxy(const char *s)
{
	return strcmp(s, "v2") ? "is v2" : NULL;
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
	{ "proxy", bad_proxy },
};

static const char *bad_value(
	const struct shape *s, const char *key, const char *value)
{
	bool ours = s == &endpoint_udp_shape || s == &endpoint_lan_shape ||
		    s == &listen_udp_shape || s == &listen_lan_shape;
	if (ours && !strcmp(key, "cc"))
		return bad_model(value);
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
		if (s == &endpoint_udp_shape && !strcmp(key, "connections"))
			return cv_conf_fail(d, CULVERT_EINVAL, t->line,
				"%s = \"%.*s\": ?connections= is for tcp://: "
				"one udp:// link carries all there is",
				s->what, len, t->text);
		if (!in_words(s->options, key))
			return cv_conf_fail(d, CULVERT_EINVAL, t->line,
				"%s = \"%.*s\": unknown option \"%s\"%s%s",
				s->what, len, t->text,
				t->text[len] ? "..." : key,
				*s->options ? "; known here: " : "",
				s->options);
		why = bad_value(s, key, u->option[i].value);
		if (why)
			return cv_conf_fail(d, CULVERT_ESYNTAX, t->line,
				"%s = \"%.*s\": ?%s= %s", s->what, len, t->text,
				key, why);
	}
	return 0;
}

bool cv_conf_is(const struct cv_conf_text *t, const char *scheme)
{
	size_t n = strlen(scheme);
	return !strncmp(t->text, scheme, n) && t->text[n] == ':';
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
	int first = (int)strcspn(s->scheme, " ");
	if (!in_words(s->scheme, u.scheme))
		return cv_conf_fail(d, CULVERT_EINVAL, t->line,
			"%s = \"%.*s\": %.*s://host:port is expected here%s%s",
			s->what, len, t->text, first, s->scheme,
			s->scheme[first] ? "; known schemes: " : "",
			s->scheme[first] ? s->scheme : "");
	if (u.user || u.path)
		return cv_conf_fail(d, CULVERT_EINVAL, t->line,
			"%s = \"%.*s\": %s:// takes no user and no path",
			s->what, len, t->text, u.scheme);
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

static int check_lan(const struct cv_conf_text *t, const struct shape *s,
	struct culvert_diag *d)
{
	struct cv_lanurl l;
	struct cv_url u;
	const char *why;
	if (cv_url_parse(&u, t->text, strlen(t->text), &why) ||
		cv_lanurl_parse(&l, &u, &why))
		return cv_conf_fail(d, CULVERT_ESYNTAX, t->line,
			"%s = \"%s\": %s", s->what, t->text, why);
	return check_options(t, s, &u, d);
}

/* a server's id is needed: it is in every packet */
static int check_iproxy(const struct cv_conf_text *t, const struct shape *s,
	struct culvert_diag *d)
{
	struct cv_url u;
	struct cv_lanurl l = { 0 };
	const char *why = "";
	bool udp = cv_conf_is(t, "iproxy+udp");
	int err = cv_url_parse(&u, t->text, strlen(t->text), &why);
	if (!err && !udp)
		err = cv_lanurl_parse(&l, &u, &why);
	if (!err && udp && u.user && cv_url_number(u.user, &l.id))
		l.id = 0;
	if (!err && udp && (!*u.host || u.pass || u.path || !u.port)) {
		err = CULVERT_ESYNTAX;
		why = "iproxy+udp://ID@HOST[:PORT] is expected here";
	}
	if (!err && (!l.id || l.id == CV_IPROXY_LIST_SID)) {
		err = CULVERT_ESYNTAX;
		why = "the server's id belongs in front, such as 67@: from 1 "
		      "to 4294967294";
	}
	return err ? cv_conf_fail(d, err, t->line, "%s = \"%s\": %s", s->what,
			     t->text, why)
		   : check_options(t, s, &u, d);
}

/* options differ with what the sockets are */
static int check_link(const struct cv_conf_text *t, const struct shape *stream,
	const struct shape *dgram, struct culvert_diag *d)
{
	if (cv_lanurl_iproxy(t->text) && stream == &listen_shape)
		return check_iproxy(t, &listen_iproxy, d);
	if (cv_lanurl_is(t->text))
		return check_lan(t,
			dgram == &listen_udp_shape ? &listen_lan_shape
						   : &endpoint_lan_shape,
			d);
	return check_url(t, cv_conf_is(t, "udp") ? dgram : stream, d);
}

int cv_conf_url_listen(const struct cv_conf_text *t, struct culvert_diag *d)
{
	return check_link(t, &listen_shape, &listen_udp_shape, d);
}

int cv_conf_url_endpoint(const struct cv_conf_text *t, struct culvert_diag *d)
{
	return check_link(t, &endpoint_shape, &endpoint_udp_shape, d);
}

int cv_conf_url_via(const struct cv_conf_text *t, struct culvert_diag *d)
{
	if (cv_lanurl_iproxy(t->text))
		return check_iproxy(t, &via_iproxy, d);
	return check_url(t, &via_shape, d);
}

int cv_conf_url_from(const struct cv_conf_text *t, struct culvert_diag *d)
{
	return check_url(t, cv_conf_is(t, "tcp") ? &from_tcp : &from_shape, d);
}

int cv_conf_url_to(const struct cv_conf_text *t, struct culvert_diag *d)
{
	return check_url(t, cv_conf_is(t, "tcp") ? &to_tcp : &to_shape, d);
}

int cv_conf_url_metrics(const struct cv_conf_text *t, struct culvert_diag *d)
{
	return check_url(t, &metrics_shape, d);
}
