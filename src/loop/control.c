/* SPDX-License-Identifier: MIT */
/**
 * control.c - ask a running node about itself
 *
 * DOC: A request is one line, the answer is text up to the end of the
 * connection.  Only the node's own user and root are answered.
 */
#include "loop/control.h"

#include "loop/show.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUEST = 256 };

#define PATIENCE 5. /* seconds that a request and its answer may take */

struct client {
	struct cv_control *control;
	ev_io io;
	ev_timer limit;
	char request[REQUEST];
	size_t got;
	char *answer;
	size_t len, sent;
};

struct cv_control {
	struct cv_loop *loop;
	ev_io io;
	ev_timer pause; /* out of descriptors, the spare one too */
	int spare;      /* given up so that a question can be heard even then */
	struct sockaddr_un at;
	char name[64];
	struct client client[CV_CONTROL_CLIENTS];
};

/* the other end belongs to us or to root */
static bool is_ours(int fd)
{
	struct ucred who;
	socklen_t len = sizeof who;
	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) &&
	       (who.uid == 0 || who.uid == geteuid());
}

static const char *directory(char out[80])
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	if (!geteuid())
		snprintf(out, 80, "/run/culvert");
	else if (run && *run && strlen(run) < 60)
		snprintf(out, 80, "%s/culvert", run);
	else
		snprintf(out, 80, "/tmp/culvert-%u", (unsigned)geteuid());
	return out;
}

static bool path_of(struct sockaddr_un *a, const char *dir, const char *name)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	bool path = strchr(name, '/') != NULL;
	int n = path ? snprintf(a->sun_path, sizeof a->sun_path, "%s", name)
		     : snprintf(a->sun_path, sizeof a->sun_path, "%s/%s.sock",
			       dir, name);
	return n > 0 && (size_t)n < sizeof a->sun_path;
}

static int spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void hang_up(struct client *c)
{
	struct cv_control *k = c->control;
	struct ev_loop *ev = k->loop->ev;
	ev_io_stop(ev, &c->io);
	ev_timer_stop(ev, &c->limit);
	close(c->io.fd);
	free(c->answer);
	memset(c, 0, sizeof *c);
	if (k->spare < 0)
		k->spare = spare();
}

static void on_impatient(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	hang_up(w->data);
}

static void compose(struct client *c)
{
	struct cv_control *k = c->control;
	struct cv_node *n = &k->loop->node;
	FILE *f = open_memstream(&c->answer, &c->len);
	if (!f)
		return;
	if (!strcmp(c->request, "show"))
		cv_show_text(f, n, k->name, cv_now());
	else if (!strcmp(c->request, "show -j"))
		cv_show_json(f, n, k->name, cv_now());
	else
		fputs("error: unknown request\n", f);
	fclose(f);
}

static void write_answer(struct client *c)
{
	while (c->sent < c->len) {
		ssize_t n = send(c->io.fd, c->answer + c->sent,
			c->len - c->sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break;
		c->sent += (size_t)n;
	}
	hang_up(c);
}

static void on_client(struct ev_loop *ev, ev_io *w, int events)
{
	struct client *c = w->data;
	int fd = w->fd;
	if (events & EV_WRITE) {
		write_answer(c);
		return;
	}
	ssize_t n = recv(fd, c->request + c->got, REQUEST - 1 - c->got, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0)
		c->got += (size_t)n;
	char *end = memchr(c->request, '\n', c->got);
	if (!end && n > 0 && c->got < REQUEST - 1)
		return;
	if (!end) {
		hang_up(c);
		return;
	}
	*end = '\0';
	compose(c);
	ev_io_stop(ev, w);
	ev_io_set(w, fd, EV_WRITE);
	ev_io_start(ev, w);
}

static struct client *free_slot(struct cv_control *k)
{
	for (int i = 0; i < CV_CONTROL_CLIENTS; i++) {
		if (!k->client[i].control)
			return &k->client[i];
	}
	return NULL;
}

static void on_pause_over(struct ev_loop *ev, ev_timer *w, int events)
{
	struct cv_control *k = w->data;
	(void)events;
	ev_timer_set(w, 0.1, 0.);
	ev_io_start(ev, &k->io);
}

static void on_accept(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_control *k = w->data;
	struct client *c = free_slot(k);
	(void)events;
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && k->spare >= 0 && (errno == EMFILE || errno == ENFILE)) {
		close(k->spare);
		k->spare = -1;
		fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	}
	if (fd < 0 && errno != EAGAIN && errno != EINTR) {
		ev_io_stop(ev, w);
		ev_timer_start(ev, &k->pause);
	}
	if (fd < 0)
		return;
	if (!c || !is_ours(fd)) {
		close(fd);
		return;
	}
	c->control = k;
	ev_io_init(&c->io, on_client, fd, EV_READ);
	ev_timer_init(&c->limit, on_impatient, PATIENCE, 0.);
	c->io.data = c->limit.data = c;
	ev_io_start(ev, &c->io);
	ev_timer_start(ev, &c->limit);
}

static int dial(const struct sockaddr_un *at)
{
	const struct timeval limit = { .tv_sec = 3 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* a node that is stopped keeps nobody waiting for ever */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (!connect(fd, (const struct sockaddr *)at, sizeof *at))
		return fd;
	int e = errno;
	close(fd);
	errno = e;
	return -1;
}

/* a path that no living node answers at */
static bool choose_path(
	struct cv_control *k, const char *dir, const char *name, bool exact)
{
	snprintf(k->name, sizeof k->name, "%s", name);
	if (!path_of(&k->at, dir, k->name))
		return false;
	int fd = dial(&k->at);
	if (fd < 0)
		return true;
	close(fd);
	errno = EADDRINUSE;
	if (exact)
		return false;
	snprintf(k->name, sizeof k->name, "%.31s-%ld", name, (long)getpid());
	return path_of(&k->at, dir, k->name);
}

static int listen_at(struct cv_control *k)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	unlink(k->at.sun_path);
	mode_t old = umask(0177);
	int r = bind(fd, (struct sockaddr *)&k->at, sizeof k->at);
	int e = errno;
	umask(old);
	if (!r && !listen(fd, CV_CONTROL_CLIENTS))
		return fd;
	close(fd);
	errno = e;
	return -1;
}

/* someone else's directory could replace our socket by theirs */
static bool make_directory(const char *dir)
{
	struct stat st;
	if (mkdir(dir, 0700) && errno != EEXIST)
		return false;
	if (lstat(dir, &st))
		return false;
	errno = EPERM;
	return S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & 022);
}

const char *cv_control_name(const struct cv_control *k)
{
	return k->name;
}

struct cv_control *cv_control_new(
	struct cv_loop *l, const char *name, bool exact)
{
	char dir[80];
	directory(dir);
	if (!make_directory(dir))
		return NULL;
	struct cv_control *k = calloc(1, sizeof *k);
	if (!k)
		return NULL;
	k->loop = l;
	errno = ENAMETOOLONG;
	int fd = choose_path(k, dir, name, exact) ? listen_at(k) : -1;
	if (fd < 0) {
		int e = errno;
		free(k);
		errno = e;
		return NULL;
	}
	ev_io_init(&k->io, on_accept, fd, EV_READ);
	ev_timer_init(&k->pause, on_pause_over, 0.1, 0.);
	k->io.data = k->pause.data = k;
	k->spare = spare();
	ev_io_start(l->ev, &k->io);
	return k;
}

void cv_control_free(struct cv_control *k)
{
	if (!k)
		return;
	for (int i = 0; i < CV_CONTROL_CLIENTS; i++) {
		if (k->client[i].control)
			hang_up(&k->client[i]);
	}
	ev_io_stop(k->loop->ev, &k->io);
	ev_timer_stop(k->loop->ev, &k->pause);
	close(k->io.fd);
	unlink(k->at.sun_path);
	if (k->spare >= 0)
		close(k->spare);
	free(k);
}

static bool ask_one(const char *dir, const char *name, const char *request,
	void (*answer)(void *user, const char *piece, size_t len), void *user)
{
	struct sockaddr_un at;
	char buf[4096];
	ssize_t n;
	int fd = path_of(&at, dir, name) ? dial(&at) : -1;
	if (fd >= 0 && geteuid() && !is_ours(fd)) {
		close(fd); /* what others write is not for our terminal */
		fd = -1;
	}
	if (fd < 0)
		return false;
	snprintf(buf, sizeof buf, "%s\n", request);
	bool any = false;
	if (send(fd, buf, strlen(buf), MSG_NOSIGNAL) > 0) {
		while ((n = recv(fd, buf, sizeof buf, 0)) > 0) {
			answer(user, buf, (size_t)n);
			any = true;
		}
	}
	close(fd);
	return any;
}

int cv_control_ask(const char *name, const char *request,
	void (*answer)(void *user, const char *piece, size_t len), void *user)
{
	char dir[80];
	struct dirent **list;
	bool any = false;
	directory(dir);
	if (name)
		return ask_one(dir, name, request, answer, user)
			       ? 0
			       : CULVERT_ENODAEMON;
	int n = scandir(dir, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char *dot = strstr(list[i]->d_name, ".sock");
		if (dot && !dot[5]) {
			*dot = '\0';
			any |= ask_one(
				dir, list[i]->d_name, request, answer, user);
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return any ? 0 : CULVERT_ENODAEMON;
}
