/* SPDX-License-Identifier: MIT */
/**
 * answer.c - clients of a node that are not its traffic
 *
 * DOC: A client asks, is answered, and is heard until it hangs up: closing
 * earlier could destroy what it has not read yet.  A spare descriptor is kept
 * so that a question is heard even when there are no others; when that is
 * gone too, the listening socket rests.  It also does while clients come faster
 * than they could say what they want.
 */
#include "loop/answer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REST .1    /* seconds without descriptors until the next attempt */
#define GRACE .005 /* seconds that a client has before it gives way */

struct client {
	struct cv_answer *server; /* NULL: the place is free */
	double since;             /* it is there, in the loop's time */
	ev_io io;
	ev_timer limit;
	char request[CV_ANSWER_REQUEST];
	size_t got;
	char *answer; /* NULL: still asking */
	size_t len, sent;
};

struct cv_answer {
	struct ev_loop *ev;
	const struct cv_answer_ops *ops;
	void *user;
	ev_io io;
	ev_timer rest;
	int spare;
	struct client client[CV_ANSWER_CLIENTS];
};

static int spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void hang_up(struct client *c)
{
	struct cv_answer *s = c->server;
	ev_io_stop(s->ev, &c->io);
	ev_timer_stop(s->ev, &c->limit);
	close(c->io.fd);
	free(c->answer);
	memset(c, 0, sizeof *c);
	if (s->spare < 0)
		s->spare = spare();
}

static void on_impatient(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	hang_up(w->data);
}

static void expect(struct client *c, int events)
{
	ev_io_stop(c->server->ev, &c->io);
	ev_io_set(&c->io, c->io.fd, events);
	ev_io_start(c->server->ev, &c->io);
}

static void write_answer(struct client *c)
{
	ssize_t n = send(
		c->io.fd, c->answer + c->sent, c->len - c->sent, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		hang_up(c);
		return;
	}
	c->sent += n > 0 ? (size_t)n : 0;
	if (c->sent < c->len) {
		expect(c, EV_WRITE);
		return;
	}
	shutdown(c->io.fd, SHUT_WR);
	expect(c, EV_READ);
}

static void answer(struct client *c, char *request)
{
	struct cv_answer *s = c->server;
	FILE *f = open_memstream(&c->answer, &c->len);
	if (!f) {
		hang_up(c);
		return;
	}
	s->ops->compose(s->user, request, f);
	if (fclose(f))
		hang_up(c);
	else
		write_answer(c);
}

static void read_request(struct client *c)
{
	const char *end = c->server->ops->end;
	size_t room = CV_ANSWER_REQUEST - 1 - c->got;
	ssize_t n = recv(c->io.fd, c->request + c->got, room, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(c);
		return;
	}
	c->got += (size_t)n;
	char *p = memmem(c->request, c->got, end, strlen(end));
	if (p)
		*p = '\0';
	if (p || (size_t)n == room)
		answer(c, p ? c->request : NULL);
}

/* what is said behind the request does not matter, only when it ends */
static void read_rest(struct client *c)
{
	ssize_t n = recv(c->io.fd, c->request, CV_ANSWER_REQUEST, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		hang_up(c);
}

static void on_client(struct ev_loop *ev, ev_io *w, int events)
{
	struct client *c = w->data;
	(void)ev;
	if (events & EV_WRITE)
		write_answer(c);
	else if (c->answer)
		read_rest(c);
	else
		read_request(c);
}

/* a free place, or that of the client that has had most time */
static struct client *place(struct cv_answer *s)
{
	struct client *first = &s->client[0];
	for (int i = 0; i < CV_ANSWER_CLIENTS; i++) {
		struct client *c = &s->client[i];
		if (!c->server)
			return c;
		if (c->since < first->since)
			first = c;
	}
	return first;
}

static void admit(struct cv_answer *s, struct client *c, int fd)
{
	if (s->ops->admit && !s->ops->admit(fd)) {
		close(fd);
		return;
	}
	if (c->server)
		hang_up(c);
	c->server = s;
	c->since = ev_now(s->ev);
	ev_io_init(&c->io, on_client, fd, EV_READ);
	ev_timer_init(&c->limit, on_impatient, CV_ANSWER_PATIENCE, 0.);
	c->io.data = c->limit.data = c;
	ev_io_start(s->ev, &c->io);
	ev_timer_start(s->ev, &c->limit);
}

static void on_rested(struct ev_loop *ev, ev_timer *w, int events)
{
	struct cv_answer *s = w->data;
	(void)events;
	ev_io_start(ev, &s->io);
}

static void rest(struct cv_answer *s, double seconds)
{
	ev_io_stop(s->ev, &s->io);
	ev_timer_set(&s->rest, seconds, 0.);
	ev_timer_start(s->ev, &s->rest);
}

static void on_accept(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_answer *s = w->data;
	struct client *c = place(s);
	(void)events;
	if (c->server && ev_now(ev) - c->since < GRACE) {
		rest(s, GRACE);
		return;
	}
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && s->spare >= 0 && (errno == EMFILE || errno == ENFILE)) {
		close(s->spare);
		s->spare = -1;
		fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	}
	if (fd >= 0)
		admit(s, c, fd);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		rest(s, REST);
}

struct cv_answer *cv_answer_new(
	struct ev_loop *ev, int fd, const struct cv_answer_ops *ops, void *user)
{
	struct cv_answer *s = calloc(1, sizeof *s);
	if (!s) {
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	s->ev = ev;
	s->ops = ops;
	s->user = user;
	s->spare = spare();
	ev_io_init(&s->io, on_accept, fd, EV_READ);
	ev_timer_init(&s->rest, on_rested, REST, 0.);
	s->io.data = s->rest.data = s;
	ev_io_start(ev, &s->io);
	return s;
}

void cv_answer_free(struct cv_answer *s)
{
	if (!s)
		return;
	for (int i = 0; i < CV_ANSWER_CLIENTS; i++) {
		if (s->client[i].server)
			hang_up(&s->client[i]);
	}
	ev_io_stop(s->ev, &s->io);
	ev_timer_stop(s->ev, &s->rest);
	close(s->io.fd);
	if (s->spare >= 0)
		close(s->spare);
	free(s);
}
