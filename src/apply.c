/* SPDX-License-Identifier: MIT */
/**
 * apply.c - make a node what a configuration says, at its start and later
 *
 * DOC: Everything that can be refused comes first: what is new is made beside
 * what there is, and thrown away again if the next thing fails.  Only then is
 * the rest changed, which cannot fail: ports and peers that stand in both
 * configurations are handed on, and those that do not are closed.
 */
#include "instance.h"

#include "core/framing.h"
#include "core/keytext.h"
#include "link/dial.h"
#include "loop/files.h"
#include "loop/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct apply {
	struct culvert *c;
	struct cv_conf *next;
	struct cv_parts parts;
	struct cv_policy policy;
	struct culvert_diag *diag;
};

struct cv_session *cv_session_named(struct culvert *c, const char *name)
{
	struct cv_list *all = &c->loop.node.sessions;
	for (struct cv_list *l = all->next; l != all; l = l->next) {
		struct cv_session *s = CV_CONTAINER(l, struct cv_session, all);
		if (!s->temporary && !strcmp(s->name, name))
			return s;
	}
	return NULL;
}

/* --- what is new --- */

/* what a living node cannot change about itself */
static int check_same(const struct apply *a)
{
	const struct cv_conf *is = &a->c->conf, *to = a->next;
	const char *what = NULL;
	if (!a->c->made)
		return 0;
	if (strcmp(is->name, to->name))
		what = "Name";
	else if (is->plain != to->plain)
		what = "Plain";
	else if (memcmp(is->priv, to->priv, CV_KEY))
		what = "the private key";
	else if (is->server != to->server)
		what = "ServerNumber";
	return what ? cv_conf_fail(a->diag, CULVERT_EINVAL, 0,
			      "%s cannot change while the node runs: restart "
			      "it",
			      what)
		    : 0;
}

/* sockets need a loop, and a node something to do */
static int check_use(const struct apply *a)
{
	const struct culvert_options *o = &a->c->options;
	const struct cv_conf *f = a->next;
	bool dials = false;
	for (unsigned i = 0; i < f->peers; i++)
		dials |= *f->peer[i].endpoint.text != '\0';
	if (o->flags & CULVERT_NO_LOOP && (f->listens || f->forwards || dials))
		return cv_conf_fail(a->diag, CULVERT_EINVAL, 0,
			"Listen, Endpoint and [Forward] need a loop, and this "
			"node has none");
	if (f->listens || f->forwards || o->dgram)
		return 0;
	return cv_conf_fail(a->diag, CULVERT_EINVAL, 0,
		"nothing to do: neither \"Listen\" in [Serve] nor a "
		"[Forward]");
}

static int make_policy(struct apply *a)
{
	const char *why = "out of memory";
	a->policy.env = &a->c->env;
	for (unsigned i = 0; i < a->next->allows; i++) {
		const struct cv_conf_text *t = &a->next->allow[i];
		int err = cv_policy_add(&a->policy, t->text, &why);
		if (err)
			return cv_conf_fail(a->diag, err, t->line, "\"%s\": %s",
				t->text, why);
	}
	return 0;
}

static bool same_text(
	const struct cv_conf_text *a, const struct cv_conf_text *b)
{
	return !strcmp(a->text, b->text);
}

static struct cv_session *known(struct culvert *c, const struct cv_conf_peer *p)
{
	return p->keyed ? cv_node_find(&c->loop.node, p->pub)
			: cv_session_named(c, p->name);
}

/* what will dial a peer whose endpoint is another; nothing changes yet */
static int make_dialer(struct apply *a, unsigned i)
{
	const struct cv_conf_peer *p = &a->next->peer[i];
	struct cv_part *part = &a->parts.peer[i];
	struct cv_session *s = part->is;
	void *present = s->dialer;
	bool dials = s->dials;
	struct cv_url u;
	part->moved =
		part->was < 0 ||
		!same_text(&a->c->conf.peer[part->was].endpoint, &p->endpoint);
	if (!part->moved || !*p->endpoint.text)
		return 0;
	if (!cv_url_parse(&u, p->endpoint.text, strlen(p->endpoint.text), NULL))
		part->dialer = cv_dialer_new(&a->c->loop, s, &u);
	s->dialer = present;
	s->dials = dials;
	return part->dialer ? 0
			    : cv_conf_fail(a->diag, CULVERT_ENOMEM,
				      p->endpoint.line, "out of memory");
}

static int make_peer(struct apply *a, unsigned i)
{
	const struct cv_conf_peer *p = &a->next->peer[i];
	struct cv_part *part = &a->parts.peer[i];
	struct cv_node *n = &a->c->loop.node;
	uint8_t pub[CV_KEY];
	struct cv_session *s = known(a->c, p);
	*part = (struct cv_part){ .is = s, .was = s ? (int)s->rule : -1 };
	if (s)
		return make_dialer(a, i);
	memcpy(pub, p->pub, CV_KEY);
	if (!p->keyed) /* plain: told apart by a random identity */
		n->env.random(n->env.user, pub, sizeof pub);
	part->is = s = cv_session_new(n, pub, !p->keyed);
	if (!s)
		return cv_conf_fail(a->diag, CULVERT_ENOMEM, p->line,
			"too many peers: at most %d", CV_SESSIONS_MAX);
	snprintf(s->name, sizeof s->name, "%s", p->name);
	return make_dialer(a, i);
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

static int no_port(struct apply *a, const struct cv_conf_text *t, int error)
{
	return cv_conf_fail(a->diag, CULVERT_ESYS, t->line,
		"cannot listen on %s: %s%s", t->text, strerror(error),
		remedy(error));
}

static int bad_port(
	struct apply *a, const struct cv_conf_text *t, const char *why)
{
	return cv_conf_fail(a->diag, CULVERT_ESYS, t->line,
		"cannot listen on %s: %s", t->text, why);
}

static int numeric(struct apply *a, const struct cv_conf_text *t,
	struct cv_url *u, struct cv_addr *at)
{
	if (!cv_url_parse(u, t->text, strlen(t->text), NULL) &&
		!cv_url_addr(u, at))
		return 0;
	return cv_conf_fail(a->diag, CULVERT_EINVAL, t->line,
		"cannot listen on \"%s\": give an address of this machine, "
		"or * for all",
		t->text);
}

/* two rules cannot have the same port: the first of them has taken it over */
static int check_once(struct apply *a, const struct cv_part *part, unsigned i,
	const struct cv_conf_text *t)
{
	for (unsigned k = 0; k < i; k++)
		if (part[i].was >= 0 && part[k].was == part[i].was)
			return cv_conf_fail(a->diag, CULVERT_EINVAL, t->line,
				"cannot listen on %s twice", t->text);
	return 0;
}

static int make_listen(struct apply *a, unsigned i)
{
	const struct cv_conf_text *t = &a->next->listen[i];
	struct culvert *c = a->c;
	struct cv_part *part = &a->parts.listen[i];
	char why[CV_SOCK_WHY] = "";
	struct cv_url u;
	struct cv_addr at;
	part->was = -1;
	for (unsigned j = 0; j < c->conf.listens; j++)
		if (cv_listen_same(a->next, i, &c->conf, j))
			*part = (struct cv_part){ .is = c->parts.listen[j].is,
				.was = (int)j };
	int err = check_once(a, a->parts.listen, i, t);
	if (err || part->is)
		return err;
	if (cv_listen_named(t))
		err = numeric(a, t, &u, &at);
	else
		cv_url_parse(&u, t->text, strlen(t->text), NULL);
	if (!err)
		part->is = cv_listen(c, a->next, i, &u, why);
	if (err || part->is)
		return err;
	return *why ? bad_port(a, t, why) : no_port(a, t, errno);
}

/* what belongs to its port: of iproxy the way, too */
static bool same_use(
	const struct cv_conf_forward *a, const struct cv_conf_forward *b)
{
	if (!cv_forward_iproxied(a) && !cv_forward_iproxied(b))
		return true;
	return !strcmp(a->via, b->via);
}

/* a port stays the same whatever its clients are forwarded to */
static int find_port(const struct culvert *c, const struct cv_conf_forward *f,
	const struct cv_addr *at)
{
	struct cv_url u;
	struct cv_addr b;
	for (unsigned j = 0; j < c->conf.forwards; j++) {
		const char *text = c->conf.forward[j].from.text;
		if (cv_forward_streams(f) ==
				cv_forward_streams(&c->conf.forward[j]) &&
			same_use(f, &c->conf.forward[j]) &&
			!cv_url_parse(&u, text, strlen(text), NULL) &&
			!cv_url_addr(&u, &b) && cv_addr_equal(at, &b))
			return (int)j;
	}
	return -1;
}

/* the server of a foreign framing that Via names; another forward has another
 */
static int make_far(struct apply *a, unsigned i)
{
	const struct cv_conf_forward *f = &a->next->forward[i];
	struct culvert *c = a->c;
	struct cv_part *part = &a->parts.far[i];
	struct cv_url u;
	part->was = -1;
	if (!cv_framing_of(f->via))
		return 0;
	int was = a->parts.forward[i].was;
	if (was >= 0 && c->parts.far[was].is &&
		!strcmp(c->conf.forward[was].via, f->via)) {
		*part = (struct cv_part){ .is = c->parts.far[was].is,
			.was = was };
		return 0;
	}
	if (!cv_url_parse(&u, f->via, strlen(f->via), NULL))
		part->is = cv_frames_out_new(&c->loop, &u);
	return part->is ? 0
			: cv_conf_fail(a->diag, CULVERT_ENOMEM, f->via_line,
				  "out of memory");
}

static int make_forward(struct apply *a, unsigned i)
{
	const struct cv_conf_forward *f = &a->next->forward[i];
	const struct cv_conf_text *t = &f->from;
	struct culvert *c = a->c;
	struct cv_part *part = &a->parts.forward[i];
	char why[CV_SOCK_WHY] = "";
	struct cv_url u;
	struct cv_addr at;
	part->was = -1;
	int err = numeric(a, t, &u, &at);
	if (err)
		return err;
	part->was = find_port(c, f, &at);
	err = check_once(a, a->parts.forward, i, t);
	if (err)
		return err;
	part->is = part->was < 0 ? cv_forward_listen(c, f, &u, why)
				 : c->parts.forward[part->was].is;
	if (!part->is && *why)
		return bad_port(a, t, why);
	return part->is ? make_far(a, i) : no_port(a, t, errno);
}

static int make_metrics(struct apply *a)
{
	const struct cv_conf_text *t = &a->next->metrics;
	struct culvert *c = a->c;
	struct cv_part *part = &a->parts.metrics;
	bool port = strncmp(t->text, "unix:", 5) != 0;
	struct cv_url u;
	struct cv_addr at;
	part->was = same_text(t, &c->conf.metrics) ? 0 : -1;
	part->is = part->was < 0 ? NULL : c->parts.metrics.is;
	if (!*t->text || part->is)
		return 0;
	int err = port ? numeric(a, t, &u, &at) : 0;
	if (err)
		return err;
	part->is = cv_metrics_listen(&c->loop, t->text, c->name);
	return part->is ? 0 : no_port(a, t, errno);
}

static int make_parts(struct apply *a)
{
	int err = 0;
	for (unsigned i = 0; i < a->next->peers && !err; i++)
		err = make_peer(a, i);
	for (unsigned i = 0; i < a->next->listens && !err; i++)
		err = make_listen(a, i);
	for (unsigned i = 0; i < a->next->forwards && !err; i++)
		err = make_forward(a, i);
	return err ? err : make_metrics(a);
}

/* --- what goes --- */

static void drop_peer(struct cv_session *s)
{
	struct cv_node *n = s->node;
	if (s->dialer)
		cv_dialer_free(s->dialer);
	s->dialer = NULL;
	s->dials = false;
	if (n->draining) /* its flows have just ended */
		cv_node_flush(n, cv_now());
	cv_session_hang_up(
		s, n->draining ? "stopped" : "the peer was taken out");
	cv_session_free(s);
}

/* those of @p that are new, or, with @all, those that are left in it */
static void drop_parts(struct cv_parts *p, const struct cv_conf *conf, bool all)
{
	for (unsigned i = 0; i < conf->forwards; i++)
		if (p->forward[i].is && (all || p->forward[i].was < 0))
			cv_forward_close(&conf->forward[i], p->forward[i].is);
	for (unsigned i = 0; i < conf->forwards; i++)
		if (p->far[i].is && (all || p->far[i].was < 0))
			cv_frames_out_free(p->far[i].is);
	for (unsigned i = 0; i < conf->listens; i++)
		if (p->listen[i].is && (all || p->listen[i].was < 0))
			cv_unlisten(&conf->listen[i], p->listen[i].is);
	for (unsigned i = 0; i < conf->peers; i++) {
		if (p->peer[i].dialer)
			cv_dialer_free(p->peer[i].dialer);
		if (p->peer[i].is && (all || p->peer[i].was < 0))
			drop_peer(p->peer[i].is);
	}
	if (all || p->metrics.was < 0)
		cv_metrics_free(p->metrics.is);
	p->metrics.is = NULL;
}

static void free_parts(struct cv_parts *p)
{
	free(p->peer);
	free(p->listen);
	free(p->forward);
	free(p->far);
	*p = (struct cv_parts){ 0 };
}

static int new_parts(struct cv_parts *p, const struct cv_conf *conf)
{
	p->peer = calloc(conf->peers + 1, sizeof *p->peer);
	p->listen = calloc(conf->listens + 1, sizeof *p->listen);
	p->forward = calloc(conf->forwards + 1, sizeof *p->forward);
	p->far = calloc(conf->forwards + 1, sizeof *p->far);
	if (p->peer && p->listen && p->forward && p->far)
		return 0;
	free_parts(p);
	return CULVERT_ENOMEM;
}

/* --- what changes, and cannot fail any more --- */

static void set_node(struct apply *a)
{
	struct culvert *c = a->c;
	struct cv_node *n = &c->loop.node;
	const struct cv_conf *f = a->next;
	c->log.level = f->log;
	n->max_age = f->max_age;
	n->accepts = f->listens > 0 || c->options.flags & CULVERT_NO_LOOP;
	n->pool.max = f->memory;
	n->flows.max = f->max_flows;
	n->flows.idle = CV_SEC(f->idle);
	n->flows.max_source = f->max_source;
	/* no peer may have all the descriptors there are */
	size_t share = cv_files_limit() / 4 * 3;
	bool strangers = false;
	for (unsigned i = 0; i < f->listens; i++)
		strangers |= cv_framing_of(f->listen[i].text) != 0;
	if (strangers)
		share = cv_listen_foreign_max() / 4 * 3;
	if (c->out && f->listens && (f->peers > 1 || strangers) &&
		n->flows.max_source > share)
		n->flows.max_source = share;
}

/* handed on to the next configuration: not to be closed with this one */
static void hand_on(struct apply *a)
{
	struct cv_parts *old = &a->c->parts, *new = &a->parts;
	for (unsigned i = 0; i < a->next->peers; i++)
		if (new->peer[i].was >= 0)
			old->peer[new->peer[i].was].is = NULL;
	for (unsigned i = 0; i < a->next->listens; i++)
		if (new->listen[i].was >= 0)
			old->listen[new->listen[i].was].is = NULL;
	for (unsigned i = 0; i < a->next->forwards; i++)
		if (new->forward[i].was >= 0)
			old->forward[new->forward[i].was].is = NULL;
	if (new->metrics.was >= 0)
		old->metrics.is = NULL;
	for (unsigned i = 0; i < a->next->forwards; i++)
		if (new->far[i].was >= 0)
			old->far[new->far[i].was].is = NULL;
}

static void set_dialer(struct cv_session *s, struct cv_part *part)
{
	if (s->dialer)
		cv_dialer_free(s->dialer);
	s->dialer = part->dialer;
	s->dials = part->dialer != NULL;
	part->dialer = NULL;
}

static void set_peer(struct apply *a, unsigned i)
{
	struct culvert *c = a->c;
	const struct cv_conf_peer *p = &a->next->peer[i];
	struct cv_part *part = &a->parts.peer[i];
	struct cv_session *s = part->is;
	if (!s) /* it was made, or nothing is applied */
		return;
	bool rekeyed = part->was < 0 || memcmp(s->psk, p->psk, CV_KEY) != 0;
	s->rule = i;
	if (strcmp(s->name, p->name) != 0)
		cv_app_gone(c->app, s);
	snprintf(s->name, sizeof s->name, "%s", p->name);
	memcpy(s->psk, p->psk, CV_KEY);
	if (part->moved)
		set_dialer(s, part);
	if (part->moved || rekeyed)
		cv_session_hang_up(s, "its settings were changed");
	if (c->started)
		cv_session_want(s, cv_now_of(c));
}

/* a peer that goes may still have the name */
static struct cv_session *via(const struct apply *a, const char *name)
{
	for (unsigned i = 0; i < a->next->peers; i++)
		if (!strcmp(a->next->peer[i].name, name))
			return a->parts.peer[i].is;
	return NULL;
}

static void set_forward(struct apply *a, unsigned i)
{
	const struct cv_conf_forward *f = &a->next->forward[i];
	struct cv_frames_out *far = a->parts.far[i].is;
	cv_forward_route(a->parts.forward[i].is, f, via(a, f->via),
		far ? cv_frames_out_edge(far) : NULL);
}

static void commit(struct apply *a)
{
	struct culvert *c = a->c;
	struct cv_policy gone = c->policy;
	hand_on(a);
	for (unsigned i = 0; i < a->next->peers; i++)
		set_peer(a, i);
	for (unsigned i = 0; i < a->next->forwards; i++)
		set_forward(a, i);
	drop_parts(&c->parts, &c->conf, true);
	free_parts(&c->parts);
	set_node(a);
	c->policy = a->policy;
	if (gone.env)
		cv_policy_clear(&gone);
	const char *to = a->next->to.text;
	bool streams = cv_conf_is(&a->next->to, "tcp");
	if (c->out) {
		cv_udp_out_allow(c->out, streams ? "" : to);
		cv_tcp_out_allow(c->tcp_out, streams ? to : "");
	}
	if (c->conf.env)
		cv_conf_clear(&c->conf);
	c->parts = a->parts;
	c->conf = *a->next;
	cv_crypto_wipe(a->next, sizeof *a->next); /* it has keys */
	cv_announce(c);
}

int cv_apply(struct culvert *c, struct cv_conf *next, struct culvert_diag *diag)
{
	struct apply a = { .c = c, .next = next, .diag = diag };
	int err = check_same(&a);
	if (!err)
		err = check_use(&a);
	if (err)
		return err;
	if (new_parts(&a.parts, next))
		return cv_conf_fail(diag, CULVERT_ENOMEM, 0, "out of memory");
	err = make_policy(&a);
	if (!err)
		err = make_parts(&a);
	if (err) {
		drop_parts(&a.parts, next, false);
		free_parts(&a.parts);
		cv_policy_clear(&a.policy);
		return err;
	}
	commit(&a);
	return 0;
}

void cv_unapply(struct culvert *c)
{
	cv_unannounce(c);
	if (c->parts.peer)
		drop_parts(&c->parts, &c->conf, true);
	free_parts(&c->parts);
}
