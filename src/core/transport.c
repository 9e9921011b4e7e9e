/* SPDX-License-Identifier: MIT */
#include "core/transport.h"

#include "core/credit.h"
#include "core/node.h"
#include "core/trace.h"

#include <assert.h>

static void tick(struct cv_transport *, cv_time now);

static void on_timer(struct cv_timer *timer, cv_time now)
{
	struct cv_transport *t =
		CV_CONTAINER(timer, struct cv_transport, timer);
	tick(t, now);
	cv_session_wake(t->session, now);
	cv_transport_schedule(t, now);
}

void cv_transport_drop_slice(struct cv_transport *t, enum cv_drop why)
{
	uint64_t n = cv_slice_left(&t->slice);
	if (n)
		cv_session_drop(t->session, why, n);
	cv_slice_clear(&t->slice, &t->session->node->pool);
}

void cv_transport_count_lost(struct cv_transport *t)
{
	if (t->whole.lost)
		cv_session_drop(t->session, CV_DROP_INCOMPLETE, t->whole.lost);
	t->whole.lost = 0;
}

/* two that know nothing of each other */
static void begin(struct cv_transport *t)
{
	struct cv_session *s = t->session;
	t->window = CV_SESSION_WINDOW;
	t->tuned.most = CV_SESSION_WINDOW_MAX;
	t->tx_window = t->rx_window = CV_SESSION_WINDOW;
	cv_flights_init(&t->flights, &s->node->env, s->number);
	cv_acks_init(&t->acks, &s->node->env);
	cv_loss_init(&t->loss);
}

static void forget(struct cv_transport *t)
{
	struct cv_node *n = t->session->node;
	cv_flights_clear(&t->flights, &n->pool);
	cv_acks_clear(&t->acks);
	cv_ranges_clear(&t->opened, &n->env);
	cv_transport_drop_slice(t, CV_DROP_LINK_LOST);
	cv_parts_clear(&t->whole, &n->pool);
	cv_transport_count_lost(t);
}

/* a number that this peer has not met, even if we were forgotten here */
static uint64_t first_number(const struct cv_env *env)
{
	uint8_t p[4];
	env->random(env->user, p, sizeof p);
	return cv_get32(p) >> 3;
}

struct cv_transport *cv_transport_get(struct cv_session *s)
{
	struct cv_node *n = s->node;
	struct cv_transport *t = s->transport;
	if (t)
		return t;
	t = n->env.alloc(n->env.user, sizeof *t);
	if (!t)
		return NULL;
	t->session = s;
	t->timer.fire = on_timer;
	t->slice.number = first_number(&n->env);
	cv_list_init(&t->turns);
	cv_list_init(&t->stalled);
	begin(t);
	s->transport = t;
	return t;
}

void cv_transport_free(struct cv_transport *t)
{
	if (!t)
		return;
	struct cv_session *s = t->session;
	struct cv_node *n = s->node;
	cv_timer_set(&n->timers, &t->timer, CV_NEVER);
	forget(t);
	s->transport = NULL;
	n->env.free(n->env.user, t, sizeof *t);
}

void cv_transport_restart(struct cv_transport *t)
{
	forget(t);
	begin(t);
	t->tell = t->ping = t->pad = t->copies = false;
	t->probes = 0;
	t->waiting = t->silent = 0;
	t->said_silent = false;
}

/* what was learnt of a path is void on another */
static void begin_path(struct cv_transport *t, cv_time now)
{
	cv_time rtt = t->path->rtt;
	t->rtt = (struct cv_rtt){ 0 };
	t->rate = (struct cv_rate){ 0 };
	if (rtt)
		cv_rtt_sample(&t->rtt, rtt, 0);
	cv_loss_init(&t->loss);
	cv_pmtud_init(&t->pmtud, t->path->link->mtu, now);
	cv_cc_init(&t->cc, (enum cv_cc_kind)t->path->link->cc, t->pmtud.mtu,
		rtt, now);
	cv_pacer_reset(&t->pacer, now);
}

/* everything under way is taken for lost */
static void abandon(struct cv_transport *t, int place, cv_time now)
{
	struct cv_flights *f = &t->flights;
	for (uint64_t i = f->first; i < f->next; i++) {
		struct cv_sent *p = cv_flights_at(f, i);
		if (p->state == CV_SENT_FLYING &&
			(place < 0 || p->path == place))
			cv_transport_give_up(t, p, now);
	}
}

void cv_transport_path(struct cv_transport *t, struct cv_path *p, cv_time now)
{
	if (t->path == p)
		return;
	t->path = p;
	t->generation++;
	abandon(t, -1, now);
	cv_transport_drop_slice(t, CV_DROP_LINK_LOST);
	if (p)
		begin_path(t, now);
	cv_transport_schedule(t, now);
}

void cv_transport_resized(struct cv_transport *t, cv_time now)
{
	cv_cc_mss(&t->cc, t->pmtud.mtu);
	cv_trace(t, now, "mtu", "\"mtu\":%u", t->pmtud.mtu);
}

void cv_transport_moved(struct cv_transport *t, bool same, cv_time now)
{
	char to[CV_ADDRTEXT];
	cv_trace(t, now, "migrate", "\"to\":\"%s\",\"same_host\":%s",
		cv_addr_format(&t->path->link->remote, to),
		same ? "true" : "false");
	t->generation++;
	abandon(t, -1, now);
	if (!same)
		begin_path(t, now);
	cv_transport_schedule(t, now);
}

void cv_transport_link_lost(
	struct cv_transport *t, const struct cv_path *p, cv_time now)
{
	if (t->path == p) {
		cv_transport_path(t, NULL, now);
	} else if (!cv_path_datagram(p)) {
		abandon(t, (int)cv_path_number(p), now);
		cv_flights_trim(&t->flights, now + 1);
	}
}

void cv_transport_stir(struct cv_transport *t, cv_time now)
{
	bool now_due = cv_acks_due(&t->acks) <= now;
	if (t->path && cv_transport_when(t, now) <= now)
		now_due = true;
	if (now_due)
		cv_session_wake(t->session, now);
	else
		cv_transport_schedule(t, now);
}

void cv_transport_ping(struct cv_transport *t, bool pad, cv_time now)
{
	t->ping = true;
	t->pad |= pad;
	if (!t->probes)
		t->probes = 1;
	cv_session_wake(t->session, now);
}

void cv_transport_revive(struct cv_transport *t, cv_time now)
{
	cv_loss_progress(&t->loss);
	cv_transport_ping(t, false, now);
}

void cv_transport_grow(const struct cv_transport *t, uint32_t *window,
	struct cv_tuned *tuned, uint64_t count, cv_time now)
{
	if (count - tuned->at < *window / 8)
		return;
	cv_time rtt = t->path            ? cv_rtt_smoothed(&t->rtt)
		      : t->session->turn ? t->session->turn->rtt
					 : 0;
	if (now - tuned->since < rtt + CV_MS(1) && *window < tuned->most &&
		!cv_pool_scarce(&t->session->node->pool))
		*window *= 2;
	tuned->since = now;
	tuned->at = count;
}

void cv_transport_widen(struct cv_transport *t, uint32_t window)
{
	static_assert((int)CV_SESSION_WINDOW_MAX == 2 * CV_STREAM_WINDOW_MAX,
		"twice a stream's is within bounds");
	if (t->window >= 2 * window)
		return;
	t->window = 2 * window;
	t->tell = true;
}

/* much was taken that the peer has not heard of: tell it, stream by stream */
static void tell_all(struct cv_transport *t)
{
	struct cv_list *all = &t->session->flows;
	for (struct cv_list *l = all->next; l != all; l = l->next) {
		struct cv_stream *st =
			CV_CONTAINER(l, struct cv_flow, peers)->stream;
		if (!st || !st->transport || st->rx.taken == st->told)
			continue;
		st->tell = true;
		cv_stream_turn(st);
	}
}

void cv_transport_took(struct cv_transport *t, size_t n, cv_time now)
{
	t->taken += n;
	t->untold += n;
	cv_transport_grow(t, &t->window, &t->tuned, t->taken, now);
	t->tell |= t->window > t->rx_window;
	if (t->untold >= t->rx_window / 4)
		tell_all(t);
	if (cv_transport_wants(t))
		cv_session_wake(t->session, now);
}

uint64_t cv_transport_fresh(const struct cv_transport *t)
{
	return t->tx_window > t->tx_out ? t->tx_window - t->tx_out : 0;
}

void cv_transport_relax(struct cv_transport *t)
{
	while (cv_transport_fresh(t) && !cv_list_empty(&t->stalled)) {
		struct cv_stream *st =
			CV_CONTAINER(t->stalled.next, struct cv_stream, turn);
		st->stalled = false;
		cv_list_append(&t->turns, &st->turn);
	}
}

void cv_transport_doubt(struct cv_transport *t, cv_time now)
{
	struct cv_link *link = t->path->link;
	if (link->ops->doubt)
		link->ops->doubt(link, now);
}

/* a busy sender fell silent: our address may have changed on the way to it */
static cv_time nudge_at(const struct cv_transport *t)
{
	if (!t->heard || !t->path->link->dialled)
		return CV_NEVER;
	return t->heard + cv_rtt_smoothed(&t->rtt) / 2 + CV_NUDGE;
}

static void nudge(struct cv_transport *t, cv_time now)
{
	if (now < nudge_at(t))
		return;
	t->heard = 0;
	t->heard_n = 0;
	cv_transport_doubt(t, now);
	cv_transport_ping(t, true, now);
}

/* nobody answers: perhaps the peer was started anew and knows nothing of us */
static cv_time doubt_at(const struct cv_transport *t)
{
	if (!t->waiting || !t->path->link->dialled)
		return CV_NEVER;
	return t->waiting + CV_DOUBT + 3 * cv_rtt_smoothed(&t->rtt);
}

static void say(const struct cv_transport *t, enum culvert_log_level level,
	const char *what, cv_time now)
{
	const struct cv_session *s = t->session;
	cv_log(s->node, level, "msg=\"%s\" peer=%s silent_ms=%llu", what,
		*s->name ? s->name : "-",
		(unsigned long long)((now - t->silent) / 1000));
}

static void doubt(struct cv_transport *t, cv_time now)
{
	if (now < doubt_at(t))
		return;
	if (!t->silent)
		t->silent = t->waiting;
	if (!t->said_silent && now - t->silent >= CV_SILENT) {
		t->said_silent = true;
		say(t, CULVERT_WARN, "peer does not answer", now);
	}
	t->waiting = now;
	cv_session_doubt(t->session, now);
}

void cv_transport_heard(struct cv_transport *t, size_t len, cv_time now)
{
	t->waiting = 0;
	if (t->said_silent)
		say(t, CULVERT_INFO, "peer answers again", now);
	t->silent = 0;
	t->said_silent = false;
	if (len < CV_NUDGE_BYTES)
		return;
	if (t->heard_n < CV_NUDGE_PACKETS)
		t->heard_n++;
	else
		t->heard = now;
}

/* a link that takes no more has no clock: it says when it does */
static bool takes(const struct cv_path *p)
{
	return p->ready && !p->left && !p->link->blocked;
}

static bool can_speak(struct cv_session *s, cv_time now)
{
	struct cv_path *p = NULL;
	while ((p = cv_path_next(s, p)) && !takes(p))
		;
	return p && cv_session_up(s) && cv_keys_usable(s->cur, now);
}

/* when there is something to be sent */
static cv_time speak_at(struct cv_transport *t, cv_time now)
{
	cv_time when = cv_acks_due(&t->acks);
	if (!t->path || t->path->link->blocked)
		return when;
	if (!cv_roam_allowance(t->path))
		return CV_NEVER; /* until more has come from there */
	when = cv_earlier(when, cv_transport_when(t, now));
	when = cv_earlier(when, cv_transport_size_at(t, now));
	return when > t->retry ? when : t->retry;
}

void cv_transport_schedule(struct cv_transport *t, cv_time now)
{
	struct cv_session *s = t->session;
	cv_time when =
		cv_earlier(cv_parts_deadline(&t->whole), cv_credit_deadline(t));
	if (can_speak(s, now))
		when = cv_earlier(when, speak_at(t, now));
	if (t->path) {
		when = cv_earlier(when, t->loss.deadline);
		when = cv_earlier(when, cv_transport_probe_at(t));
		when = cv_earlier(when, nudge_at(t));
		when = cv_earlier(when, doubt_at(t));
		when = cv_earlier(when, cv_roam_deadline(t->path));
	}
	cv_timer_set(&s->node->timers, &t->timer, when <= now ? now + 1 : when);
}

static void tick(struct cv_transport *t, cv_time now)
{
	cv_parts_expire(&t->whole, &t->session->node->pool, now);
	cv_transport_count_lost(t);
	cv_credit_clock(t, now);
	if (!t->path)
		return;
	cv_roam_clock(t->path, now);
	nudge(t, now);
	doubt(t, now);
	cv_transport_lapse(t, now);
}
