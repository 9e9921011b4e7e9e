/* SPDX-License-Identifier: MIT */
#include "core/node.h"

#include <string.h>

static void on_timer(struct cv_timer *, cv_time now);

struct cv_session *cv_session_new(
	struct cv_node *node, const uint8_t pub[CV_KEY], bool plain)
{
	if (node->nsessions >= CV_SESSIONS_MAX ||
		cv_timers_reserve(&node->timers, node->nsessions + 2))
		return NULL;
	struct cv_session *s = node->env.alloc(node->env.user, sizeof *s);
	if (!s)
		return NULL;
	s->node = node;
	s->plain = plain;
	memcpy(s->pub, pub, CV_KEY);
	s->timer.fire = on_timer;
	s->epoch = 1;
	s->next_id = 1;
	cv_list_init(&s->flows);
	cv_list_init(&s->waiters);
	cv_list_init(&s->all);
	cv_list_append(&node->sessions, &s->all);
	cv_htab_add(&node->by_pub, &s->by_pub,
		cv_siphash(node->key, s->pub, CV_KEY));
	node->nsessions++;
	return s;
}

void cv_session_drop(struct cv_session *s, enum cv_drop why, uint64_t n)
{
	s->stats.drop[why] += n;
	s->node->stats.drop[why] += n;
}

void cv_session_drop_queue(struct cv_session *s, enum cv_drop why)
{
	struct cv_buf *b;
	while ((b = cv_txq_take(&s->txq))) {
		cv_session_drop(s, why, b->dgrams);
		cv_buf_free(&s->node->pool, b);
	}
}

void cv_session_free(struct cv_session *s)
{
	struct cv_node *node = s->node;
	while (!cv_list_empty(&s->flows)) {
		struct cv_flow *f =
			CV_CONTAINER(s->flows.next, struct cv_flow, peers);
		cv_flow_close(node, f, cv_flow_end_in(f, s), CV_RESET_DONE, 0);
	}
	while (!cv_list_empty(&s->waiters))
		cv_list_append(&node->resumed, s->waiters.next);
	cv_handshake_stop(s);
	cv_keys_drop(s, &s->cur);
	cv_keys_drop(s, &s->prev);
	cv_keys_drop(s, &s->next);
	cv_session_drop_queue(s, CV_DROP_LINK_LOST);
	cv_bufq_clear(&s->ctl, &node->pool);
	cv_timer_set(&node->timers, &s->timer, CV_NEVER);
	cv_htab_del(&node->by_pub, &s->by_pub);
	cv_list_del(&s->all);
	if (s->link)
		s->link->session = NULL;
	node->nsessions--;
	cv_crypto_wipe(s->psk, CV_KEY);
	node->env.free(node->env.user, s, sizeof *s);
}

/* of the temporary sessions without a link, the one silent longest */
void cv_session_forget_one(struct cv_node *node)
{
	struct cv_session *oldest = NULL;
	for (struct cv_list *l = node->sessions.next; l != &node->sessions;
		l = l->next) {
		struct cv_session *s = CV_CONTAINER(l, struct cv_session, all);
		if (s->temporary && !s->link &&
			(!oldest || s->rx_at < oldest->rx_at))
			oldest = s;
	}
	if (oldest)
		cv_session_free(oldest);
}

bool cv_session_up(const struct cv_session *s)
{
	return s->ready && s->cur && s->cur->confirmed;
}

/* static mappings are opened unasked; they lead the list of flows */
void cv_session_open_pinned(struct cv_session *s)
{
	for (struct cv_list *l = s->flows.next; l != &s->flows; l = l->next) {
		struct cv_flow *f = CV_CONTAINER(l, struct cv_flow, peers);
		if (!f->pinned)
			break;
		if (f->end[1].session == s)
			cv_session_open(s, &f->end[1]);
	}
}

static void changed(struct cv_session *s)
{
	struct cv_env *env = &s->node->env;
	if (env->state)
		env->state(env->user, s);
}

/* the keys work on this link */
void cv_session_ready(struct cv_session *s, cv_time now)
{
	char at[CV_ADDRTEXT];
	if (!s->ready) {
		cv_session_expire(s, now);
		cv_txq_restamp(&s->txq, now);
		cv_log(s->node, CULVERT_INFO,
			"msg=\"peer up\" peer=%s link=%s://%s",
			*s->name ? s->name : "-", s->link->ops->name,
			cv_addr_format(&s->link->remote, at));
	}
	bool news = !s->ready;
	s->ready = true;
	if (news)
		changed(s);
	cv_session_open_pinned(s);
	cv_node_dirty(s->node, s->link);
}

void cv_session_new_epoch(struct cv_session *s)
{
	s->epoch++;
}

void cv_session_own(struct cv_session *s, struct cv_flow *f)
{
	cv_list_append(&s->flows, &f->peers);
	s->nflows++;
}

void cv_session_disown(struct cv_flow *f)
{
	for (int i = 0; i < 2; i++) {
		if (f->end[i].session)
			f->end[i].session->nflows--;
	}
}

/* there is something to say and nowhere to say it */
void cv_session_want(struct cv_session *s, cv_time now)
{
	(void)now;
	if (!s->link && s->dials && !s->node->draining)
		s->node->env.dial(s->node->env.user, s);
}

void cv_session_link_up(struct cv_session *s, struct cv_link *link, cv_time now)
{
	struct cv_link *old = s->link;
	s->link = link;
	s->ready = false;
	link->session = s;
	s->rx_at = now;
	s->ping_at = 0;
	cv_session_new_epoch(s);
	cv_bufq_clear(&s->ctl, &s->node->pool);
	if (old && old != link && now - old->up < CV_LINK_YOUNG)
		cv_log(s->node, CULVERT_WARN,
			"msg=\"two nodes use this peer's key; give each its "
			"own\" peer=%s",
			s->name);
	if (old && old != link)
		old->ops->close(old, "the peer moved to another link");
	s->late = (struct cv_late){ 0 };
	if (link->dialled)
		cv_handshake_start(s, now);
	cv_session_schedule(s, now);
}

/* a link that was up, however shortly, delays the next one little */
static void lived(struct cv_session *s, cv_time time)
{
	if (time >= CV_LINK_YOUNG)
		s->failures = 0;
	else if (++s->failures > CV_YOUNG_FAILURES)
		s->failures = CV_YOUNG_FAILURES;
}

void cv_session_link_down(struct cv_session *s, cv_time now)
{
	bool news = s->ready;
	if (s->ready) {
		lived(s, now - s->link->up);
		/* it relies on OPENs that went over this link */
		cv_session_drop_queue(s, CV_DROP_LINK_LOST);
	} else {
		s->failures++;
		s->stats.handshakes_failed++;
		s->node->stats.handshakes_failed++;
	}
	s->link = NULL;
	s->ready = false;
	s->ping_at = 0;
	s->rtt = 0;
	if (news)
		changed(s);
	cv_handshake_stop(s);
	cv_session_new_epoch(s);
	cv_session_schedule(s, now);
	cv_session_want(s, now);
}

/* a static mapping that the peer asked for, while the peer is away */
static struct cv_flow *their_pinned(const struct cv_session *s)
{
	for (struct cv_list *l = s->flows.next; !s->link && l != &s->flows;
		l = l->next) {
		struct cv_flow *f = CV_CONTAINER(l, struct cv_flow, peers);
		if (!f->pinned)
			break;
		if (f->end[0].session == s)
			return f;
	}
	return NULL;
}

/* how long it is kept: who has no key is not known again after a restart */
static cv_time patience(const struct cv_session *s)
{
	return s->temporary ? CV_HANDSHAKE_TIMEOUT : CV_FLOW_IDLE;
}

/* when new keys are asked for, or asked for again */
static cv_time rekey_at(const struct cv_session *s)
{
	if (s->hs_sent)
		return s->hs_sent + CV_HANDSHAKE_TIMEOUT;
	if (!s->cur || s->cur->number >= CV_REKEY_AFTER_MESSAGES)
		return s->hs_retry;
	cv_time t = s->cur->born + CV_REKEY_AFTER_TIME;
	return t > s->hs_retry ? t : s->hs_retry;
}

void cv_session_schedule(struct cv_session *s, cv_time now)
{
	cv_time t = CV_NEVER, oldest = cv_txq_oldest(&s->txq);
	if (oldest != CV_NEVER)
		t = cv_earlier(t, oldest +
					  (cv_session_up(s) ? s->node->max_age
							    : CV_HOLD_AGE) +
					  1);
	if (s->link && !s->ready)
		t = cv_earlier(t, s->hs_sent + CV_HANDSHAKE_TIMEOUT);
	else if (s->link)
		t = cv_earlier(
			t, s->rx_at + (s->ping_at ? CV_DEAD : CV_HEARTBEAT));
	if (s->ready && s->link && s->link->dialled)
		t = cv_earlier(t, rekey_at(s));
	if (s->temporary && !s->link)
		t = cv_earlier(t, s->rx_at + CV_FLOW_IDLE);
	if (their_pinned(s))
		t = cv_earlier(t, s->rx_at + patience(s));
	struct cv_keys *const keys[] = { s->cur, s->prev, s->next };
	for (unsigned i = 0; i < CV_COUNT(keys); i++)
		if (keys[i])
			t = cv_earlier(t, keys[i]->born + CV_REJECT_AFTER_TIME);
	if (t <= now)
		t = now + 1;
	cv_timer_set(&s->node->timers, &s->timer, t);
}

/* silence: ask, and then give the link up */
static void check_alive(struct cv_session *s, cv_time now)
{
	const char *why = NULL;
	if (!s->ready) {
		if (now - s->hs_sent >= CV_HANDSHAKE_TIMEOUT)
			why = "no answer to the handshake within 5 s";
	} else if (now - s->rx_at >= CV_DEAD) {
		why = "the peer fell silent";
	} else if (now - s->rx_at >= CV_HEARTBEAT && !s->ping_at) {
		s->ping_at = now;
		cv_session_control(s,
			&(struct cv_frame){
				.type = CV_FRAME_PING, .value = now },
			now);
	}
	if (!why)
		return;
	struct cv_link *link = s->link;
	link->ops->close(link, why);
}

static void on_timer(struct cv_timer *t, cv_time now)
{
	struct cv_session *s = CV_CONTAINER(t, struct cv_session, timer);
	cv_session_expire(s, now);
	if (s->link)
		check_alive(s, now);
	struct cv_keys **const keys[] = { &s->cur, &s->prev, &s->next };
	for (unsigned i = 0; i < CV_COUNT(keys); i++)
		if (*keys[i] && now - (*keys[i])->born >= CV_REJECT_AFTER_TIME)
			cv_keys_drop(s, keys[i]);
	if (s->ready && s->link && s->link->dialled && now >= rekey_at(s) &&
		cv_handshake_start(s, now))
		s->hs_retry = now + CV_SEC(1);
	struct cv_flow *f;
	while (now - s->rx_at >= patience(s) && (f = their_pinned(s)))
		cv_flow_close(s->node, f, NULL, CV_RESET_DONE, now);
	if (s->temporary && !s->link && now - s->rx_at >= CV_FLOW_IDLE) {
		cv_session_free(s);
		return;
	}
	cv_session_schedule(s, now);
}
