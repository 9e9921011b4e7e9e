/* SPDX-License-Identifier: MIT */
/* conf_keys.c - every key of the configuration, and how its value is read */
#include "core/conf_keys.h"
#include "core/keytext.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const section_name[] = {
	[CV_CONF_NODE] = "Node",
	[CV_CONF_SERVE] = "Serve",
	[CV_CONF_PEER] = "Peer",
	[CV_CONF_FORWARD] = "Forward",
};
static_assert(CV_COUNT(section_name) == CV_CONF_SECTIONS, "all have a name");

const char *cv_conf_section_name(enum cv_conf_section s)
{
	return section_name[s];
}

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit times[] = {
	{ "us", 1 },
	{ "ms", 1000 },
	{ "s", 1000000 },
	{ "m", 60000000 },
	{ "h", UINT64_C(3600000000) },
	{ NULL, 0 },
};
static const struct unit sizes[] = {
	{ "K", 1 << 10 },
	{ "M", 1 << 20 },
	{ "G", 1 << 30 },
	{ NULL, 0 },
};

/** struct range - what a number may be; @plain: its factor without a unit */
struct range {
	const struct unit *units;
	uint64_t plain, min, max;
};

/* digits and perhaps a unit; the result is in base units */
static int number(const char *s, const struct range *r, uint64_t *out)
{
	const struct unit *u = r->units;
	uint64_t v = 0, factor = r->plain;
	if (*s < '0' || *s > '9')
		return CULVERT_ESYNTAX;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (v > UINT32_MAX)
			return CULVERT_ESYNTAX;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	if (*s) {
		while (u && u->name && strcmp(u->name, s))
			u++;
		if (!u || !u->name)
			return CULVERT_ESYNTAX;
		factor = u->factor;
	}
	if (v > UINT64_MAX / factor || v * factor < r->min ||
		v * factor > r->max)
		return CULVERT_ESYNTAX;
	*out = v * factor;
	return 0;
}

static int copy(char *out, size_t size, const char *s, const char **why)
{
	if (strlen(s) >= size) {
		*why = "too long";
		return CULVERT_ESYNTAX;
	}
	strcpy(out, s);
	return 0;
}

static int text(struct cv_conf *c, struct cv_conf_text *t, const char *s,
	const char **why)
{
	t->line = c->line;
	return copy(t->text, sizeof t->text, s, why);
}

static int yes_no(bool *out, const char *s, const char **why)
{
	*why = "yes or no";
	if (strcmp(s, "yes") && strcmp(s, "no"))
		return CULVERT_ESYNTAX;
	*out = *s == 'y';
	return 0;
}

static int key(uint8_t out[CV_KEY], const char *s, const char **why)
{
	*why = "not a key: 44 characters of base64, as \"culvert genkey\" and "
	       "\"culvert pubkey\" print them";
	return cv_keytext_parse(out, s);
}

/* --- [Node] --- */

static int node_name(struct cv_conf *c, const char *s, const char **why)
{
	*why = "a name has letters, digits, '-', '_' and '.'";
	if (*s == '.' || strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
				   "QRSTUVWXYZ0123456789-_.") != strlen(s))
		return CULVERT_ESYNTAX;
	return copy(c->name, sizeof c->name, s, why);
}

static int node_key(struct cv_conf *c, const char *s, const char **why)
{
	c->keyed = true;
	*why = "not a private key; \"culvert genkey\" makes one";
	return cv_keytext_parse(c->priv, s);
}

static int node_key_file(struct cv_conf *c, const char *s, const char **why)
{
	return text(c, &c->priv_file, s, why);
}

static int node_peers_file(struct cv_conf *c, const char *s, const char **why)
{
	return text(c, &c->peers_file, s, why);
}

static int node_plain(struct cv_conf *c, const char *s, const char **why)
{
	return yes_no(&c->plain, s, why);
}

static int node_log(struct cv_conf *c, const char *s, const char **why)
{
	static const char *const level[] = { "error", "warn", "info", "debug" };
	*why = "error, warn, info or debug";
	for (unsigned i = 0; i < CV_COUNT(level); i++) {
		if (!strcmp(s, level[i])) {
			c->log = (enum culvert_log_level)i;
			return 0;
		}
	}
	return CULVERT_ESYNTAX;
}

static int node_max_age(struct cv_conf *c, const char *s, const char **why)
{
	uint64_t v;
	*why = "1ms to 10s, in ms if there is no unit";
	int err = number(s, &(struct range){ times, 1000, 1000, 10000000 }, &v);
	if (!err)
		c->max_age = (uint32_t)v;
	return err;
}

static int node_idle(struct cv_conf *c, const char *s, const char **why)
{
	uint64_t v;
	*why = "1s to 1000h, in seconds if there is no unit; 0: never";
	int err = number(s,
		&(struct range){ times, 1000000, 0, UINT64_C(3600000000000) },
		&v);
	if (!err && v % 1000000)
		err = CULVERT_ESYNTAX;
	if (!err)
		c->idle = (uint32_t)(v / 1000000);
	return err;
}

static int count(uint32_t *out, const char *s, uint64_t max)
{
	uint64_t v;
	int err = number(s, &(struct range){ NULL, 1, 1, max }, &v);
	if (!err)
		*out = (uint32_t)v;
	return err;
}

static int node_max_flows(struct cv_conf *c, const char *s, const char **why)
{
	*why = "a number from 1 to 4194304";
	return count(&c->max_flows, s, 1 << 22);
}

static int node_max_source(struct cv_conf *c, const char *s, const char **why)
{
	*why = "a number from 1 to 4194304";
	return count(&c->max_source, s, 1 << 22);
}

static int node_memory(struct cv_conf *c, const char *s, const char **why)
{
	uint64_t v;
	*why = "1M to 2G, in MiB if there is no unit";
	int err = number(s,
		&(struct range){ sizes, 1 << 20, 1 << 20, UINT64_C(1) << 31 },
		&v);
	if (!err)
		c->memory = (uint32_t)v;
	return err;
}

static int node_server(struct cv_conf *c, const char *s, const char **why)
{
	uint64_t v;
	*why = "a number from 0 to 65535";
	int err = number(s, &(struct range){ NULL, 1, 0, 65535 }, &v);
	if (!err)
		c->server = (uint16_t)v;
	return err;
}

static int node_metrics(struct cv_conf *c, const char *s, const char **why)
{
	return text(c, &c->metrics, s, why);
}

/* --- [Serve] --- */

static int add_text(struct cv_conf *c, struct cv_conf_text **list, unsigned *n,
	const char *s, const char **why)
{
	struct cv_conf_text *t = cv_conf_grow(c, *list, *n, sizeof *t);
	if (!t)
		return CULVERT_ENOMEM;
	*list = t;
	return text(c, &t[(*n)++], s, why);
}

static int serve_listen(struct cv_conf *c, const char *s, const char **why)
{
	*why = "too many of these";
	return c->listens == CV_CONF_LISTENS
		       ? CULVERT_EINVAL
		       : add_text(c, &c->listen, &c->listens, s, why);
}

static int serve_allow(struct cv_conf *c, const char *s, const char **why)
{
	*why = "too many of these";
	return c->allows == CV_ALLOW_MAX
		       ? CULVERT_EINVAL
		       : add_text(c, &c->allow, &c->allows, s, why);
}

static int serve_to(struct cv_conf *c, const char *s, const char **why)
{
	return text(c, &c->to, s, why);
}

static int serve_discoverable(
	struct cv_conf *c, const char *s, const char **why)
{
	c->discoverable_line = c->line;
	return yes_no(&c->discoverable, s, why);
}

static int serve_id(struct cv_conf *c, const char *s, const char **why)
{
	*why = "a number from 1 to 4294967295";
	return count(&c->server_id, s, UINT32_MAX);
}

/* --- [Peer] --- */

static struct cv_conf_peer *peer(struct cv_conf *c)
{
	return &c->peer[c->peers - 1];
}

static int peer_key(struct cv_conf *c, const char *s, const char **why)
{
	peer(c)->keyed = true;
	return key(peer(c)->pub, s, why);
}

static int peer_psk(struct cv_conf *c, const char *s, const char **why)
{
	return key(peer(c)->psk, s, why);
}

static int peer_psk_file(struct cv_conf *c, const char *s, const char **why)
{
	peer(c)->psk_line = c->line;
	return copy(peer(c)->psk_file, CV_PATH, s, why);
}

static int peer_endpoint(struct cv_conf *c, const char *s, const char **why)
{
	return text(c, &peer(c)->endpoint, s, why);
}

/* --- [Forward] --- */

static struct cv_conf_forward *forward(struct cv_conf *c)
{
	return &c->forward[c->forwards - 1];
}

static int forward_from(struct cv_conf *c, const char *s, const char **why)
{
	return text(c, &forward(c)->from, s, why);
}

static int forward_to(struct cv_conf *c, const char *s, const char **why)
{
	if (strlen(s) > CV_TARGET_MAX) {
		*why = "longer than a target may be";
		return CULVERT_ESYNTAX;
	}
	return text(c, &forward(c)->to, s, why);
}

static int forward_via(struct cv_conf *c, const char *s, const char **why)
{
	forward(c)->via_line = c->line;
	return copy(forward(c)->via, CV_URL_TEXT, s, why);
}

static const struct cv_conf_key keys[] = {
	{ CV_CONF_NODE, "Name", node_name, false, false },
	{ CV_CONF_NODE, "PrivateKey", node_key, false, true },
	{ CV_CONF_NODE, "PrivateKeyFile", node_key_file, false, false },
	{ CV_CONF_NODE, "PeersFile", node_peers_file, false, false },
	{ CV_CONF_NODE, "Plain", node_plain, false, false },
	{ CV_CONF_NODE, "LogLevel", node_log, false, false },
	{ CV_CONF_NODE, "MaxAge", node_max_age, false, false },
	{ CV_CONF_NODE, "IdleTimeout", node_idle, false, false },
	{ CV_CONF_NODE, "MaxFlows", node_max_flows, false, false },
	{ CV_CONF_NODE, "MaxFlowsPerSource", node_max_source, false, false },
	{ CV_CONF_NODE, "Memory", node_memory, false, false },
	{ CV_CONF_NODE, "ServerNumber", node_server, false, false },
	{ CV_CONF_NODE, "Metrics", node_metrics, false, false },
	{ CV_CONF_SERVE, "Listen", serve_listen, true, false },
	{ CV_CONF_SERVE, "Allow", serve_allow, true, false },
	{ CV_CONF_SERVE, "To", serve_to, false, false },
	{ CV_CONF_SERVE, "Discoverable", serve_discoverable, false, false },
	{ CV_CONF_SERVE, "ServerId", serve_id, false, false },
	{ CV_CONF_PEER, "PublicKey", peer_key, false, false },
	{ CV_CONF_PEER, "PresharedKey", peer_psk, false, true },
	{ CV_CONF_PEER, "PresharedKeyFile", peer_psk_file, false, false },
	{ CV_CONF_PEER, "Endpoint", peer_endpoint, false, false },
	{ CV_CONF_FORWARD, "From", forward_from, false, false },
	{ CV_CONF_FORWARD, "To", forward_to, false, false },
	{ CV_CONF_FORWARD, "Via", forward_via, false, false },
};

const struct cv_conf_key *cv_conf_key_at(size_t i)
{
	return i < CV_COUNT(keys) ? &keys[i] : NULL;
}
