/* SPDX-License-Identifier: MIT */
#include "loop/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 8192 };

#define CALM CV_MS(5)
#define LONGEST CV_SEC(1)
#define SOON CV_MS(100) /* ... of interfaces and addresses: they are few */

enum change { NOTHING, ROUTE, INTERFACE };

struct cv_netlink {
	struct cv_loop *loop;
	struct cv_list all; /* who wants to know */
	ev_io io;
	ev_timer later;
	cv_time told; /* when they were last told; 0: never */
	cv_time wait; /* until they are told again */
};

static void tell(struct cv_netlink *n, cv_time now)
{
	struct cv_list *next;
	n->told = now;
	for (struct cv_list *l = n->all.next; l != &n->all; l = next) {
		struct cv_moves *m = CV_CONTAINER(l, struct cv_moves, list);
		next = l->next;
		m->moved(m);
	}
	cv_node_moved(&n->loop->node, now);
}

static void on_later(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	tell(w->data, cv_now());
}

static void changed(struct cv_netlink *n, enum change what)
{
	cv_time now = cv_now();
	if (what == INTERFACE && n->wait > SOON)
		n->wait = SOON;
	if (ev_is_active(&n->later)) {
		if (what == ROUTE || ev_timer_remaining(n->loop->ev,
					     &n->later) <= SOON / 1e6)
			return;
		ev_timer_stop(n->loop->ev, &n->later);
	}
	if (!n->told || now - n->told >= LONGEST) {
		n->wait = CALM;
		tell(n, now);
		return;
	}
	ev_now_update(n->loop->ev);
	ev_timer_set(&n->later, (double)n->wait / 1e6, 0.);
	ev_timer_start(n->loop->ev, &n->later);
	n->wait = n->wait * 2 < LONGEST ? n->wait * 2 : LONGEST;
}

static enum change change_of(const struct nlmsghdr *h)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return INTERFACE;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return ROUTE;
	default:
		return NOTHING;
	}
}

static enum change greater(enum change a, enum change b)
{
	return a > b ? a : b;
}

static enum change changes(struct nlmsghdr *h, unsigned len)
{
	enum change all = NOTHING;
	for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len))
		all = greater(all, change_of(h));
	return all;
}

static void on_readable(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_netlink *n = w->data;
	union {
		struct nlmsghdr head;
		uint8_t bytes[ROOM];
	} in;
	enum change any = NOTHING;
	(void)ev;
	(void)events;
	/* a flood of them is read in several turns */
	for (int i = 0; i < 16; i++) {
		ssize_t len = recv(w->fd, &in, sizeof in, MSG_DONTWAIT);
		if (len > 0)
			any = greater(any, changes(&in.head, (unsigned)len));
		else if (len < 0 && errno == ENOBUFS)
			any = INTERFACE; /* some were lost */
		else
			break;
	}
	if (any)
		changed(n, any);
}

/* -1: not here */
static int subscribe(void)
{
	struct sockaddr_nl at = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
			     RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
			     RTMGRP_IPV6_ROUTE,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
		NETLINK_ROUTE);
	if (fd < 0 || !bind(fd, (struct sockaddr *)&at, sizeof at))
		return fd;
	close(fd);
	return -1;
}

static struct cv_netlink *begin(struct cv_loop *l)
{
	int fd = subscribe();
	struct cv_netlink *n = fd < 0 ? NULL : calloc(1, sizeof *n);
	if (!n) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	n->loop = l;
	cv_list_init(&n->all);
	ev_timer_init(&n->later, on_later, 0., 0.);
	ev_io_init(&n->io, on_readable, fd, EV_READ);
	n->later.data = n->io.data = n;
	ev_io_start(l->ev, &n->io);
	return n;
}

static void end(struct cv_netlink *n)
{
	ev_timer_stop(n->loop->ev, &n->later);
	ev_io_stop(n->loop->ev, &n->io);
	close(n->io.fd);
	n->loop->netlink = NULL;
	free(n);
}

void cv_moves_watch(struct cv_loop *l, struct cv_moves *m)
{
	cv_list_init(&m->list);
	if (!l->netlink)
		l->netlink = begin(l);
	if (l->netlink)
		cv_list_append(&l->netlink->all, &m->list);
}

void cv_moves_leave(struct cv_loop *l, struct cv_moves *m)
{
	if (!m->list.next)
		return;
	cv_list_del(&m->list);
	if (l->netlink && cv_list_empty(&l->netlink->all))
		end(l->netlink);
}
