/* SPDX-License-Identifier: MIT */
#include "core/node.h"
#include "core/transport.h"

#include <string.h>

bool cv_keys_usable(const struct cv_keys *k, cv_time now)
{
	return k && now - k->born < CV_REJECT_AFTER_TIME &&
	       k->session->number < CV_REJECT_AFTER_MESSAGES;
}

void cv_keys_drop(struct cv_session *s, struct cv_keys **slot)
{
	struct cv_keys *k = *slot;
	struct cv_node *node = s->node;
	if (!k)
		return;
	*slot = NULL;
	cv_htab_del(&node->by_index, &k->by_index);
	cv_aead_free(k->tx);
	cv_aead_free(k->rx);
	node->env.free(node->env.user, k, sizeof *k);
}

static int set_up(struct cv_node *node, struct cv_keys *k,
	struct cv_noise *noise, bool initiator)
{
	uint8_t k1[CV_KEY], k2[CV_KEY];
	if (!noise)
		return 0;
	int err = cv_noise_split(noise, k1, k2);
	if (!err) {
		k->tx = cv_aead_new(node->crypto, initiator ? k1 : k2, true);
		k->rx = cv_aead_new(node->crypto, initiator ? k2 : k1, false);
		if (!k->tx || !k->rx)
			err = CULVERT_ENOMEM;
	}
	cv_crypto_wipe(k1, sizeof k1);
	cv_crypto_wipe(k2, sizeof k2);
	return err;
}

static void make_orphan(struct cv_node *n, struct cv_flow *f)
{
	cv_session_disown(f);
	cv_flow_orphan(&n->flows, f, &n->orphans);
}

/*
 * The latest moment at which this instance of the peer can have begun; 0: it
 * does not say, or it was there while its predecessor was heard: either of the
 * two may have got what we sent, or one of our clocks stood still.  That there
 * is one instance at a time is taken for granted otherwise.
 */
static cv_time began(const struct cv_keys *k)
{
	cv_time up = k->hello.up;
	cv_time at = k->born > up ? k->born - up : 0;
	return up && at >= k->session->rx_at ? at : 0;
}

static void restart_stream(
	struct cv_session *s, const struct cv_keys *k, struct cv_stream *st)
{
	if (cv_stream_unmet(st, began(k), k->begun))
		cv_stream_again(st, k->born);
	else
		cv_flow_close(
			s->node, st->flow, st->end, CV_RESET_ABORTED, s->rx_at);
}

/* the peer was restarted: it has forgotten our flows, and its own are gone */
static void check_instance(struct cv_session *s, const struct cv_keys *k)
{
	if (s->instance == k->hello.instance)
		return;
	bool first = !s->instance, orphans = false;
	s->instance = k->hello.instance;
	if (first)
		return;
	cv_session_new_epoch(s);
	if (s->transport)
		cv_transport_restart(s->transport);
	/* what waits in here is of flows that the peer has forgotten */
	cv_bufq_clear(&s->ctl, &s->node->pool);
	for (struct cv_list *l = s->flows.next, *next; l != &s->flows;
		l = next) {
		struct cv_flow *f = CV_CONTAINER(l, struct cv_flow, peers);
		next = l->next;
		if (f->stream) {
			restart_stream(s, k, f->stream);
			continue;
		}
		orphans |= f->end[0].session == s;
		/* fixed ports are few, and asked for again at once */
		if (f->end[0].session == s && f->pinned)
			cv_flow_close(s->node, f, &f->end[0], CV_RESET_DONE,
				s->rx_at);
		else if (f->end[0].session == s)
			make_orphan(s->node, f);
		else
			f->state = CV_FLOW_OPENING;
	}
	/*
	 * The peer numbers its flows anew: theirs must not meet new ones.  And
	 * what was queued while it was up relies on OPENs it has forgotten.
	 */
	if (orphans || s->ready)
		cv_session_drop_queue(s, CV_DROP_LINK_LOST);
}

void cv_keys_confirmed(struct cv_session *s, struct cv_keys *k)
{
	k->confirmed = true;
	if (k == s->next) {
		cv_keys_drop(s, &s->prev);
		s->prev = s->cur;
		s->cur = s->next;
		s->next = NULL;
	}
	if (k == s->cur)
		check_instance(s, k);
}

/* the lesser of two numbers; who says none has one */
static unsigned agreed_links(
	const struct cv_session *s, const struct cv_hello *h)
{
	unsigned theirs = h->links ? h->links : 1;
	return theirs < s->allowed ? theirs : s->allowed;
}

int cv_keys_install(
	struct cv_session *s, const struct cv_agreed *a, cv_time now)
{
	struct cv_node *node = s->node;
	struct cv_keys *k = node->env.alloc(node->env.user, sizeof *k);
	if (!k)
		return CULVERT_ENOMEM;
	int err = set_up(node, k, a->noise, a->initiator);
	if (err) {
		cv_aead_free(k->tx);
		cv_aead_free(k->rx);
		node->env.free(node->env.user, k, sizeof *k);
		return err;
	}
	k->session = s;
	k->index = a->index;
	k->remote = a->remote;
	k->hello = a->hello;
	k->links = agreed_links(s, &a->hello);
	k->fresh = a->fresh;
	k->from = a->from;
	k->first = s->number;
	k->born = now;
	k->begun = a->initiator ? s->hs_sent : now;
	cv_htab_add(&node->by_index, &k->by_index, a->index);
	if (a->initiator) {
		/* the response proved that the responder has them */
		cv_keys_drop(s, &s->next);
		cv_keys_drop(s, &s->prev);
		s->prev = s->cur;
		s->cur = k;
		cv_keys_confirmed(s, k);
	} else {
		cv_keys_drop(s, &s->next);
		s->next = k;
	}
	node->stats.handshakes++;
	s->stats.handshakes++;
	return 0;
}
