/* SPDX-License-Identifier: MIT */
/*
 * tload - load and verify TCP connections, to measure what carries them
 *
 *   tload serve PORT [CC]
 *   tload pull HOST PORT [-n CONNS] [-t SECS | -b BYTES]   the server sends
 *   tload push HOST PORT [-n CONNS] -b BYTES               the client sends
 *   tload rr   HOST PORT [-n CONNS] [-t SECS] [-s SIZE] [-i MS]
 *
 * pull and push move a pattern that the far side checks byte for byte.  pull -t
 * counts what has arrived within SECS of the first connect() and then drops the
 * connections; -b (per connection) runs to the end and takes the time.  rr
 * sends messages of SIZE bytes (64) and takes the time to their echo, one after
 * the other, or with -i one every MS whether or not the last came back.  CC and
 * -C name the congestion control of the TCP sockets (cubic, bbr).  late_mbit is
 * the second half of -t, gap the longest time without a byte.  Prints one line
 * of key=value; exit status 1 if a byte was wrong or a connection failed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD = 1048573, CHUNK = 256 << 10, MSG_MAX = 65536 };
enum { PULL = 1, PUSH = 2, RR = 3 };

struct hello {
	uint32_t magic, op;
	uint64_t start, bytes;
}; /* same byte order at both ends */
struct verdict {
	uint64_t bytes, ok;
};

struct conn {
	int fd, op, bad, done, greeted;
	size_t got; /* of the hello or the verdict */
	union {
		struct hello h;
		struct verdict v;
		unsigned char raw[sizeof(struct hello)];
	} in;
	uint64_t start, limit, off; /* pattern position, bytes to move, moved */
	uint64_t sent, t0, first,
		tick; /* rr: messages sent; connect, first byte, next tick */
	uint64_t last, gap; /* pull: when bytes came, longest wait for them */
	unsigned char *
		echo; /* bytes owed (server) or of a partial message (client) */
	size_t n;
};

static unsigned char pattern[PERIOD + CHUNK], scratch[CHUNK];
static int ep;

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "tload: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void watch(struct conn *c, uint32_t events, int op)
{
	struct epoll_event e = { .events = events, .data.ptr = c };
	if (epoll_ctl(ep, op, c->fd, &e) && op != EPOLL_CTL_MOD)
		die("epoll_ctl");
}

static void pattern_fill(void)
{
	uint64_t x = 42;
	for (size_t i = 0; i < PERIOD; i++) {
		if (i % 8 == 0) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
		}
		pattern[i] = (unsigned char)(x >> (i % 8 * 8));
	}
	memcpy(pattern + PERIOD, pattern, CHUNK);
}

/* send the pattern until the limit or until the socket is full; 1: all is sent
 */
static int pour(struct conn *c)
{
	while (c->off < c->limit) {
		size_t n = c->limit - c->off < CHUNK
				   ? (size_t)(c->limit - c->off)
				   : CHUNK;
		ssize_t k = send(c->fd, pattern + (c->start + c->off) % PERIOD,
			n, MSG_NOSIGNAL);
		if (k < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		c->off += (uint64_t)k;
	}
	return 1;
}

/* read and check the pattern; 1: end of stream or limit reached */
static int drain(struct conn *c)
{
	for (int i = 0; i < 16; i++) { /* give the others a turn */
		size_t want = c->limit && c->limit - c->off < CHUNK
				      ? (size_t)(c->limit - c->off)
				      : CHUNK;
		if (want == 0)
			return 1;
		ssize_t k = recv(c->fd, scratch, want, 0);
		if (k == 0)
			return 1;
		if (k < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		uint64_t t = now_ns();
		if (!c->first)
			c->first = t;
		else if (t - c->last > c->gap)
			c->gap = t - c->last;
		c->last = t;
		if (memcmp(scratch, pattern + (c->start + c->off) % PERIOD,
			    (size_t)k))
			c->bad = 1;
		c->off += (uint64_t)k;
	}
	return 0;
}

static const char *cc;

static void control(int fd)
{
	if (cc && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc,
			  (socklen_t)strlen(cc)))
		die(cc);
}

static int tune(int fd)
{
	int one = 1;
	return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* ---- server ---- */

static void drop(struct conn *c)
{
	close(c->fd);
	free(c->echo);
	free(c);
}

static int serve_echo(struct conn *c)
{
	if (!c->echo && !(c->echo = malloc(MSG_MAX)))
		die("malloc");
	for (;;) {
		while (c->n) {
			ssize_t k = send(c->fd, c->echo, c->n, MSG_NOSIGNAL);
			if (k < 0)
				return errno == EAGAIN
					       ? (watch(c, EPOLLOUT,
							  EPOLL_CTL_MOD),
							 0)
					       : -1;
			memmove(c->echo, c->echo + k, c->n -= (size_t)k);
			if (!c->n)
				watch(c, EPOLLIN, EPOLL_CTL_MOD);
		}
		ssize_t k = recv(c->fd, c->echo, MSG_MAX, 0);
		if (k <= 0)
			return k < 0 && errno == EAGAIN ? 0 : -1;
		c->n = (size_t)k;
	}
}

static int serve_one(struct conn *c)
{
	while (c->got < sizeof c->in.h) {
		ssize_t k = recv(
			c->fd, c->in.raw + c->got, sizeof c->in.h - c->got, 0);
		if (k <= 0)
			return k < 0 && errno == EAGAIN ? 0 : -1;
		c->got += (size_t)k;
		if (c->got < sizeof c->in.h)
			continue;
		if (c->in.h.magic != 0x544c4f44)
			return -1;
		c->op = (int)c->in.h.op;
		c->start = c->in.h.start;
		c->limit = c->in.h.bytes;
		if (c->op == PULL)
			watch(c, EPOLLOUT, EPOLL_CTL_MOD);
	}
	if (c->op == RR)
		return serve_echo(c);
	if (c->op == PULL) {
		int r = pour(c);
		if (r == 1)
			shutdown(c->fd, SHUT_WR),
				watch(c, EPOLLIN, EPOLL_CTL_MOD), c->op = 0;
		return r < 0 ? -1 : 0;
	}
	if (c->op == PUSH) {
		int r = drain(c);
		if (r < 1)
			return r;
		struct verdict v = { c->off, !c->bad };
		if (send(c->fd, &v, sizeof v, MSG_NOSIGNAL) != sizeof v)
			return -1;
		c->op = 0;
	}
	ssize_t k = recv(c->fd, scratch, CHUNK, 0); /* only the end can come */
	return k < 0 && errno == EAGAIN ? 0 : -1;
}

static void serve(int port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port) };
	struct conn l = { .fd = socket(AF_INET6,
				  SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				  0) };
	int one = 1;

	setsockopt(l.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	control(l.fd);
	if (bind(l.fd, (struct sockaddr *)&a, sizeof a) || listen(l.fd, 1024))
		die("listen");
	watch(&l, EPOLLIN, EPOLL_CTL_ADD);
	for (;;) {
		struct epoll_event e[64];
		int n = epoll_wait(ep, e, 64, -1);
		for (int i = 0; i < n; i++) {
			struct conn *c = e[i].data.ptr;
			if (c != &l) {
				if (serve_one(c))
					drop(c);
				continue;
			}
			for (int fd;
				(fd = accept4(l.fd, NULL, NULL,
					 SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
				if (!(c = calloc(1, sizeof *c)))
					die("calloc");
				c->fd = fd;
				tune(fd);
				watch(c, EPOLLIN, EPOLL_CTL_ADD);
			}
		}
	}
}

/* ---- client ---- */

static uint64_t *sample;
static size_t samples, sample_cap;
static size_t size = 64;
static double every;

static void took(uint64_t ns)
{
	if (samples == sample_cap &&
		!(sample = realloc(sample,
			  (sample_cap = sample_cap ? 2 * sample_cap : 4096) *
				  sizeof *sample)))
		die("realloc");
	sample[samples++] = ns;
}

static void ask(struct conn *c)
{
	unsigned char m[MSG_MAX] = { 0 };
	uint64_t t = now_ns();
	memcpy(m, &t, sizeof t);
	if (send(c->fd, m, size, MSG_NOSIGNAL) == (ssize_t)size)
		c->sent++;
	else
		c->bad = 1;
}

static int answer(struct conn *c, int more)
{
	if (!c->echo && !(c->echo = malloc(MSG_MAX)))
		die("malloc");
	for (;;) {
		ssize_t k = recv(c->fd, c->echo + c->n, size - c->n, 0);
		if (k <= 0)
			return k < 0 && errno == EAGAIN ? 0 : -1;
		if ((c->n += (size_t)k) < size)
			continue;
		uint64_t t;
		memcpy(&t, c->echo, sizeof t);
		took(now_ns() - t);
		c->n = 0;
		c->off++;
		if (every <= 0 && more)
			ask(c);
	}
}

static int dial(
	struct conn *c, const struct addrinfo *ai, const struct hello *h)
{
	c->in.h = *h;
	c->start = h->start;
	c->limit = h->bytes;
	c->op = (int)h->op;
	c->t0 = now_ns();
	c->fd = socket(
		ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd >= 0)
		control(c->fd);
	return c->fd < 0 || (connect(c->fd, ai->ai_addr, ai->ai_addrlen) &&
				    errno != EINPROGRESS)
		       ? -1
		       : 0;
}

/* the connection stands: say what is wanted of it */
static int greet(struct conn *c)
{
	if (tune(c->fd) || send(c->fd, &c->in.h, sizeof c->in.h,
				   MSG_NOSIGNAL) != sizeof c->in.h)
		return -1;
	c->greeted = 1;
	watch(c, c->op == PUSH ? EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
	if (c->op == RR && every <= 0)
		ask(c);
	return 0;
}

static int by_size(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
	return a < b ? -1 : a > b;
}

static double pct(double p)
{
	return samples ? (double)sample[(
				 size_t)(p * (double)(samples - 1) + 0.5)] /
				 1e6
		       : -1;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	int op = !strcmp(mode, "pull")   ? PULL
		 : !strcmp(mode, "push") ? PUSH
		 : !strcmp(mode, "rr")   ? RR
					 : 0;
	size_t n = 1;
	double secs = 10, limit = 0;

	signal(SIGPIPE, SIG_IGN);
	pattern_fill();
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (!strcmp(mode, "serve") && argc > 2) {
		cc = argc > 3 ? argv[3] : NULL;
		serve(atoi(argv[2]));
	}
	if (!op || argc < 4) {
		fprintf(stderr, "usage: tload serve PORT | pull|push|rr HOST "
				"PORT [options], see tload.c\n");
		return 2;
	}
	for (int o; optind = optind < 4 ? 4 : optind,
		    (o = getopt(argc, argv, "n:t:b:s:i:C:")) != -1;)
		switch (o) {
		case 'n':
			n = strtoul(optarg, NULL, 0);
			break;
		case 't':
			secs = atof(optarg);
			break;
		case 'b':
			limit = atof(optarg);
			break;
		case 's':
			size = strtoul(optarg, NULL, 0);
			break;
		case 'i':
			every = atof(optarg);
			break;
		case 'C':
			cc = optarg;
			break;
		default:
			return 2;
		}
	if (size < 8 || size > MSG_MAX || (op == PUSH && limit <= 0))
		return 2;

	struct addrinfo hint = { .ai_socktype = SOCK_STREAM }, *ai;
	if (getaddrinfo(argv[2], argv[3], &hint, &ai))
		die("address");
	struct conn *c = calloc(n, sizeof *c);
	if (!c)
		die("calloc");
	uint64_t t0 = now_ns(), until = t0 + (uint64_t)(secs * 1e9),
		 half = t0 + (uint64_t)(secs * 1e9 / 2), at_half = 0;
	size_t open = 0, failed = 0;
	for (size_t i = 0; i < n; i++) {
		struct hello h = { 0x544c4f44, (uint32_t)op, i * 7919,
			limit > 0    ? (uint64_t)limit
			: op == PULL ? UINT64_MAX
				     : 0 };
		if (dial(&c[i], ai, &h)) {
			failed++;
			c[i].done = 1;
			continue;
		}
		open++;
		watch(&c[i], EPOLLOUT, EPOLL_CTL_ADD);
		c[i].tick = now_ns() +
			    (uint64_t)(every * 1e6 * (double)i / (double)n);
	}
	uint64_t end = limit > 0 ? UINT64_MAX : until,
		 grace = op == RR ? 5000000000u : 0;
	while (open) {
		uint64_t now = now_ns(), next = end;
		if (!at_half && now >= half) {
			at_half = 1;
			half = now;
			for (size_t i = 0; i < n; i++)
				at_half += c[i].off;
		}
		if (op == RR &&
			now >= end) { /* wait a little for what is on its way */
			int owed = 0;
			for (size_t i = 0; i < n; i++)
				owed |= !c[i].done && c[i].off < c[i].sent;
			if (!owed || now >= end + grace)
				break;
			next = now + 10000000;
		} else if (now >= end)
			break;
		if (op == RR && every > 0 && now < end)
			for (size_t i = 0; i < n; i++) {
				if (c[i].done || !c[i].greeted)
					continue;
				if (now >= c[i].tick) {
					ask(&c[i]);
					c[i].tick += (uint64_t)(every * 1e6);
				}
				if (c[i].tick < next)
					next = c[i].tick;
			}
		struct epoll_event e[64];
		int64_t ms = next == UINT64_MAX
				     ? 100
				     : (int64_t)(next - now) / 1000000;
		int k = epoll_wait(ep, e, 64,
			ms < 0     ? 0
			: ms > 100 ? 100
				   : (int)ms);
		for (int i = 0; i < k; i++) {
			struct conn *x = e[i].data.ptr;
			int r = 0;
			if (!x->greeted)
				r = greet(x);
			else if (x->op == PULL)
				r = drain(x);
			else if (x->op == RR)
				r = answer(x, now < end);
			else if (x->off < x->limit) {
				if ((r = pour(x)) == 1) {
					shutdown(x->fd, SHUT_WR);
					watch(x, EPOLLIN, EPOLL_CTL_MOD);
					r = 0;
				}
			} else {
				ssize_t g = recv(x->fd, x->in.raw + x->got,
					sizeof x->in.v - x->got, 0);
				if (g > 0 && (x->got += (size_t)g) ==
						     sizeof x->in.v) {
					r = 1;
					x->bad |= !x->in.v.ok ||
						  x->in.v.bytes != x->limit;
				} else if (g == 0 || (g < 0 && errno != EAGAIN))
					r = -1;
			}
			if (r) {
				if (r < 0 || (op == PULL && limit <= 0) ||
					(x->limit && x->off < x->limit))
					failed++;
				x->done = 1;
				x->tick = now_ns();
				open--;
				close(x->fd);
			}
		}
	}
	uint64_t fin = now_ns(), total = 0, bad = 0, lo = UINT64_MAX, hi = 0,
		 owed = 0, first = 0, gap = 0;
	for (size_t i = 0; i < n; i++) {
		total += c[i].off;
		bad += (uint64_t)c[i].bad;
		if (c[i].gap > gap)
			gap = c[i].gap;
		if (c[i].off < lo)
			lo = c[i].off;
		if (c[i].off > hi)
			hi = c[i].off;
		owed += c[i].sent - (op == RR ? c[i].off : c[i].sent);
		if (c[i].first && c[i].first - c[i].t0 > first)
			first = c[i].first - c[i].t0;
	}
	double t = (double)(fin - t0) / 1e9;
	if (op == RR) {
		qsort(sample, samples, sizeof *sample, by_size);
		printf("n=%zu p50=%.3f p90=%.3f p99=%.3f p999=%.3f max=%.3f ms "
		       "unanswered=%lu",
			samples, pct(.5), pct(.9), pct(.99), pct(.999), pct(1),
			(unsigned long)owed);
	} else {
		printf("mbit=%.2f bytes=%lu secs=%.3f first=%.4f gap=%.4f",
			(double)total * 8e-6 / t, (unsigned long)total, t,
			(double)first / 1e9, (double)gap / 1e9);
		if (at_half && limit <= 0)
			printf(" late_mbit=%.2f",
				(double)(total - (at_half - 1)) * 8e-6 /
					((double)(fin - half) / 1e9));
		if (n > 1)
			printf(" least=%lu most=%lu", (unsigned long)lo,
				(unsigned long)hi);
	}
	printf(" conns=%zu failed=%zu bad=%lu\n", n, failed,
		(unsigned long)bad);
	return failed || bad;
}
