/* SPDX-License-Identifier: MIT */
#include "core/roam.h"

#include "core/node.h"
#include "core/transport.h"

static void move(struct cv_path *p, const struct cv_addr *remote,
	const struct cv_addr *local, cv_time now)
{
	struct cv_link *link = p->link;
	struct cv_session *s = link->session;
	bool same = cv_addr_same_ip(&link->remote, remote);
	char from[CV_ADDRTEXT], to[CV_ADDRTEXT];
	cv_log(s->node, CULVERT_INFO,
		"msg=\"peer moved\" peer=%s from=%s to=%s",
		*s->name ? s->name : "-", cv_addr_format(&link->remote, from),
		cv_addr_format(remote, to));
	link->remote = *remote;
	link->local = *local;
	p->roam.moves++;
	if (s->transport && s->transport->path == p)
		cv_transport_moved(s->transport, same, now);
}

static void challenge(struct cv_path *p, cv_time now)
{
	struct cv_session *s = p->link->session;
	cv_time wait = s->transport ? cv_rtt_pto(&s->transport->rtt, 0)
				    : CV_RTT_INITIAL;
	p->roam.ask = now + (wait << p->roam.tries);
	cv_path_control(p, &(struct cv_frame){ .type = CV_FRAME_CHALLENGE,
				   .value = p->roam.token });
}

void cv_roam_arrived(struct cv_path *p, const struct cv_link *port,
	const struct cv_arrival *a, cv_time now)
{
	struct cv_roam *r = &p->roam;
	struct cv_link *link = p->link;
	struct cv_node *n = link->session->node;
	if (cv_addr_equal(&link->remote, &port->remote)) {
		r->got += a->len;
		link->local = port->local;
		if (a->proven)
			r->pending = false;
		return;
	}
	if (!a->newest)
		return;
	if (!r->pending) {
		r->before = link->remote;
		r->before_local = link->local;
	}
	bool back = r->pending && cv_addr_equal(&r->before, &port->remote);
	move(p, &port->remote, &port->local, now);
	r->pending = !a->proven && !back;
	if (!r->pending)
		return;
	r->got = a->len;
	r->gave = 0;
	r->tries = 0;
	n->env.random(n->env.user, &r->token, sizeof r->token);
	challenge(p, now);
}

void cv_roam_answered(struct cv_path *p, uint64_t token)
{
	struct cv_roam *r = &p->roam;
	if (r->pending && r->token == token)
		r->pending = false;
}

uint64_t cv_roam_allowance(const struct cv_path *p)
{
	const struct cv_roam *r = &p->roam;
	uint64_t all = CV_ROAM_FACTOR * r->got;
	if (!r->pending)
		return UINT64_MAX;
	return all >= r->gave + CV_ROAM_LEAST ? all - r->gave : 0;
}

void cv_roam_gave(struct cv_path *p, size_t len)
{
	if (p->roam.pending)
		p->roam.gave += len;
}

cv_time cv_roam_deadline(const struct cv_path *p)
{
	return p->roam.pending ? p->roam.ask : CV_NEVER;
}

void cv_roam_clock(struct cv_path *p, cv_time now)
{
	struct cv_roam *r = &p->roam;
	if (!r->pending || now < r->ask)
		return;
	if (++r->tries < CV_ROAM_TRIES) {
		challenge(p, now);
		return;
	}
	r->pending = false;
	move(p, &r->before, &r->before_local, now);
}
