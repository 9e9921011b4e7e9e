/* SPDX-License-Identifier: MIT */
/**
 * life.c - start, turn, stop, end
 *
 * DOC: Whatever is asked for from other threads, from signal handlers and by
 * callbacks is noted, and done as the last thing in a turn of the loop, or at
 * the end of a call that moved bytes or time.
 */
#include "instance.h"

#include "core/framing.h"
#include "core/lanurl.h"
#include "link/dial.h"
#include "loop/resolve.h"

#include <stdlib.h>

cv_time cv_now_of(const struct culvert *c)
{
	return c->loop.ev ? cv_now() : c->links.now;
}

static void end(struct culvert *c)
{
	const struct culvert_options *o = &c->options;
	if (c->ended)
		return;
	c->ended = true;
	if (c->loop.ev) {
		ev_timer_stop(c->loop.ev, &c->drain_limit);
		if (c->running)
			ev_break(c->loop.ev, EVBREAK_ALL);
	}
	cv_app_enter(c->app);
	if (o->stopped)
		o->stopped(o->user);
	cv_app_leave(c->app);
}

static void set_limit(struct culvert *c, cv_time limit)
{
	c->drain_end = cv_now_of(c) + limit;
	if (!c->loop.ev)
		return;
	ev_now_update(c->loop.ev);
	ev_timer_stop(c->loop.ev, &c->drain_limit);
	ev_timer_set(&c->drain_limit, (double)limit / 1e6, 0.);
	ev_timer_start(c->loop.ev, &c->drain_limit);
}

static void say_goodbye(struct culvert *c)
{
	struct cv_node *n = &c->loop.node;
	c->goodbye = true;
	if (c->udp)
		cv_udp_io_drain(c->udp);
	cv_node_drain(n);
	set_limit(c, CV_DRAIN);
	if (!c->loop.ev)
		return;
	/* this turn's flush is over, and nothing may come to begin another */
	cv_node_input_done(n);
	cv_node_flush(n, cv_now());
}

static void on_drain_limit(struct ev_loop *ev, ev_timer *w, int events)
{
	struct culvert *c = w->data;
	(void)ev;
	(void)events;
	if (c->goodbye)
		end(c);
	else
		say_goodbye(c);
}

static void stop_listening(struct culvert *c)
{
	cv_unannounce(c);
	for (unsigned i = 0; i < c->conf.forwards; i++)
		cv_forward_pause(&c->conf.forward[i], c->parts.forward[i].is);
	for (unsigned i = 0; i < c->conf.listens; i++)
		c->parts.listen[i].is = cv_listen_pause(
			&c->conf.listen[i], c->parts.listen[i].is);
}

/* streams are there, of a peer who is or will be too */
static bool streaming(const struct cv_node *n)
{
	if (!n->flows.streams)
		return false;
	for (const struct cv_list *l = n->sessions.next; l != &n->sessions;
		l = l->next) {
		const struct cv_session *s =
			CV_CONTAINER(l, struct cv_session, all);
		if (s->nflows && (s->links || s->dials))
			return true;
	}
	return false;
}

/* transfers may come to their end, but the second time it is enough */
static void drain(struct culvert *c)
{
	struct cv_node *n = &c->loop.node;
	if (n->stopping) {
		end(c);
		return;
	}
	n->stopping = true;
	cv_log(n, CULVERT_INFO, "msg=stopping streams=%zu", n->flows.streams);
	stop_listening(c);
	if (streaming(n))
		set_limit(c, CV_DRAIN_STREAMS);
	else
		say_goodbye(c);
}

/* everything left, or it has had its time */
static bool drained(const struct culvert *c)
{
	const struct cv_node *n = &c->loop.node;
	bool gone = c->goodbye ? cv_node_drained(n) : !streaming(n);
	return gone || cv_now_of(c) >= c->drain_end;
}

void cv_life_turn(struct culvert *c)
{
	const struct culvert_options *o = &c->options;
	bool can = c->started || !c->loop.ev;
	/* looked at first: who woke us and then stopped us is woken first, even
	   if a signal does both from between these lines */
	unsigned stops = can ? atomic_exchange(&c->stop_asked, 0) : 0;
	if (atomic_exchange(&c->wake_asked, false) && o->woken && !c->doomed) {
		cv_app_enter(c->app);
		o->woken(o->user);
		cv_app_leave(c->app);
	}
	for (; stops && !c->doomed; stops--)
		drain(c);
	if (!can || !c->loop.node.stopping || c->doomed)
		return;
	if (!c->goodbye && drained(c))
		say_goodbye(c);
	if (c->goodbye && drained(c))
		end(c);
}

cv_time cv_life_deadline(const struct culvert *c)
{
	const struct cv_node *n = &c->loop.node;
	bool stopping = n->stopping && !c->ended;
	if (c->stop_asked || c->wake_asked || !cv_list_empty(&n->dirty_edges) ||
		(stopping && drained(c)))
		return c->links.now;
	return stopping ? c->drain_end : CV_NEVER;
}

bool cv_life_over(struct culvert *c)
{
	if (!c->doomed || cv_app_calling(c->app))
		return false;
	cv_destroy(c);
	return true;
}

/* only wakes the loop: its last act in the turn sees what was asked */
static void on_asked(struct ev_loop *ev, ev_async *w, int events)
{
	(void)ev;
	(void)w;
	(void)events;
}

static void on_turn(struct ev_loop *ev, ev_prepare *w, int events)
{
	struct culvert *c = w->data;
	(void)events;
	cv_life_turn(c);
	/* what that has stirred up is for the next turn, which comes at once */
	if (cv_node_stirred(&c->loop.node))
		ev_async_send(ev, &c->asked);
	if (!c->doomed)
		return;
	/* a loop cannot be destroyed from within: culvert_run() does that */
	if (c->running)
		ev_break(ev, EVBREAK_ALL);
	else
		cv_life_over(c);
}

void cv_life_init(struct culvert *c)
{
	ev_async_init(&c->asked, on_asked);
	ev_prepare_init(&c->turn, on_turn);
	/* behind the flush of the same turn */
	ev_set_priority(&c->turn, EV_MINPRI);
	ev_timer_init(&c->drain_limit, on_drain_limit, CV_DRAIN / 1e6, 0.);
	c->asked.data = c->turn.data = c->drain_limit.data = c;
	ev_async_start(c->loop.ev, &c->asked);
	ev_prepare_start(c->loop.ev, &c->turn);
}

void cv_life_clear(struct culvert *c)
{
	ev_async_stop(c->loop.ev, &c->asked);
	ev_prepare_stop(c->loop.ev, &c->turn);
	ev_timer_stop(c->loop.ev, &c->drain_limit);
}

static const char *plain(const struct cv_node *n, const char *url)
{
	return n->plain || cv_lanurl_iproxy(url) ? " plain=yes" : "";
}

static void say_ready(struct culvert *c)
{
	struct cv_node *n = &c->loop.node;
	const char *name = c->control ? cv_control_name(c->control) : "-";
	for (unsigned i = 0; i < c->conf.listens; i++)
		cv_log(n, CULVERT_INFO,
			"msg=listening link=%s peers=%u%s node=%s",
			c->conf.listen[i].text, c->conf.peers,
			plain(n, c->conf.listen[i].text), name);
	for (unsigned i = 0; i < c->conf.forwards; i++) {
		const struct cv_conf_forward *f = &c->conf.forward[i];
		cv_log(n, CULVERT_INFO,
			"msg=forwarding from=%s to=%s via=%.*s%s node=%s",
			f->from.text, *f->to.text ? f->to.text : "-",
			cv_url_shown(f->via), f->via, plain(n, f->via), name);
	}
}

int culvert_start(culvert *c)
{
	if (!c)
		return CULVERT_EINVAL;
	if (c->started || c->doomed || !c->loop.ev)
		return CULVERT_ESTATE;
	c->started = true;
	say_ready(c);
	for (unsigned i = 0; i < c->conf.peers; i++)
		cv_session_want(c->parts.peer[i].is, cv_now());
	return 0;
}

int culvert_run(culvert *c)
{
	if (!c)
		return CULVERT_EINVAL;
	if (!c->loop.ev || !c->loop.own || c->running || c->doomed ||
		c->ended || cv_app_calling(c->app))
		return CULVERT_ESTATE;
	if (!c->started)
		culvert_start(c);
	c->running = true;
	ev_run(c->loop.ev, 0);
	c->running = false;
	cv_life_over(c);
	return 0;
}

void culvert_stop(culvert *c)
{
	if (!c)
		return;
	atomic_fetch_add(&c->stop_asked, 1);
	if (c->loop.ev)
		ev_async_send(c->loop.ev, &c->asked);
}

void culvert_wake(culvert *c)
{
	if (!c)
		return;
	atomic_store(&c->wake_asked, true);
	if (c->loop.ev)
		ev_async_send(c->loop.ev, &c->asked);
}

/* flows first, then what they lie on, then what carries them */
static void close_all(struct culvert *c)
{
	struct cv_node *n = &c->loop.node;
	n->stopping = n->draining = true;
	cv_applinks_clear(&c->links);
	cv_unapply(c);
	while (!cv_list_empty(&n->links)) {
		struct cv_link *l =
			CV_CONTAINER(n->links.next, struct cv_link, all);
		l->ops->close(l, "stopped");
	}
	while (!cv_list_empty(&n->sessions))
		cv_session_free(
			CV_CONTAINER(n->sessions.next, struct cv_session, all));
	cv_node_reap(n, SIZE_MAX, cv_now_of(c));
	cv_udp_out_free(c->out);
	cv_tcp_out_free(c->tcp_out);
	cv_udp_io_free(c->udp);
	cv_app_free(c->app);
	cv_control_free(c->control);
	if (!c->loop.ev) {
		cv_node_clear(n);
		return;
	}
	cv_life_clear(c);
	cv_resolver_free(&c->loop);
	cv_loop_clear(&c->loop);
}

void cv_destroy(struct culvert *c)
{
	if (c->app)
		cv_app_mute(c->app);
	if (c->links.node)
		close_all(c);
	if (c->policy.env)
		cv_policy_clear(&c->policy);
	if (c->conf.env)
		cv_conf_clear(&c->conf);
	free(c);
}

void culvert_free(culvert *c)
{
	if (!c)
		return;
	c->doomed = true;
	if (c->app)
		cv_app_mute(c->app);
	if (c->running || (c->app && cv_app_calling(c->app))) {
		if (c->loop.ev)
			ev_async_send(c->loop.ev, &c->asked);
		return;
	}
	cv_destroy(c);
}
