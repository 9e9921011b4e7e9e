/* SPDX-License-Identifier: MIT */
/**
 * conf.c - sections, keys and values of a configuration file
 *
 * DOC: Strict on purpose: a key that is unknown, given twice or in the wrong
 * section is an error, with its line and the nearest name there is.  What the
 * keys mean stands in conf_keys.c, what must fit together in conf_check.c.
 */
#include "core/conf_keys.h"
#include "core/keytext.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 1024, FIRST = 4, NEAR = 3, KEYS = 64 };

struct parser {
	struct cv_conf *c;
	struct culvert_diag *diag;
	enum cv_conf_section section;
	unsigned seen[KEYS]; /* line of a key in this section, 0: not yet;
				cv_conf_key_at() has fewer */
};

int cv_conf_fail(
	struct culvert_diag *diag, int err, unsigned line, const char *fmt, ...)
{
	va_list ap;
	if (!diag)
		return err;
	va_start(ap, fmt);
	vsnprintf(diag->text, sizeof diag->text, fmt, ap);
	va_end(ap);
	diag->line = line;
	return err;
}

/* capacity is the power of two that holds @used */
static size_t capacity(unsigned used)
{
	size_t n = FIRST;
	while (n < used)
		n *= 2;
	return n;
}

void *cv_conf_grow(struct cv_conf *c, void *items, unsigned used, size_t size)
{
	const struct cv_env *env = c->env;
	if (items && capacity(used + 1) == capacity(used))
		return items;
	void *more = env->alloc(env->user, capacity(used + 1) * size);
	if (more && items) {
		memcpy(more, items, used * size);
		cv_crypto_wipe(items, used * size);
		env->free(env->user, items, capacity(used) * size);
	}
	return more;
}

static void give_back(
	struct cv_conf *c, void *items, unsigned used, size_t size)
{
	if (!items)
		return;
	cv_crypto_wipe(items, used * size);
	c->env->free(c->env->user, items, capacity(used) * size);
}

void cv_conf_clear(struct cv_conf *c)
{
	give_back(c, c->listen, c->listens, sizeof *c->listen);
	give_back(c, c->allow, c->allows, sizeof *c->allow);
	give_back(c, c->peer, c->peers, sizeof *c->peer);
	give_back(c, c->forward, c->forwards, sizeof *c->forward);
	cv_crypto_wipe(c, sizeof *c);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool same(const char *a, const char *b)
{
	while (*a && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return lower(*a) == lower(*b);
}

/* Levenshtein distance, or NEAR + 1 if it is more than NEAR */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[CV_NAME + 1];
	size_t la = strlen(a), lb = strlen(b);
	if (la > CV_NAME || lb > CV_NAME)
		return NEAR + 1;
	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned cost =
				diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
			diagonal = row[j];
			if (row[j] + 1 < cost)
				cost = row[j] + 1;
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			row[j] = cost;
		}
	}
	return row[lb] > NEAR ? NEAR + 1 : row[lb];
}

static int unknown_key(struct parser *p, const char *name)
{
	const char *section = cv_conf_section_name(p->section), *near = NULL;
	unsigned best = NEAR + 1;
	const struct cv_conf_key *k;
	for (size_t i = 0; (k = cv_conf_key_at(i)); i++) {
		unsigned d = distance(name, k->name);
		if (same(name, k->name))
			return cv_conf_fail(p->diag, CULVERT_ESYNTAX,
				p->c->line,
				"\"%s\" belongs in [%s], not in [%s]", k->name,
				cv_conf_section_name(k->section), section);
		if (k->section == p->section && d < best) {
			best = d;
			near = k->name;
		}
	}
	if (near)
		return cv_conf_fail(p->diag, CULVERT_ESYNTAX, p->c->line,
			"unknown key \"%s\" in [%s]; did you mean \"%s\"?",
			name, section, near);
	return cv_conf_fail(p->diag, CULVERT_ESYNTAX, p->c->line,
		"unknown key \"%s\" in [%s]; see culvert.conf(5)", name,
		section);
}

static int set(struct parser *p, const char *name, const char *value)
{
	const struct cv_conf_key *k;
	const char *why = "";
	size_t i = 0;
	while ((k = cv_conf_key_at(i)) &&
		(k->section != p->section || !same(k->name, name)))
		i++;
	if (!k)
		return unknown_key(p, name);
	if (p->seen[i] && !k->repeats)
		return cv_conf_fail(p->diag, CULVERT_ESYNTAX, p->c->line,
			"\"%s\" was given already, in line %u", k->name,
			p->seen[i]);
	p->seen[i] = p->c->line;
	int err = k->set(p->c, value, &why);
	if (err == CULVERT_ENOMEM)
		return cv_conf_fail(p->diag, err, p->c->line, "out of memory");
	if (k->secret)
		value = "...";
	if (err)
		cv_conf_fail(p->diag, err, p->c->line, "%s = \"%.*s\": %s",
			k->name, cv_url_shown(value), value, why);
	return err;
}

static int add_peer(struct cv_conf *c, const char *name)
{
	struct cv_conf_peer *p = cv_conf_grow(c, c->peer, c->peers, sizeof *p);
	if (!p)
		return CULVERT_ENOMEM;
	c->peer = p;
	p += c->peers++;
	memset(p, 0, sizeof *p);
	strcpy(p->name, name);
	p->line = c->line;
	return 0;
}

static int add_forward(struct cv_conf *c, const char *name)
{
	if (c->forwards == CV_CONF_FORWARDS)
		return CULVERT_ENOMEM;
	struct cv_conf_forward *f =
		cv_conf_grow(c, c->forward, c->forwards, sizeof *f);
	if (!f)
		return CULVERT_ENOMEM;
	c->forward = f;
	f += c->forwards++;
	memset(f, 0, sizeof *f);
	strcpy(f->name, name);
	f->line = c->line;
	return 0;
}

static int enter(struct parser *p, char *head)
{
	char *name = strchr(head, ' ');
	unsigned s = 0;
	if (name)
		*name++ = '\0';
	while (s < CV_CONF_SECTIONS &&
		!same(head, cv_conf_section_name((enum cv_conf_section)s)))
		s++;
	if (s == CV_CONF_SECTIONS)
		return cv_conf_fail(p->diag, CULVERT_ESYNTAX, p->c->line,
			"unknown section [%s]; there are [Node], [Serve], "
			"[Peer NAME] and [Forward NAME]",
			head);
	bool named = s == CV_CONF_PEER || s == CV_CONF_FORWARD;
	if (name && (!named || strchr(name, ' ') || strlen(name) >= CV_NAME))
		return cv_conf_fail(p->diag, CULVERT_ESYNTAX, p->c->line,
			"the name in [%s %s] must be one word of at most %d "
			"characters%s",
			head, name, CV_NAME - 1,
			named ? "" : ", and this section takes none");
	p->section = (enum cv_conf_section)s;
	memset(p->seen, 0, sizeof p->seen);
	int err = 0;
	if (s == CV_CONF_PEER)
		err = add_peer(p->c, name ? name : "");
	else if (s == CV_CONF_FORWARD)
		err = add_forward(p->c, name ? name : "");
	return err ? cv_conf_fail(p->diag, err, p->c->line,
			     "too many sections, or out of memory")
		   : 0;
}

static char *trim(char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	size_t n = strlen(s);
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
		s[--n] = '\0';
	return s;
}

static int parse_line(struct parser *p, char *line)
{
	line = trim(line);
	if (!*line || *line == '#' || *line == ';')
		return 0;
	size_t n = strlen(line);
	if (*line == '[' && line[n - 1] == ']') {
		line[n - 1] = '\0';
		return enter(p, trim(line + 1));
	}
	char *value = strchr(line, '=');
	if (!value)
		return cv_conf_fail(p->diag, CULVERT_ESYNTAX, p->c->line,
			"expected \"[Section]\" or \"Key = value\"");
	*value++ = '\0';
	line = trim(line);
	value = trim(value);
	if (p->section == CV_CONF_NONE)
		return cv_conf_fail(p->diag, CULVERT_ESYNTAX, p->c->line,
			"\"%s\" stands before the first section", line);
	if (!*value)
		return cv_conf_fail(p->diag, CULVERT_ESYNTAX, p->c->line,
			"\"%s\" has no value", line);
	return set(p, line, value);
}

/* what an error may quote on a terminal: no control character but white space
 */
static bool readable(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)s[i];
		if ((c < ' ' && c != '\t' && c != '\r') || c == 0x7f)
			return false;
	}
	return true;
}

/* one line after the other, each copied and ended by NUL */
static int each_line(struct parser *p, const char *text, size_t len,
	int (*take)(struct parser *, char *line))
{
	struct cv_conf *c = p->c;
	char line[LINE];
	int err = 0;
	for (c->line = 1; len && !err; c->line++) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;
		if (n >= sizeof line || !readable(text, n)) {
			err = cv_conf_fail(p->diag, CULVERT_ESYNTAX, c->line,
				"longer than %d characters, or not text",
				LINE - 1);
			break;
		}
		memcpy(line, text, n);
		line[n] = '\0';
		err = take(p, line);
		text += n + (end != NULL);
		len -= n + (end != NULL);
	}
	cv_crypto_wipe(line, sizeof line);
	return err;
}

int cv_conf_parse(struct cv_conf *c, const struct cv_env *env, const char *text,
	size_t len, struct culvert_diag *diag)
{
	struct parser p = { .c = c, .diag = diag, .section = CV_CONF_NONE };
	*c = (struct cv_conf){
		.env = env,
		.log = CULVERT_INFO,
		.max_age = CV_MAX_AGE,
		.idle = CV_FLOW_IDLE / CV_SEC(1),
		.max_flows = CV_FLOWS_MAX,
		.max_source = CV_FLOWS_SOURCE,
		.memory = CV_MEMORY,
	};
	int err = each_line(&p, text, len, parse_line);
	if (!err)
		err = cv_conf_check(c, diag);
	if (err)
		cv_conf_clear(c);
	return err;
}

/* "KEY [NAME]" */
static int parse_peer(struct parser *p, char *line)
{
	struct cv_conf *c = p->c;
	line = trim(line);
	if (!*line || *line == '#')
		return 0;
	char *name = line + strcspn(line, " \t");
	if (*name)
		*name++ = '\0';
	name = trim(name);
	if (strlen(name) >= CV_NAME || strpbrk(name, " \t"))
		return cv_conf_fail(p->diag, CULVERT_ESYNTAX, c->line,
			"a name is one word of at most %d characters",
			CV_NAME - 1);
	if (add_peer(c, name))
		return cv_conf_fail(
			p->diag, CULVERT_ENOMEM, c->line, "out of memory");
	struct cv_conf_peer *peer = &c->peer[c->peers - 1];
	if (cv_keytext_parse(peer->pub, line))
		return cv_conf_fail(p->diag, CULVERT_ESYNTAX, c->line,
			"\"%s\" is not a public key: 44 characters of base64, "
			"as \"culvert pubkey\" prints them",
			line);
	peer->keyed = true;
	return 0;
}

int cv_conf_peers(struct cv_conf *c, const char *text, size_t len,
	struct culvert_diag *diag)
{
	struct parser p = { .c = c, .diag = diag };
	unsigned from = c->peers;
	int err = each_line(&p, text, len, parse_peer);
	if (!err)
		err = cv_conf_check_peers(c, from, diag);
	/* from here on a complaint is about the line that names the file */
	for (unsigned i = from; i < c->peers; i++)
		c->peer[i].line = c->peers_file.line;
	return err;
}
