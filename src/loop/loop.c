/* SPDX-License-Identifier: MIT */
#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

cv_time cv_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (cv_time)t.tv_sec * 1000000u + (cv_time)t.tv_nsec / 1000u;
}

static bool is_armed(const struct cv_loop *l)
{
	return l->near || ev_is_active(&l->timer);
}

static bool set_alarm(struct cv_loop *l, cv_time wait)
{
	struct itimerspec t = {
		.it_value.tv_nsec = (long)wait * 1000,
	};
	return !timerfd_settime(l->alarm.fd, 0, &t, NULL);
}

static void arm(struct cv_loop *l, cv_time now)
{
	cv_time when = cv_node_deadline(&l->node);
	/* an early timer is harmless, so it is only ever moved forward */
	if (when >= l->armed && is_armed(l))
		return;
	l->armed = when;
	l->near = false;
	ev_timer_stop(l->ev, &l->timer);
	if (when == CV_NEVER)
		return;
	cv_time wait = when > now ? when - now : 0;
	if (l->alarm.fd >= 0 && wait && wait < CV_ALARM)
		l->near = set_alarm(l, wait);
	if (l->near)
		return;
	ev_timer_set(&l->timer, (double)wait / 1e6, 0.);
	ev_now_update(l->ev);
	ev_timer_start(l->ev, &l->timer);
}

static void measure(struct cv_breath *b, uint64_t dgrams, cv_time now)
{
	cv_time span = now - b->since;
	b->turns++;
	if (span < CV_BREATH_WINDOW)
		return;
	uint64_t n = dgrams - b->dgrams;
	b->deep = n * CV_SEC(1) >= span * CV_BREATH_RATE &&
		  n < (uint64_t)b->turns * CV_BREATH_BATCH;
	b->since = now;
	b->dgrams = dgrams;
	b->turns = 0;
}

static void breathe(struct cv_loop *l)
{
	struct cv_breath *b = &l->breath;
	cv_time now = cv_now();
	measure(b, l->node.stats.tx_dgrams, now);
	/* what is to leave at a certain time does: it is another's */
	cv_time end = cv_earlier(b->woke + CV_BREATH, l->armed);
	if (b->deep && now < end) {
		struct timespec t = { .tv_nsec = (long)(end - now) * 1000 };
		nanosleep(&t, NULL);
		now = cv_now();
	}
	b->woke = now;
}

static void on_prepare(struct ev_loop *ev, ev_prepare *w, int events)
{
	struct cv_loop *l = w->data;
	(void)ev;
	(void)events;
	/* news that came of no input: a link that was lost, a reload */
	if (!cv_list_empty(&l->node.dirty_edges))
		cv_node_input_done(&l->node);
	if (!cv_list_empty(&l->node.dirty_links) ||
		!cv_list_empty(&l->node.resumed))
		cv_node_flush(&l->node, cv_now());
	if (cv_node_deadline(&l->node) < l->armed || !is_armed(l))
		arm(l, cv_now());
	/* others on the same loop are not kept waiting */
	if (l->own)
		breathe(l);
}

static void tick(struct cv_loop *l)
{
	l->armed = CV_NEVER;
	cv_list_init(&l->lans);
	l->near = false;
	cv_node_tick(&l->node, cv_now());
	cv_node_input_done(&l->node);
}

static void on_timer(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	tick(w->data);
}

static void on_alarm(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_loop *l = w->data;
	uint64_t times;
	(void)events;
	if (read(w->fd, &times, sizeof times) != sizeof times)
		return;
	/* it may be an older one's, and the timer is set by now */
	ev_timer_stop(ev, &l->timer);
	tick(l);
}

static void start_alarm(struct cv_loop *l)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	ev_io_init(&l->alarm, on_alarm, fd, EV_READ);
	l->alarm.data = l;
	if (fd >= 0)
		ev_io_start(l->ev, &l->alarm);
}

int cv_loop_init(struct cv_loop *l, const struct cv_env *env,
	const struct cv_loop_size *size, struct ev_loop *ev)
{
	memset(l, 0, sizeof *l);
	l->own = !ev;
	l->ev = ev ? ev : ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	l->area = malloc(CV_RX_AREA + CV_PACKET_MAX + 64);
	if (!l->ev || !l->area ||
		cv_node_init(&l->node, env, size->memory, size->flows)) {
		free(l->area);
		if (l->ev && l->own)
			ev_loop_destroy(l->ev);
		l->ev = NULL;
		return CULVERT_ENOMEM;
	}
	l->node.began = cv_now();
	l->armed = CV_NEVER;
	cv_list_init(&l->lans);
	ev_prepare_init(&l->prepare, on_prepare);
	l->prepare.data = l;
	ev_prepare_start(l->ev, &l->prepare);
	ev_timer_init(&l->timer, on_timer, 0., 0.);
	l->timer.data = l;
	start_alarm(l);
	return 0;
}

void cv_loop_clear(struct cv_loop *l)
{
	if (!l->ev)
		return;
	ev_prepare_stop(l->ev, &l->prepare);
	ev_timer_stop(l->ev, &l->timer);
	ev_io_stop(l->ev, &l->alarm);
	if (l->alarm.fd >= 0)
		close(l->alarm.fd);
	cv_node_clear(&l->node);
	if (l->own)
		ev_loop_destroy(l->ev);
	free(l->area);
	l->ev = NULL;
}
