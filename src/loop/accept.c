/* SPDX-License-Identifier: MIT */
#include "loop/accept.h"

#include "loop/sock.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
	ACCEPTS = 32, /* per readiness */
};

static void on_pause_over(struct ev_loop *ev, ev_timer *w, int events)
{
	struct cv_accept *a = w->data;
	(void)events;
	ev_io_start(ev, &a->io);
}

static void pause_accepting(struct cv_accept *a, int error)
{
	cv_log(&a->loop->node, CULVERT_WARN,
		"msg=\"accept paused for 100 ms\" error=\"%s\"",
		strerror(error));
	ev_io_stop(a->loop->ev, &a->io);
	ev_timer_set(&a->pause, 0.1, 0.);
	ev_timer_start(a->loop->ev, &a->pause);
}

static void on_accept(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_accept *a = w->data;
	(void)ev;
	(void)events;
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(
			w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			a->accepted(a, fd);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno != EMFILE && errno != ENFILE && errno != ENOMEM &&
			errno != ENOBUFS)
			continue;
		pause_accepting(a, errno);
		return;
	}
}

int cv_accept_start(struct cv_accept *a, struct cv_loop *loop,
	const struct cv_addr *addr, const struct cv_url *url,
	char why[CV_SOCK_WHY])
{
	int fd = cv_sock_listen(loop, addr, url, why);
	if (fd < 0)
		return CULVERT_ESYS;
	a->loop = loop;
	ev_io_init(&a->io, on_accept, fd, EV_READ);
	ev_timer_init(&a->pause, on_pause_over, 0.1, 0.);
	a->io.data = a->pause.data = a;
	ev_io_start(loop->ev, &a->io);
	return 0;
}

void cv_accept_stop(struct cv_accept *a)
{
	ev_io_stop(a->loop->ev, &a->io);
	ev_timer_stop(a->loop->ev, &a->pause);
	close(a->io.fd);
}
