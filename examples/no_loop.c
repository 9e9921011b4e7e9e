/* SPDX-License-Identifier: MIT */
/**
 * no_loop.c - the program moves the bytes and tells the time
 *
 * For programs that have an event loop of another make, or a stream that is no
 * socket: a WebSocket, a TLS connection, a pipe to a helper.  culvert then
 * opens nothing and waits for nothing.  Here the stream is a socketpair between
 * two processes, and poll(2) is all there is of a loop.
 *
 *	cc no_loop.c $(pkg-config --cflags --libs culvert)
 */
#include <culvert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct program {
	const char *name;
	culvert *node;
	culvert_link *link;
	int fd;
	unsigned char out[4096]; /* pulled from the link, not yet written */
	size_t len;
	int done, got;
};

/* monotonic µs; where it begins does not matter */
static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int accept_flow(
	void *user, culvert_flow *flow, const char *peer, const char *target)
{
	struct program *p = user;
	(void)flow;
	printf("%s: %s asks for %s\n", p->name, peer, target);
	return 0;
}

static void dgram(void *user, culvert_flow *flow, const void *data, size_t len)
{
	struct program *p = user;
	printf("%s: got \"%.*s\"\n", p->name, (int)len, (const char *)data);
	p->got++;
	if (!strcmp(p->name, "right"))
		culvert_send(flow, "pong", 4);
	else
		culvert_stop(p->node); /* tells the other end, which ends too */
}

static void stopped(void *user)
{
	((struct program *)user)->done = 1;
}

/* bytes out: ask only for what can be written, so that the rest may age */
static void write_out(struct program *p)
{
	for (;;) {
		if (!p->len)
			p->len = culvert_link_output(
				p->link, p->out, sizeof p->out, now());
		if (!p->len)
			return;
		ssize_t n = send(p->fd, p->out, p->len, MSG_NOSIGNAL);
		if (n < 0)
			return; /* full: poll() tells when it is not */
		p->len -= (size_t)n;
		memmove(p->out, p->out + n, p->len);
	}
}

/* bytes in; anything but 0 means that the stream is of no use any more */
static void read_in(struct program *p)
{
	unsigned char buf[4096];
	ssize_t n = recv(p->fd, buf, sizeof buf, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || culvert_link_input(p->link, buf, (size_t)n, now()))
		p->done = 1;
}

static void turn(struct program *p)
{
	write_out(p);
	struct pollfd fd = { p->fd, (short)(POLLIN | (p->len ? POLLOUT : 0)),
		0 };
	uint64_t at = culvert_deadline(p->node), is = now();
	int wait = at == CULVERT_NEVER ? -1
		   : at <= is          ? 0
				       : (int)((at - is) / 1000) + 1;
	poll(&fd, 1, p->done ? 0 : wait);
	/* time first: what is sent from now on is sent now */
	culvert_tick(p->node, now());
	if (fd.revents & (POLLIN | POLLHUP))
		read_in(p);
}

static int run(struct program *p, const char *conf, const char *greet)
{
	struct culvert_diag diag;
	struct culvert_options options = {
		.size = sizeof options,
		.flags = CULVERT_NO_LOOP,
		.user = p,
		.accept = accept_flow,
		.dgram = dgram,
		.stopped = stopped,
	};
	if (culvert_new(&p->node, conf, strlen(conf), &options, &diag)) {
		fprintf(stderr, "%s: %s\n", p->name, diag.text);
		return 1;
	}
	/* who dials, a socket or whatever it is, names the peer; the other
	   end learns by itself who that is */
	culvert_link_open(p->node, greet, now(), &p->link);
	if (greet) {
		culvert_flow *flow;
		if (culvert_open(p->node, greet, "app://ping", &flow))
			return 1;
		culvert_send(flow, "ping", 4);
	}
	while (!p->done)
		turn(p);
	culvert_free(p->node); /* and its link */
	return !p->got;
}

int main(void)
{
	int fd[2], status;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		return 1;
	for (int i = 0; i < 2; i++)
		fcntl(fd[i], F_SETFL, O_NONBLOCK);
	/* Plain, as inside a channel that is encrypted already; with keys it
	   is the same but for the text */
	if (!fork()) {
		close(fd[0]);
		struct program right = { .name = "right", .fd = fd[1] };
		return run(&right, "[Node]\nPlain = yes\n", NULL);
	}
	close(fd[1]);
	struct program left = { .name = "left", .fd = fd[0] };
	int err = run(&left, "[Node]\nPlain = yes\n[Peer right]\n", "right");
	close(fd[0]);
	wait(&status);
	return err || status;
}
