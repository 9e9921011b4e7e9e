/* SPDX-License-Identifier: MIT */
#include "edge/greeter.h"

#include "core/proxyhdr.h"
#include "loop/sock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct guest {
	struct cv_greeter *greeter;
	struct cv_list all;
	ev_io io;
	ev_timer limit;
	size_t len, want; /* bytes of the header: read, in all */
	uint8_t head[CV_PROXYHDR_MOST];
};

/* the socket stays open */
static void forget(struct guest *g)
{
	struct ev_loop *ev = g->greeter->loop->ev;
	ev_io_stop(ev, &g->io);
	ev_timer_stop(ev, &g->limit);
	cv_list_del(&g->all);
	g->greeter->count--;
	free(g);
}

static void refuse(struct guest *g, const char *why)
{
	struct cv_node *n = &g->greeter->loop->node;
	struct cv_addr from = { 0 }, here;
	char at[CV_ADDRTEXT];
	int fd = g->io.fd;
	cv_sock_ends(fd, &here, &from);
	n->stats.drop[CV_DROP_STRANGER]++;
	cv_log(n, CULVERT_WARN,
		"msg=\"connection refused\" from=%s reason=\"%s\"",
		cv_addr_format(&from, at), why);
	forget(g);
	close(fd);
}

/* false: @g is gone */
static bool take_head(struct guest *g)
{
	int size = cv_proxyhdr_size(g->head);
	if (size < 0) {
		refuse(g, "no PROXY header of version 2");
		return false;
	}
	g->want = (size_t)size;
	return true;
}

static void done(struct guest *g)
{
	struct cv_greeter *greeter = g->greeter;
	struct cv_addr client;
	int fd = g->io.fd;
	if (cv_proxyhdr_get(g->head, g->len, &client)) {
		refuse(g, "a broken PROXY header");
		return;
	}
	forget(g);
	greeter->greeted(greeter, fd, &client);
}

static void on_readable(struct ev_loop *ev, ev_io *w, int events)
{
	struct guest *g = w->data;
	(void)ev;
	(void)events;
	while (g->len < g->want) {
		ssize_t n = recv(w->fd, g->head + g->len, g->want - g->len, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			refuse(g, "ended before its PROXY header did");
			return;
		}
		g->len += (size_t)n;
		if (g->len == CV_PROXYHDR_HEAD && !take_head(g))
			return;
	}
	done(g);
}

static void on_limit(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	refuse(w->data, "no PROXY header came in time");
}

static struct guest *oldest(struct cv_greeter *g)
{
	return CV_CONTAINER(g->all.next, struct guest, all);
}

void cv_greeter_init(struct cv_greeter *g, struct cv_loop *l)
{
	*g = (struct cv_greeter){ .loop = l };
	cv_list_init(&g->all);
}

void cv_greeter_take(struct cv_greeter *greeter, int fd)
{
	struct ev_loop *ev = greeter->loop->ev;
	if (greeter->count == CV_LINKS_STRANGER)
		refuse(oldest(greeter), "too many that have said nothing");
	struct guest *g = calloc(1, sizeof *g);
	if (!g) {
		close(fd);
		return;
	}
	g->greeter = greeter;
	g->want = CV_PROXYHDR_HEAD;
	cv_list_init(&g->all);
	cv_list_append(&greeter->all, &g->all);
	greeter->count++;
	ev_io_init(&g->io, on_readable, fd, EV_READ);
	ev_timer_init(&g->limit, on_limit, CV_FIRST_PACKET / 1e6, 0.);
	g->io.data = g->limit.data = g;
	ev_io_start(ev, &g->io);
	ev_now_update(ev);
	ev_timer_start(ev, &g->limit);
	on_readable(ev, &g->io, EV_READ);
}

void cv_greeter_clear(struct cv_greeter *g)
{
	for (struct cv_list *l = g->all.next, *next; l != &g->all; l = next) {
		struct guest *guest = CV_CONTAINER(l, struct guest, all);
		int fd = guest->io.fd;
		next = l->next;
		forget(guest);
		close(fd);
	}
}
