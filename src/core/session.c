/* SPDX-License-Identifier: MIT */
#include "core/node.h"
#include "core/transport.h"

#include <string.h>

static void on_timer(struct cv_timer *, cv_time now);

struct cv_session *cv_session_new(
	struct cv_node *node, const uint8_t pub[CV_KEY], bool plain)
{
	if (node->nsessions >= CV_SESSIONS_MAX ||
		cv_timers_reserve(&node->timers, 2 * node->nsessions + 3))
		return NULL;
	struct cv_session *s = node->env.alloc(node->env.user, sizeof *s);
	if (!s)
		return NULL;
	s->node = node;
	s->plain = plain;
	memcpy(s->pub, pub, CV_KEY);
	s->timer.fire = on_timer;
	s->epoch = 1;
	s->hs_wait = CV_HELLO_WAIT;
	s->allowed = CV_LINKS_SESSION;
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
	s->bound = false;
	while ((b = cv_txq_take(&s->txq))) {
		cv_session_drop(s, why, b->dgrams);
		cv_buf_free(&s->node->pool, b);
	}
}

void cv_session_free(struct cv_session *s)
{
	struct cv_node *node = s->node;
	node->forgotten += s->temporary;
	while (!cv_list_empty(&s->flows)) {
		struct cv_flow *f =
			CV_CONTAINER(s->flows.next, struct cv_flow, peers);
		cv_flow_close(node, f, cv_flow_end_in(f, s), CV_RESET_DONE, 0);
	}
	while (!cv_list_empty(&s->waiters))
		cv_list_append(&node->resumed, s->waiters.next);
	cv_transport_free(s->transport);
	cv_handshake_stop(s);
	cv_keys_drop(s, &s->cur);
	cv_keys_drop(s, &s->prev);
	cv_keys_drop(s, &s->next);
	cv_session_drop_queue(s, CV_DROP_LINK_LOST);
	cv_bufq_clear(&s->ctl, &node->pool);
	cv_timer_set(&node->timers, &s->timer, CV_NEVER);
	cv_htab_del(&node->by_pub, &s->by_pub);
	cv_list_del(&s->all);
	for (struct cv_path *p = NULL; (p = cv_path_next(s, p));) {
		struct cv_link *link = p->link;
		cv_path_clear(p);
		link->session = NULL;
	}
	node->nsessions--;
	cv_crypto_wipe(s->psk, CV_KEY);
	node->env.free(node->env.user, s, sizeof *s);
}

/* every link goes */
void cv_session_hang_up(struct cv_session *s, const char *why)
{
	struct cv_path *p;
	while ((p = cv_path_next(s, NULL)))
		p->link->ops->close(p->link, why);
}

/* of the temporary sessions without a link, the one silent longest */
void cv_session_forget_one(struct cv_node *node)
{
	struct cv_session *oldest = NULL;
	for (struct cv_list *l = node->sessions.next; l != &node->sessions;
		l = l->next) {
		struct cv_session *s = CV_CONTAINER(l, struct cv_session, all);
		if (s->temporary && !s->links &&
			(!oldest || s->rx_at < oldest->rx_at))
			oldest = s;
	}
	if (oldest)
		cv_session_free(oldest);
}

bool cv_session_up(const struct cv_session *s)
{
	return s->ready > 0 && s->cur && s->cur->confirmed;
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

static void came_up(struct cv_session *s, struct cv_path *p, cv_time now)
{
	char at[CV_ADDRTEXT];
	s->turn = p;
	cv_session_expire(s, now);
	cv_txq_restamp(&s->txq, now);
	cv_log(s->node, CULVERT_INFO, "msg=\"peer up\" peer=%s link=%s://%s",
		*s->name ? s->name : "-", p->link->ops->name,
		cv_addr_format(&p->link->remote, at));
}

static void joined(const struct cv_session *s, const struct cv_path *p)
{
	char at[CV_ADDRTEXT];
	cv_log(s->node, CULVERT_INFO,
		"msg=\"another link\" peer=%s link=%s://%s number=%u links=%u",
		*s->name ? s->name : "-", p->link->ops->name,
		cv_addr_format(&p->link->remote, at), cv_path_number(p),
		s->ready + 1);
}

/* under these keys, over this link: a place in the session */
static void join(struct cv_path *p, cv_time now)
{
	p->joining = true;
	p->ping_at = now;
	cv_path_greet(p, now);
}

/* a new link joins, or asks for keys, or waits for another that does so */
static void begin(struct cv_session *s, struct cv_path *p, cv_time now)
{
	if (cv_session_up(s) && !s->doubt)
		join(p, now);
	else if (!s->hs_path || s->hs_path->ready)
		cv_handshake_start(s, p, now);
}

static void begin_waiting(struct cv_session *s, cv_time now)
{
	struct cv_path *p = NULL;
	while ((p = cv_path_next(s, p))) {
		if (p->link->dialled && !p->ready && !p->joining &&
			p != s->hs_path)
			begin(s, p, now);
	}
}

/* streams that wait to be opened, or to go on */
static void wake_streams(struct cv_session *s, cv_time now)
{
	for (struct cv_list *l = s->flows.next; s->transport && l != &s->flows;
		l = l->next) {
		struct cv_flow *f = CV_CONTAINER(l, struct cv_flow, peers);
		if (f->stream)
			cv_stream_wake(f->stream, now);
	}
}

/* the keys work on this link */
void cv_session_ready(struct cv_session *s, struct cv_path *p, cv_time now)
{
	bool news = !s->ready;
	if (news)
		came_up(s, p, now);
	else if (!p->ready)
		joined(s, p);
	s->ready += !p->ready;
	p->ready = true;
	if (news)
		changed(s);
	p->joining = s->doubt = false;
	if (cv_path_datagram(p) && cv_transport_get(s))
		cv_transport_path(s->transport, p, now);
	begin_waiting(s, now);
	cv_session_open_pinned(s);
	wake_streams(s, now);
	cv_session_wake(s, now);
	cv_node_dirty(s->node, p->link);
	cv_session_want(s, now);
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

/* how many links it is to have now, if it is this end that dials */
unsigned cv_session_wants(const struct cv_session *s)
{
	if (!s->dials || s->node->draining)
		return 0;
	return cv_session_up(s) ? s->cur->links : 1;
}

/* there is something to say and nowhere to say it, or it could be more */
void cv_session_want(struct cv_session *s, cv_time now)
{
	(void)now;
	if (s->links < cv_session_wants(s))
		s->node->env.dial(s->node->env.user, s);
}

/* there is something to send */
void cv_session_wake(struct cv_session *s, cv_time now)
{
	struct cv_path *p = cv_path_turn(s, now);
	if (p)
		cv_node_dirty(s->node, p->link);
}

void cv_session_link_up(struct cv_session *s, struct cv_link *link, cv_time now)
{
	struct cv_path *p = cv_path_take(s, link->number, link, now);
	begin(s, p, now);
	cv_session_schedule(s, now);
}

/* a link that was up, however shortly, delays the next one little */
static void lived(struct cv_path *p, cv_time time)
{
	if (time >= CV_LINK_YOUNG)
		p->failures = 0;
	else if (++p->failures > CV_YOUNG_FAILURES)
		p->failures = CV_YOUNG_FAILURES;
}

void cv_session_link_down(struct cv_session *s, struct cv_path *p, cv_time now)
{
	bool was = p->ready;
	if (was) {
		lived(p, now - p->link->up);
	} else {
		/* the peer may have forgotten the keys */
		s->doubt |= p->joining;
		p->failures++;
		s->stats.handshakes_failed++;
		s->node->stats.handshakes_failed++;
	}
	/* the responder wants time between two on the link that is next */
	if (s->hs_path == p)
		s->hs_retry = now + CV_SEC(1);
	cv_path_clear(p);
	/* it relies on OPENs that went over this link */
	if (was && !s->ready) {
		changed(s);
		cv_session_drop_queue(s, CV_DROP_LINK_LOST);
	}
	/* perhaps the handshake that others wait for went with it */
	begin_waiting(s, now);
	cv_session_open_pinned(s);
	cv_session_wake(s, now);
	cv_session_schedule(s, now);
	cv_session_want(s, now);
}

/* a static mapping that the peer asked for, while the peer is away */
static struct cv_flow *their_pinned(const struct cv_session *s)
{
	for (struct cv_list *l = s->flows.next; !s->links && l != &s->flows;
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

/* a flow that the peer's absence must not keep for ever */
static struct cv_flow *left_alone(const struct cv_session *s)
{
	for (struct cv_list *l = s->flows.next;
		s->transport && !s->links && l != &s->flows; l = l->next) {
		struct cv_flow *f = CV_CONTAINER(l, struct cv_flow, peers);
		if (f->stream)
			return f;
	}
	return NULL;
}

/* how long an answer to the initiation under way may take */
static cv_time hello_wait(const struct cv_session *s)
{
	return cv_path_datagram(s->hs_path) ? s->hs_wait : CV_HANDSHAKE_TIMEOUT;
}

/* when new keys are asked for, or asked for again */
static cv_time rekey_at(const struct cv_session *s)
{
	if (s->hs_sent && s->hs_sent + hello_wait(s) > s->hs_retry)
		return s->hs_sent + hello_wait(s);
	if (s->hs_sent)
		return s->hs_retry;
	if (!s->cur || s->number - s->cur->first >= CV_REKEY_AFTER_MESSAGES)
		return s->hs_retry;
	cv_time t = s->cur->born + CV_REKEY_AFTER_TIME;
	return t > s->hs_retry ? t : s->hs_retry;
}

/* on a datagram link it may be the initiation that was lost, or for which
   there was no memory */
static struct cv_path *asks_anew(struct cv_session *s)
{
	struct cv_path *p = s->hs_path;
	while (!s->hs_path && (p = cv_path_next(s, p)) &&
		!(p->link->dialled && cv_path_datagram(p)))
		;
	return p && cv_path_datagram(p) ? p : NULL;
}

/* the one to ask for new keys over, or NULL */
static struct cv_path *asks(struct cv_session *s)
{
	struct cv_path *p = s->turn;
	if (!p)
		return asks_anew(s);
	if (p->link->dialled)
		return p;
	for (p = NULL; (p = cv_path_next(s, p));) {
		if (p->ready && p->link->dialled)
			break;
	}
	return p;
}

/* when a link has been silent for too long */
static cv_time silent_at(const struct cv_session *s, const struct cv_path *p)
{
	if (p->ready)
		return p->rx_at + (p->ping_at ? CV_DEAD : CV_HEARTBEAT);
	if (p->joining)
		return p->ping_at + CV_HANDSHAKE_TIMEOUT;
	if (s->hs_path && s->hs_path != p)
		return CV_NEVER;
	if (cv_path_datagram(p))
		return p->link->up + CV_DEAD;
	return s->hs_sent + CV_HANDSHAKE_TIMEOUT;
}

void cv_session_schedule(struct cv_session *s, cv_time now)
{
	cv_time t = CV_NEVER, oldest = cv_txq_oldest(&s->txq);
	struct cv_path *p = NULL;
	if (oldest != CV_NEVER)
		t = cv_earlier(t, oldest +
					  (cv_session_up(s) ? s->node->max_age
							    : CV_HOLD_AGE) +
					  1);
	while ((p = cv_path_next(s, p)))
		t = cv_earlier(t, silent_at(s, p));
	if (asks(s))
		t = cv_earlier(t, rekey_at(s));
	if (s->temporary && !s->links)
		t = cv_earlier(t, s->rx_at + CV_FLOW_IDLE);
	if (their_pinned(s) || left_alone(s))
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
static void check_alive(struct cv_session *s, struct cv_path *p, cv_time now)
{
	struct cv_link *link = p->link;
	if (now < silent_at(s, p))
		return;
	if (!p->ready) {
		link->ops->close(link, "no answer to the handshake");
	} else if (p->ping_at) {
		link->ops->close(link, "the peer fell silent");
	} else {
		p->ping_at = now;
		if (s->transport)
			cv_flights_idle(&s->transport->flights);
		cv_path_control(p, &(struct cv_frame){ .type = CV_FRAME_PING,
					   .value = now });
	}
}

static void ask_again(struct cv_session *s, struct cv_path *p, cv_time now)
{
	if (s->hs_sent)
		s->hs_wait = cv_earlier(2 * s->hs_wait, CV_HELLO_WAIT_MAX);
	if (cv_handshake_start(s, p, now))
		s->hs_retry = now + CV_SEC(1);
}

/* nothing is acknowledged any more: the peer may have lost the keys */
void cv_session_doubt(struct cv_session *s, cv_time now)
{
	struct cv_path *p = s->turn;
	if (!p || !p->link->dialled || s->hs_sent)
		return;
	/* it knew us just now, and is yet to be told which keys are in use */
	if (s->cur && now - s->cur->born < CV_LINK_YOUNG)
		return;
	ask_again(s, p, now);
	cv_session_schedule(s, now);
}

static void on_timer(struct cv_timer *t, cv_time now)
{
	struct cv_session *s = CV_CONTAINER(t, struct cv_session, timer);
	struct cv_path *p = NULL;
	cv_session_expire(s, now);
	while ((p = cv_path_next(s, p)))
		check_alive(s, p, now);
	struct cv_keys **const keys[] = { &s->cur, &s->prev, &s->next };
	for (unsigned i = 0; i < CV_COUNT(keys); i++)
		if (*keys[i] && now - (*keys[i])->born >= CV_REJECT_AFTER_TIME)
			cv_keys_drop(s, keys[i]);
	p = asks(s);
	if (p && now >= rekey_at(s))
		ask_again(s, p, now);
	struct cv_flow *f;
	while (now - s->rx_at >= patience(s) && (f = left_alone(s)))
		cv_flow_close(s->node, f, NULL, CV_RESET_TIMEOUT, now);
	while (now - s->rx_at >= patience(s) && (f = their_pinned(s)))
		cv_flow_close(s->node, f, NULL, CV_RESET_DONE, now);
	if (s->temporary && !s->links && now - s->rx_at >= CV_FLOW_IDLE) {
		cv_session_free(s);
		return;
	}
	cv_session_schedule(s, now);
}
