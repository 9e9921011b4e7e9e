/* SPDX-License-Identifier: MIT */
/**
 * api.c - the public functions: arguments are checked here, and the work is
 * done elsewhere
 *
 * DOC: culvert_new() does everything that can be refused, in the order in
 * which a reader of the configuration would expect to be told: text, key
 * files, ports.
 */
#include "instance.h"

#include "link/dial.h"
#include "loop/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static void env_log(void *user, enum culvert_log_level level, const char *line)
{
	struct culvert *c = user;
	cv_logger_write(&c->log, level, line, cv_now_of(c));
}

static void env_trace(void *user, const char *line)
{
	struct culvert *c = user;
	c->options.trace(c->options.user, line);
}

static void env_dial(void *user, struct cv_session *s)
{
	(void)user;
	cv_dialer_kick(s->dialer);
}

static void env_state(void *user, struct cv_session *s)
{
	struct culvert *c = user;
	cv_app_peer(c->app, s);
}

static uint64_t wall_time(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* the peers' file, and private and pre-shared keys that are kept in files */
static int read_files(struct cv_conf *f, struct culvert_diag *diag)
{
	struct culvert_diag d = { 0 };
	const char *path = f->priv_file.text;
	if (*path && cv_file_key(path, f->priv, &d))
		return cv_conf_fail(
			diag, CULVERT_ESYS, f->priv_file.line, "%s", d.text);
	f->keyed |= *path != '\0';
	path = f->peers_file.text;
	if (*path && cv_file_peers(path, f, &d))
		return cv_conf_fail(
			diag, CULVERT_ESYS, f->peers_file.line, "%s", d.text);
	for (unsigned i = 0; i < f->peers; i++) {
		struct cv_conf_peer *p = &f->peer[i];
		if (*p->psk_file && cv_file_key(p->psk_file, p->psk, &d))
			return cv_conf_fail(
				diag, CULVERT_ESYS, p->psk_line, "%s", d.text);
	}
	return 0;
}

/* keys that only read together make no sense */
static int check_own(const struct cv_conf *f, struct culvert_diag *diag)
{
	uint8_t pub[CV_KEY];
	if (!f->keyed)
		return 0;
	if (cv_crypto_public(pub, f->priv))
		return cv_conf_fail(diag, CULVERT_ECRYPTO, f->priv_file.line,
			"the private key cannot be used");
	for (unsigned i = 0; i < f->peers; i++)
		if (!memcmp(f->peer[i].pub, pub, CV_KEY))
			return cv_conf_fail(diag, CULVERT_EINVAL,
				f->peer[i].line,
				"this is our own public key; a peer has "
				"another");
	return 0;
}

/* a text and the files it names; the caller clears @f on success */
static int read_conf(struct cv_conf *f, const char *text, size_t len,
	struct culvert_diag *diag)
{
	int err = cv_conf_parse(f, &cv_env_plain, text, len, diag);
	if (err)
		return err;
	err = read_files(f, diag);
	if (!err)
		err = check_own(f, diag);
	if (err)
		cv_conf_clear(f);
	return err;
}

int culvert_check(const char *conf, size_t len, struct culvert_diag *diag)
{
	struct cv_conf f;
	if (diag)
		*diag = (struct culvert_diag){ 0 };
	if (!conf)
		return cv_conf_fail(diag, CULVERT_EINVAL, 0, "no text");
	int err = read_conf(&f, conf, len, diag);
	if (!err)
		cv_conf_clear(&f);
	return err;
}

static void default_name(const struct cv_conf *f, char out[CV_NAME])
{
	struct cv_url u;
	const char *kind = f->listens ? "serve" : "forward";
	const char *text = f->listens    ? f->listen[0].text
			   : f->forwards ? f->forward[0].from.text
					 : "";
	if (*f->name)
		snprintf(out, CV_NAME, "%s", f->name);
	else if (cv_url_parse(&u, text, strlen(text), NULL))
		snprintf(out, CV_NAME, "node");
	else if (u.port < 0)
		snprintf(out, CV_NAME, "%s-%s", kind, u.scheme);
	else
		snprintf(out, CV_NAME, "%s-%ld", kind, u.port);
}

static int make_control(
	struct culvert *c, const struct cv_conf *f, struct culvert_diag *diag)
{
	c->control = cv_control_new(
		&c->loop, c->name, *f->name != '\0', cv_asked, c);
	if (!c->control && errno == EADDRINUSE)
		return cv_conf_fail(diag, CULVERT_ESYS, 0,
			"a running node is called \"%s\" already; choose "
			"another name (--name)",
			c->name);
	if (!c->control)
		cv_log(&c->loop.node, CULVERT_WARN,
			"msg=\"no control socket: culvert show will not find "
			"this node\" error=\"%s\"",
			strerror(errno));
	if (c->control)
		snprintf(c->name, sizeof c->name, "%s",
			cv_control_name(c->control));
	return 0;
}

static int make_node(struct culvert *c, const struct cv_conf *f)
{
	const struct cv_loop_size size = { f->memory, f->max_flows };
	bool loop = !(c->options.flags & CULVERT_NO_LOOP);
	struct cv_node *n = &c->loop.node;
	int err = loop ? cv_loop_init(&c->loop, &c->env, &size, c->options.loop)
		       : cv_node_init(n, &c->env, size.memory, size.flows);
	if (err)
		return err;
	c->loop.fds = c->options.fds;
	c->loop.nfds = c->options.nfds;
	c->links.node = n;
	cv_list_init(&c->links.all);
	if (loop)
		cv_life_init(c);
	n->plain = f->plain;
	n->server = f->server;
	c->app = cv_app_new(n, &c->options, loop ? NULL : &c->links.now);
	if (loop)
		c->udp = cv_udp_io_new(&c->loop);
	if (c->udp)
		c->out = cv_udp_out_new(c->udp, &c->policy);
	if (c->out)
		c->tcp_out = cv_tcp_out_new(&c->loop, &c->policy);
	if (!c->app || (loop && !c->tcp_out))
		return CULVERT_ENOMEM;
	n->out[0] = loop ? cv_udp_out_edge(c->out) : cv_app_edge(c->app);
	if (loop)
		n->out[1] = cv_tcp_out_edge(c->tcp_out);
	if (loop && c->options.accept)
		n->out[2] = cv_app_edge(c->app);
	return f->keyed ? cv_node_set_key(n, f->priv) : 0;
}

static int set_up(
	struct culvert *c, struct cv_conf *f, struct culvert_diag *diag)
{
	c->env = cv_env_plain;
	c->env.log = env_log;
	c->env.dial = env_dial;
	c->env.state = env_state;
	c->env.trace = c->options.trace ? env_trace : NULL;
	c->env.wall = wall_time() - cv_now();
	c->env.user = c;
	c->log.put = c->options.log;
	c->log.user = c->options.user;
	c->log.level = f->log;
	int err = make_node(c, f);
	if (err)
		return cv_conf_fail(diag, err, 0, "out of memory");
	default_name(f, c->name);
	if (c->options.flags & CULVERT_CONTROL && c->loop.ev)
		err = make_control(c, f, diag);
	return err ? err : cv_apply(c, f, diag);
}

enum {
	/* what the first version had: nobody has less */
	OPTIONS_LEAST = offsetof(struct culvert_options, request) +
			sizeof(((struct culvert_options *)0)->request),
	FLAGS = CULVERT_NO_LOOP | CULVERT_CONTROL,
};

/* of a later version's options we can do without those that are 0 */
static bool take_options(struct culvert *c, const struct culvert_options *o)
{
	const uint8_t *bytes = (const void *)o;
	if (!o)
		return true;
	if (o->size < OPTIONS_LEAST)
		return false;
	for (size_t i = sizeof *o; i < o->size; i++)
		if (bytes[i])
			return false;
	memcpy(&c->options, o, o->size < sizeof *o ? o->size : sizeof *o);
	if (o->flags & ~(unsigned)FLAGS || (!o->fds && o->nfds))
		return false;
	return !(o->flags & CULVERT_NO_LOOP) ||
	       (!o->loop && !o->nfds && !(o->flags & CULVERT_CONTROL));
}

int culvert_new(culvert **out, const char *conf, size_t len,
	const struct culvert_options *options, struct culvert_diag *diag)
{
	struct cv_conf f;
	if (diag)
		*diag = (struct culvert_diag){ 0 };
	if (!out || !conf)
		return cv_conf_fail(diag, CULVERT_EINVAL, 0,
			"no text, or nowhere to put the node");
	struct culvert *c = calloc(1, sizeof *c);
	if (!c)
		return CULVERT_ENOMEM;
	int err = CULVERT_EINVAL;
	if (!take_options(c, options))
		cv_conf_fail(diag, err, 0, "the options make no sense");
	else if (getrandom(&f, 1, 0) != 1)
		err = cv_conf_fail(diag, CULVERT_ESYS, 0,
			"no random numbers: %s", strerror(errno));
	else
		err = read_conf(&f, conf, len, diag);
	if (err) {
		free(c);
		return err;
	}
	err = set_up(c, &f, diag);
	if (err) {
		cv_conf_clear(&f);
		cv_destroy(c);
		return err;
	}
	c->loop.nfds = 0; /* they are the caller's again */
	c->made = true;
	*out = c;
	return 0;
}

int culvert_reload(
	culvert *c, const char *conf, size_t len, struct culvert_diag *diag)
{
	struct cv_conf f;
	if (diag)
		*diag = (struct culvert_diag){ 0 };
	if (!c || !conf)
		return CULVERT_EINVAL;
	if (c->doomed || c->loop.node.stopping)
		return cv_conf_fail(
			diag, CULVERT_ESTATE, 0, "the node is stopping");
	int err = read_conf(&f, conf, len, diag);
	if (err)
		return err;
	err = cv_apply(c, &f, diag);
	if (err)
		cv_conf_clear(&f);
	else
		cv_log(&c->loop.node, CULVERT_INFO, "msg=reloaded");
	return err;
}

/* --- flows --- */

static bool knows_time(const struct culvert *c)
{
	return c->loop.ev || c->started;
}

/* what a peer could make sense of */
static bool sound(const char *target)
{
	struct cv_url u;
	size_t len = strlen(target);
	if (!len)
		return true;
	if (len > CV_TARGET_MAX || cv_url_parse(&u, target, len, NULL))
		return false;
	return strcmp(u.scheme, "udp") != 0 || (*u.host && u.port > 0);
}

int culvert_open(
	culvert *c, const char *peer, const char *target, culvert_flow **out)
{
	if (!c || !peer || !target || !out || !sound(target))
		return CULVERT_EINVAL;
	if (c->doomed || c->loop.node.stopping || !knows_time(c))
		return CULVERT_ESTATE;
	struct cv_session *s = cv_session_named(c, peer);
	return s ? cv_app_open(c->app, s, target, out) : CULVERT_EINVAL;
}

int culvert_send(culvert_flow *flow, const void *data, size_t len)
{
	if (!flow || (!data && len) || len > CULVERT_DGRAM_MAX)
		return CULVERT_EINVAL;
	return cv_app_send(flow, data, len);
}

void culvert_close(culvert_flow *flow)
{
	if (flow)
		cv_app_close(flow);
}

void culvert_flow_set(culvert_flow *flow, void *yours)
{
	if (flow)
		*cv_app_yours(flow) = yours;
}

void *culvert_flow_get(const culvert_flow *flow)
{
	return flow ? *cv_app_yours((culvert_flow *)(uintptr_t)flow) : NULL;
}

/* --- without a loop --- */

static struct culvert *culvert_of(const culvert_link *l)
{
	return CV_CONTAINER(cv_applink_set(l), struct culvert, links);
}

/* time moves forward only; where it begins is the program's choice */
static void set_now(struct culvert *c, uint64_t now)
{
	struct cv_node *n = &c->loop.node;
	if (!c->started) {
		n->env.wall = wall_time() - now;
		n->began = now;
	}
	c->started = true;
	if (now > c->links.now)
		c->links.now = now;
}

/* what a call has stirred up; true if the node is gone now */
static bool settle(struct culvert *c)
{
	cv_node_input_done(&c->loop.node);
	cv_node_flush(&c->loop.node, c->links.now);
	cv_life_turn(c);
	return cv_life_over(c);
}

int culvert_link_open(
	culvert *c, const char *peer, uint64_t now, culvert_link **out)
{
	if (!c || !out)
		return CULVERT_EINVAL;
	if (c->loop.ev || c->doomed || c->loop.node.stopping)
		return CULVERT_ESTATE;
	struct cv_session *s = peer ? cv_session_named(c, peer) : NULL;
	if (peer && !s)
		return CULVERT_EINVAL;
	set_now(c, now);
	culvert_link *l = cv_applink_new(&c->links, s);
	if (!l)
		return CULVERT_ENOMEM;
	*out = l;
	return 0;
}

int culvert_link_input(
	culvert_link *link, const void *data, size_t len, uint64_t now)
{
	if (!link || (!data && len))
		return CULVERT_EINVAL;
	struct culvert *c = culvert_of(link);
	if (c->doomed || cv_app_calling(c->app))
		return CULVERT_ESTATE;
	set_now(c, now);
	int err = cv_applink_input(link, data, len);
	return settle(c) ? CULVERT_ESTATE : err;
}

size_t culvert_link_output(
	culvert_link *link, void *data, size_t size, uint64_t now)
{
	if (!link || (!data && size))
		return 0;
	struct culvert *c = culvert_of(link);
	set_now(c, now);
	return cv_applink_output(link, data, size);
}

void culvert_link_close(culvert_link *link)
{
	if (link)
		cv_applink_free(link);
}

uint64_t culvert_deadline(const culvert *c)
{
	if (!c || c->loop.ev)
		return CULVERT_NEVER;
	return cv_earlier(cv_node_deadline(&c->loop.node), cv_life_deadline(c));
}

int culvert_tick(culvert *c, uint64_t now)
{
	if (!c)
		return CULVERT_EINVAL;
	if (c->loop.ev || c->doomed || cv_app_calling(c->app))
		return CULVERT_ESTATE;
	set_now(c, now);
	cv_node_tick(&c->loop.node, c->links.now);
	settle(c);
	return 0;
}
