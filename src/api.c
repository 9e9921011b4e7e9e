/* SPDX-License-Identifier: MIT */
/**
 * api.c - the public functions: from a configuration to a running node
 *
 * DOC: culvert_new() does everything that can be refused, in the order in
 * which a reader of the configuration would expect to be told: text, key
 * files, ports.  culvert_run() only turns the loop.
 */
#include "core/conf.h"
#include "core/keytext.h"
#include "edge/edge_udp.h"
#include "edge/edge_udp_out.h"
#include "link/dial.h"
#include "link/link_tcp.h"
#include "loop/control.h"
#include "loop/files.h"
#include "loop/log.h"
#include "loop/resolve.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

struct culvert {
	struct cv_loop loop;
	struct cv_env env;
	struct cv_logger log;
	struct cv_conf conf;
	struct cv_policy policy;
	struct cv_udp_io *udp;
	struct cv_udp_out *out;
	struct cv_tcp_listener *listener[CV_CONF_LISTENS];
	unsigned listeners;
	struct cv_udp_port **port;
	unsigned ports;
	struct cv_control *control;
	struct culvert_diag *diag;
	unsigned descriptors;
	ev_signal term, intr, hup;
	ev_async stop;
	ev_prepare drained;
	ev_timer drain_limit;
};

static void *env_alloc(void *user, size_t size)
{
	(void)user;
	return calloc(1, size);
}

static void env_free(void *user, void *ptr, size_t size)
{
	(void)user;
	(void)size;
	free(ptr);
}

static void env_random(void *user, void *out, size_t len)
{
	(void)user;
	/* never short up to 256 bytes, nor interrupted: getrandom(2) */
	for (uint8_t *p = out; len;) {
		ssize_t n = getrandom(p, len < 256 ? len : 256, 0);
		if (n < 0)
			abort();
		p += n;
		len -= (size_t)n;
	}
}

static void env_log(void *user, enum culvert_log_level level, const char *line)
{
	struct culvert *c = user;
	cv_logger_write(&c->log, level, line);
}

static void env_dial(void *user, struct cv_session *s)
{
	(void)user;
	cv_dialer_kick(s->dialer);
}

static uint64_t wall_offset(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u -
	       cv_now();
}

__attribute__((format(printf, 4, 5))) static int refuse(
	struct culvert *c, int err, unsigned line, const char *fmt, ...)
{
	va_list ap;
	if (!c->diag)
		return err;
	va_start(ap, fmt);
	vsnprintf(c->diag->text, sizeof c->diag->text, fmt, ap);
	va_end(ap);
	c->diag->line = line;
	return err;
}

/* the peers' file, and private and pre-shared keys that are kept in files */
static int read_files(struct culvert *c)
{
	struct cv_conf *f = &c->conf;
	struct culvert_diag d = { 0 };
	const char *path = f->priv_file.text;
	if (*path && cv_file_key(path, f->priv, &d))
		return refuse(c, CULVERT_ESYS, f->priv_file.line, "%s", d.text);
	f->keyed |= *path != '\0';
	path = f->peers_file.text;
	if (*path && cv_file_peers(path, f, &d))
		return refuse(
			c, CULVERT_ESYS, f->peers_file.line, "%s", d.text);
	for (unsigned i = 0; i < f->peers; i++) {
		struct cv_conf_peer *p = &f->peer[i];
		if (*p->psk_file && cv_file_key(p->psk_file, p->psk, &d))
			return refuse(
				c, CULVERT_ESYS, p->psk_line, "%s", d.text);
	}
	return 0;
}

static void on_stop(struct ev_loop *ev, ev_async *w, int events);

static int set_up_node(struct culvert *c)
{
	struct cv_node *n = &c->loop.node;
	struct cv_conf *f = &c->conf;
	if (cv_loop_init(&c->loop, &c->env, f->memory, f->max_flows))
		return refuse(c, CULVERT_ENOMEM, 0, "out of memory");
	ev_async_init(&c->stop, on_stop);
	c->stop.data = c;
	ev_async_start(c->loop.ev, &c->stop);
	n->plain = f->plain;
	n->server = f->server;
	n->max_age = f->max_age;
	n->accepts = f->listens > 0;
	n->flows.idle = CV_SEC(f->idle);
	n->flows.max_source = f->max_source;
	/* no peer may have all the descriptors there are */
	size_t share = c->descriptors / 4 * 3;
	if (f->listens && f->peers > 1 && n->flows.max_source > share)
		n->flows.max_source = share;
	if (f->keyed && cv_node_set_key(n, f->priv))
		return refuse(c, CULVERT_ECRYPTO, f->priv_file.line,
			"the private key cannot be used");
	c->udp = cv_udp_io_new(&c->loop);
	if (!c->udp)
		return refuse(c, CULVERT_ENOMEM, 0, "out of memory");
	return 0;
}

static int add_peer(struct culvert *c, const struct cv_conf_peer *p)
{
	struct cv_node *n = &c->loop.node;
	struct cv_url u;
	uint8_t pub[CV_KEY];
	memcpy(pub, p->pub, CV_KEY);
	if (!p->keyed) /* plain: told apart by a random identity */
		env_random(c, pub, sizeof pub);
	if (p->keyed && !memcmp(pub, n->pub, CV_KEY))
		return refuse(c, CULVERT_EINVAL, p->line,
			"this is our own public key; a peer has another");
	struct cv_session *s = cv_session_new(n, pub, !p->keyed);
	if (!s)
		return refuse(c, CULVERT_ENOMEM, p->line,
			"too many peers: at most %d", CV_SESSIONS_MAX);
	memcpy(s->psk, p->psk, CV_KEY);
	snprintf(s->name, sizeof s->name, "%s", p->name);
	if (!*p->endpoint.text)
		return 0;
	if (cv_url_parse(
		    &u, p->endpoint.text, strlen(p->endpoint.text), NULL) ||
		!cv_dialer_new(&c->loop, s, &u))
		return refuse(c, CULVERT_ENOMEM, p->line, "out of memory");
	return 0;
}

static int add_peers(struct culvert *c)
{
	int err = 0;
	for (unsigned i = 0; i < c->conf.peers && !err; i++)
		err = add_peer(c, &c->conf.peer[i]);
	return err;
}

/* why a port could not be had, and what to do about it */
static const char *remedy(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "; another program has it: choose another port or "
		       "stop that program (ss -lnptu shows it)";
	case EADDRNOTAVAIL:
		return "; this machine does not have that address";
	case EACCES:
	case EPERM:
		return "; ports below 1024 need root or CAP_NET_BIND_SERVICE";
	default:
		return "";
	}
}

static int no_port(struct culvert *c, const struct cv_conf_text *t, int error)
{
	return refuse(c, CULVERT_ESYS, t->line, "cannot listen on %s: %s%s",
		t->text, strerror(error), remedy(error));
}

static int numeric(struct culvert *c, const struct cv_conf_text *t,
	struct cv_url *u, struct cv_addr *a)
{
	if (!cv_url_parse(u, t->text, strlen(t->text), NULL) &&
		!cv_url_addr(u, a))
		return 0;
	return refuse(c, CULVERT_EINVAL, t->line,
		"cannot listen on \"%s\": give an address of this machine, "
		"or * for all",
		t->text);
}

static int add_listen(struct culvert *c, const struct cv_conf_text *t)
{
	char why[CV_SOCK_WHY] = "";
	struct cv_url u;
	struct cv_addr a;
	int err = numeric(c, t, &u, &a);
	if (err)
		return err;
	c->listener[c->listeners] = cv_tcp_listen(&c->loop, &a, &u, why);
	if (!c->listener[c->listeners])
		return *why ? refuse(c, CULVERT_ESYS, t->line,
				      "cannot listen on %s: %s", t->text, why)
			    : no_port(c, t, errno);
	c->listeners++;
	return 0;
}

static int add_serve(struct culvert *c)
{
	struct cv_conf *f = &c->conf;
	const char *why;
	int err = 0;
	c->policy.env = &c->env;
	for (unsigned i = 0; i < f->allows; i++) {
		if (cv_policy_add(&c->policy, f->allow[i].text, &why))
			return refuse(c, CULVERT_ESYNTAX, f->allow[i].line,
				"\"%s\": %s", f->allow[i].text, why);
	}
	c->out = cv_udp_out_new(c->udp, &c->policy, f->to.text);
	if (!c->out)
		return refuse(c, CULVERT_ENOMEM, 0, "out of memory");
	if (f->listens)
		c->loop.node.out = cv_udp_out_edge(c->out);
	for (unsigned i = 0; i < f->listens && !err; i++)
		err = add_listen(c, &f->listen[i]);
	return err;
}

static struct cv_session *session_named(struct culvert *c, const char *name)
{
	struct cv_list *all = &c->loop.node.sessions;
	for (struct cv_list *l = all->next; l != all; l = l->next) {
		struct cv_session *s = CV_CONTAINER(l, struct cv_session, all);
		if (!strcmp(s->name, name))
			return s;
	}
	return NULL;
}

static int add_forward(struct culvert *c, const struct cv_conf_forward *w)
{
	struct cv_session *s = session_named(c, w->via);
	struct cv_addr at, peer = { 0 };
	struct cv_url u;
	int err = numeric(c, &w->from, &u, &at);
	if (err)
		return err;
	const char *known = cv_url_option(&u, "peer");
	if (known && (cv_hostport_parse(known, &peer) || !peer.port))
		return refuse(c, CULVERT_ESYNTAX, w->from.line,
			"\"%s\": ?peer= is address:port", w->from.text);
	struct cv_udp_port *p =
		cv_udp_listen(c->udp, &at, &peer, s, w->to.text);
	if (!p)
		return no_port(c, &w->from, errno);
	c->port[c->ports++] = p;
	return 0;
}

static int add_forwards(struct culvert *c)
{
	int err = 0;
	c->port = calloc(c->conf.forwards + 1, sizeof(*c->port));
	if (!c->port)
		return refuse(c, CULVERT_ENOMEM, 0, "out of memory");
	for (unsigned i = 0; i < c->conf.forwards && !err; i++)
		err = add_forward(c, &c->conf.forward[i]);
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
	else if (!cv_url_parse(&u, text, strlen(text), NULL))
		snprintf(out, CV_NAME, "%s-%ld", kind, u.port);
	else
		snprintf(out, CV_NAME, "node");
}

static int set_up(struct culvert *c, const char *conf, size_t len)
{
	char name[CV_NAME];
	c->env = (struct cv_env){
		.alloc = env_alloc,
		.free = env_free,
		.random = env_random,
		.log = env_log,
		.dial = env_dial,
		.wall = wall_offset(),
		.user = c,
	};
	int err = cv_conf_parse(&c->conf, &c->env, conf, len, c->diag);
	if (err)
		return err;
	c->log.level = c->conf.log;
	c->descriptors = cv_files_raise_limit();
	if ((err = read_files(c)) || (err = set_up_node(c)) ||
		(err = add_peers(c)) || (err = add_serve(c)) ||
		(err = add_forwards(c)))
		return err;
	default_name(&c->conf, name);
	c->control = cv_control_new(&c->loop, name, *c->conf.name != '\0');
	if (!c->control && errno == EADDRINUSE)
		return refuse(c, CULVERT_ESYS, 0,
			"a running node is called \"%s\" already; choose "
			"another name (--name)",
			name);
	if (!c->control)
		cv_log(&c->loop.node, CULVERT_WARN,
			"msg=\"no control socket: culvert show will not find "
			"this node\" error=\"%s\"",
			strerror(errno));
	return 0;
}

int culvert_new(
	culvert **out, const char *conf, size_t len, struct culvert_diag *diag)
{
	struct culvert *c = calloc(1, sizeof *c);
	if (!c)
		return CULVERT_ENOMEM;
	c->diag = diag;
	c->log.level = CULVERT_INFO;
	int err = set_up(c, conf, len);
	c->diag = NULL;
	if (err) {
		culvert_free(c);
		return err;
	}
	*out = c;
	return 0;
}

static void on_drained(struct ev_loop *ev, ev_prepare *w, int events)
{
	struct culvert *c = w->data;
	(void)events;
	if (cv_node_drained(&c->loop.node))
		ev_break(ev, EVBREAK_ALL);
}

static void on_drain_limit(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)w;
	(void)events;
	ev_break(ev, EVBREAK_ALL);
}

static void drain(struct culvert *c, const char *why)
{
	struct ev_loop *ev = c->loop.ev;
	if (c->loop.node.draining) {
		ev_break(ev, EVBREAK_ALL);
		return;
	}
	cv_log(&c->loop.node, CULVERT_INFO, "msg=stopping reason=\"%s\"", why);
	for (; c->listeners; c->listeners--)
		cv_tcp_unlisten(c->listener[c->listeners - 1]);
	cv_udp_io_drain(c->udp);
	cv_node_drain(&c->loop.node);
	ev_prepare_start(ev, &c->drained);
	ev_timer_start(ev, &c->drain_limit);
}

static void on_signal(struct ev_loop *ev, ev_signal *w, int events)
{
	(void)ev;
	(void)events;
	drain(w->data, strsignal(w->signum));
}

static void on_stop(struct ev_loop *ev, ev_async *w, int events)
{
	(void)ev;
	(void)events;
	drain(w->data, "asked");
}

static void watch_signal(struct culvert *c, ev_signal *w, int number)
{
	struct sigaction now;
	/* what whoever started us wants ignored stays so: nohup(1) */
	if (!sigaction(number, NULL, &now) && now.sa_handler == SIG_IGN)
		return;
	ev_signal_init(w, on_signal, number);
	w->data = c;
	ev_signal_start(c->loop.ev, w);
}

static void say_ready(struct culvert *c)
{
	struct cv_node *n = &c->loop.node;
	const char *name = c->control ? cv_control_name(c->control) : "-";
	for (unsigned i = 0; i < c->conf.listens; i++)
		cv_log(n, CULVERT_INFO,
			"msg=listening link=%s peers=%u%s node=%s",
			c->conf.listen[i].text, c->conf.peers,
			n->plain ? " plain=yes" : "", name);
	for (unsigned i = 0; i < c->conf.forwards; i++)
		cv_log(n, CULVERT_INFO,
			"msg=forwarding from=%s to=%s via=%s%s node=%s",
			c->conf.forward[i].from.text,
			*c->conf.forward[i].to.text ? c->conf.forward[i].to.text
						    : "-",
			c->conf.forward[i].via, n->plain ? " plain=yes" : "",
			name);
}

int culvert_run(culvert *c)
{
	struct cv_node *n = &c->loop.node;
	ev_prepare_init(&c->drained, on_drained);
	/* behind the flush of the same turn */
	ev_set_priority(&c->drained, EV_MINPRI);
	ev_timer_init(&c->drain_limit, on_drain_limit, CV_DRAIN / 1e6, 0.);
	c->drained.data = c->drain_limit.data = c;
	watch_signal(c, &c->term, SIGTERM);
	watch_signal(c, &c->intr, SIGINT);
	watch_signal(c, &c->hup, SIGHUP);
	say_ready(c);
	for (struct cv_list *l = n->sessions.next; l != &n->sessions;
		l = l->next)
		cv_session_want(
			CV_CONTAINER(l, struct cv_session, all), cv_now());
	ev_run(c->loop.ev, 0);
	ev_signal_stop(c->loop.ev, &c->term);
	ev_signal_stop(c->loop.ev, &c->intr);
	ev_signal_stop(c->loop.ev, &c->hup);
	ev_prepare_stop(c->loop.ev, &c->drained);
	ev_timer_stop(c->loop.ev, &c->drain_limit);
	return 0;
}

void culvert_stop(culvert *c)
{
	ev_async_send(c->loop.ev, &c->stop);
}

/* flows first, then what they lie on, then what carries them */
static void close_all(struct culvert *c)
{
	struct cv_node *n = &c->loop.node;
	n->draining = true;
	for (struct cv_list *l = n->sessions.next; l != &n->sessions;
		l = l->next) {
		struct cv_session *s = CV_CONTAINER(l, struct cv_session, all);
		if (s->dialer)
			cv_dialer_free(s->dialer);
		s->dialer = NULL;
		s->dials = false;
	}
	for (; c->listeners; c->listeners--)
		cv_tcp_unlisten(c->listener[c->listeners - 1]);
	while (!cv_list_empty(&n->links)) {
		struct cv_link *l =
			CV_CONTAINER(n->links.next, struct cv_link, all);
		l->ops->close(l, "stopped");
	}
	while (!cv_list_empty(&n->sessions))
		cv_session_free(
			CV_CONTAINER(n->sessions.next, struct cv_session, all));
	ev_async_stop(c->loop.ev, &c->stop);
	cv_node_reap(n, SIZE_MAX, cv_now());
	while (c->ports)
		cv_udp_unlisten(c->port[--c->ports]);
	cv_udp_out_free(c->out);
	cv_udp_io_free(c->udp);
	cv_control_free(c->control);
	cv_resolver_free(&c->loop);
	cv_loop_clear(&c->loop);
}

void culvert_free(culvert *c)
{
	if (!c)
		return;
	if (c->loop.ev)
		close_all(c);
	free(c->port);
	if (c->policy.env)
		cv_policy_clear(&c->policy);
	if (c->conf.env)
		cv_conf_clear(&c->conf);
	free(c);
}

int culvert_ask(const char *name, const char *request,
	void (*answer)(void *user, const char *piece, size_t len), void *user)
{
	return cv_control_ask(name, request, answer, user);
}

int culvert_genkey(char out[CULVERT_KEYTEXT], int preshared)
{
	uint8_t key[CV_KEY];
	env_random(NULL, key, sizeof key);
	if (!preshared) { /* clamped, as wg writes them (RFC 7748) */
		key[0] &= 248;
		key[31] = (uint8_t)((key[31] & 127) | 64);
	}
	cv_keytext_format(key, out);
	cv_crypto_wipe(key, sizeof key);
	return 0;
}

int culvert_pubkey(char out[CULVERT_KEYTEXT], const char *priv)
{
	uint8_t key[CV_KEY], pub[CV_KEY];
	int err = cv_keytext_parse(key, priv);
	if (!err)
		err = cv_crypto_public(pub, key);
	if (!err)
		cv_keytext_format(pub, out);
	cv_crypto_wipe(key, sizeof key);
	return err;
}

const char *culvert_strerror(int err)
{
	switch (err) {
	case CULVERT_OK:
		return "no error";
	case CULVERT_ENOMEM:
		return "out of memory, or a limit was reached";
	case CULVERT_EINVAL:
		return "a setting makes no sense";
	case CULVERT_ESYNTAX:
		return "could not be parsed";
	case CULVERT_ESYS:
		return "the system refused";
	case CULVERT_ECRYPTO:
		return "cryptography failed";
	case CULVERT_EPROTO:
		return "the peer broke the protocol";
	case CULVERT_EREFUSED:
		return "refused by policy";
	case CULVERT_ENODAEMON:
		return "no running node answers";
	case CULVERT_EFULL:
		return "a table or queue is full";
	default:
		return "unknown error";
	}
}

const char *culvert_version(void)
{
	return CV_VERSION;
}
