/* SPDX-License-Identifier: MIT */
/*
 * udpblast.c - UDP load generator, sink, echo and pinger
 *
 *   udpblast send [-l len] [-r pps] [-t sec] [-G segs] [-b msgs] [-f flows]
 *                 [-T us] [-w sec] [-n count] HOST PORT
 *   udpblast sink [-t sec] [-i idle_sec] [-g] [-R rcvbuf] [-l len] HOST PORT
 *   udpblast echo [-t sec] HOST PORT
 *   udpblast ping [-l len] [-r pps] [-t sec] HOST PORT
 *
 * Every datagram starts with a 24-byte header (host byte order, same machine):
 * u32 magic, u32 flow, u64 seq, u64 CLOCK_MONOTONIC ns at send.  All network
 * namespaces of a machine share that clock, so the sink reports one-way delay.
 * Results are one line of key=value pairs.
 *
 * send: -r 0 is flat out; -G segments per UDP_SEGMENT send (0: as many as fit,
 * 1: none); -b messages per sendmmsg; -f source ports; -T pacing tick; -w sends
 * four uncounted datagrams first and waits; -n stops after that many.
 * sink: -i leave after that long without a datagram; -g no UDP_GRO; -l count
 * other lengths as bad.
 */
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
	MAGIC = 0x754c4254,
	WARM = 0x4d524157,
	HDR = 24,
	MAXDG = 65507,
	MAXFLOW = 4096,
	WINBITS = 1 << 20
};

struct hdr {
	uint32_t magic, flow;
	uint64_t seq, ns;
};

static volatile sig_atomic_t stop;
static void on_sig(int s)
{
	(void)s;
	stop = 1;
}

static void die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double cpu_s(void)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	return r.ru_utime.tv_sec + r.ru_stime.tv_sec +
	       (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

// ---- log-linear histogram of nanoseconds: 64 sub-buckets per power of two
// (<1.6 % error)
enum { HSUB = 64, HBKT = 64 * HSUB };
struct hist {
	uint64_t n, max, b[HBKT];
};

static void hist_add(struct hist *h, uint64_t v)
{
	unsigned idx;
	if (v < HSUB)
		idx = (unsigned)v;
	else {
		unsigned e = 63 - (unsigned)__builtin_clzll(v); // >= 6
		idx = (e - 5) * HSUB + (unsigned)((v >> (e - 6)) & (HSUB - 1));
	}
	if (idx >= HBKT)
		idx = HBKT - 1;
	h->b[idx]++;
	h->n++;
	if (v > h->max)
		h->max = v;
}

static double hist_q(const struct hist *h, double q)
{ // microseconds
	if (!h->n)
		return 0;
	uint64_t want = (uint64_t)ceil(q * (double)h->n), c = 0;
	if (want < 1)
		want = 1;
	for (unsigned i = 0; i < HBKT; i++) {
		c += h->b[i];
		if (c >= want) {
			uint64_t v =
				i < HSUB ? i
					 : (((uint64_t)HSUB + (i & (HSUB - 1)))
						   << (i / HSUB - 1));
			return (double)v / 1e3;
		}
	}
	return (double)h->max / 1e3;
}

static int udp_sock(const char *host, const char *port, bool listen_side,
	struct sockaddr_storage *ss, socklen_t *sl)
{
	struct addrinfo hi = { .ai_socktype = SOCK_DGRAM,
		.ai_flags = listen_side ? AI_PASSIVE : 0 },
			*ai;
	int e = getaddrinfo(host, port, &hi, &ai);
	if (e)
		die("%s:%s: %s", host, port, gai_strerror(e));
	int fd = socket(ai->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket: %s", strerror(errno));
	int one = 1;
	if (listen_side) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		if (bind(fd, ai->ai_addr, ai->ai_addrlen))
			die("bind %s:%s: %s", host, port, strerror(errno));
	} else if (connect(fd, ai->ai_addr, ai->ai_addrlen))
		die("connect %s:%s: %s", host, port, strerror(errno));
	if (ss) {
		memcpy(ss, ai->ai_addr, ai->ai_addrlen);
		*sl = ai->ai_addrlen;
	}
	freeaddrinfo(ai);
	return fd;
}

static void big_buf(int fd, int opt_force, int opt, int n)
{
	if (setsockopt(fd, SOL_SOCKET, opt_force, &n, sizeof n))
		setsockopt(fd, SOL_SOCKET, opt, &n, sizeof n);
}

// -------------------------------------------------------------------------------
// send
static int cmd_send(int argc, char **argv)
{
	int len = 64, segs = 0, batch = 0, flows = 1, tick_us = 0, c;
	double rate = 0, secs = 3, warm = 0;
	uint64_t count = UINT64_MAX;
	while ((c = getopt(argc, argv, "l:r:t:G:b:f:T:w:n:")) != -1)
		switch (c) {
		case 'l':
			len = atoi(optarg);
			break;
		case 'r':
			rate = atof(optarg);
			break;
		case 't':
			secs = atof(optarg);
			break;
		case 'G':
			segs = atoi(optarg);
			break;
		case 'b':
			batch = atoi(optarg);
			break;
		case 'f':
			flows = atoi(optarg);
			break;
		case 'T':
			tick_us = atoi(optarg);
			break;
		case 'w':
			warm = atof(optarg);
			break;
		case 'n':
			count = strtoull(optarg, NULL, 0);
			break;
		default:
			die("usage");
		}
	if (argc - optind != 2 || len < HDR || len > MAXDG || flows < 1 ||
		flows > MAXFLOW)
		die("usage: send [opts] HOST PORT");
	if (segs <= 0)
		segs = len > 1472 ? 1
				  : MAXDG / len; // default: as much GSO as fits
	if (segs > 64)
		segs = 64;
	if (segs * len > MAXDG)
		segs = MAXDG / len;
	if (batch <= 0)
		batch = segs > 1 ? 2 : 32;
	if (batch > 64)
		batch = 64;
	int *fd = calloc((size_t)flows, sizeof *fd);
	uint64_t *seq = calloc((size_t)flows, sizeof *seq);
	for (int i = 0; i < flows; i++) {
		fd[i] = udp_sock(
			argv[optind], argv[optind + 1], false, NULL, NULL);
		big_buf(fd[i], SO_SNDBUFFORCE, SO_SNDBUF, 8 << 20);
		if (segs > 1 && setsockopt(fd[i], IPPROTO_UDP, UDP_SEGMENT,
					&len, sizeof len))
			die("UDP_SEGMENT: %s", strerror(errno));
	}
	prctl(PR_SET_TIMERSLACK, 1UL);
	size_t msz = (size_t)segs * (size_t)len;
	char *buf = malloc(msz * (size_t)batch);
	for (size_t i = 0; i < msz * (size_t)batch; i++)
		buf[i] = (char)(i * 7 + 1);
	struct mmsghdr mm[64] = { 0 };
	struct iovec iov[64];
	for (int i = 0; i < batch; i++) {
		iov[i].iov_base = buf + msz * (size_t)i;
		mm[i].msg_hdr.msg_iov = &iov[i];
		mm[i].msg_hdr.msg_iovlen = 1;
	}
	if (warm > 0) {
		for (int k = 0; k < 4; k++) {
			for (int i = 0; i < flows; i++) {
				struct hdr h = { WARM, (uint32_t)i, 0, 0 };
				memcpy(buf, &h, sizeof h);
				if (send(fd[i], buf, (size_t)len, 0) < 0 &&
					errno != ECONNREFUSED)
					perror("warm-up");
			}
			usleep((useconds_t)(warm * 250e3));
		}
	}
	// pacing: credit accrues with time; at least one tick's worth is sent
	// at once
	double tick = tick_us ? tick_us * 1e3 : 100e3;
	uint64_t t0 = now_ns(), end = t0 + (uint64_t)(secs * 1e9), next = t0,
		 sent = 0, errs = 0, calls = 0;
	double cpu0 = cpu_s();
	int fl = 0;
	while (!stop) {
		uint64_t t = now_ns();
		if (t >= end || sent >= count)
			break;
		uint64_t want = count - sent;
		if (rate > 0) {
			double due = (double)(t - t0) / 1e9 * rate;
			if ((double)sent + 1 > due) {
				next += (uint64_t)tick;
				if (next < t)
					next = t;
				double one = (double)t0 +
					     ((double)sent + 1) / rate * 1e9;
				uint64_t until = (double)next > one
							 ? next
							 : (uint64_t)one + 1;
				struct timespec ts = { (time_t)(until /
								1000000000u),
					(long)(until % 1000000000u) };
				clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME,
					&ts, NULL);
				continue;
			}
			uint64_t due_now = (uint64_t)(due - (double)sent);
			if (due_now < want)
				want = due_now;
			if (want == 0)
				want = 1;
		}
		int m = 0;
		uint64_t here = 0;
		for (; m < batch && here < want; m++) {
			uint64_t k = want - here < (uint64_t)segs
					     ? want - here
					     : (uint64_t)segs;
			char *p = iov[m].iov_base;
			for (uint64_t j = 0; j < k; j++) {
				struct hdr h = { MAGIC, (uint32_t)fl,
					seq[fl] + here + j, t };
				memcpy(p + j * (uint64_t)len, &h, sizeof h);
			}
			iov[m].iov_len = k * (uint64_t)len;
			here += k;
		}
		int r = sendmmsg(fd[fl], mm, (unsigned)m, 0);
		calls++;
		if (r < 0) {
			if (errno == EINTR)
				continue;
			errs++; // ECONNREFUSED, ENOBUFS, EAGAIN: counted; the
				// datagrams were not sent
			if (errno == EMSGSIZE || errno == EINVAL)
				die("send: %s", strerror(errno));
			if (rate == 0)
				usleep(50);
			continue;
		}
		uint64_t ok = 0;
		for (int i = 0; i < r; i++)
			ok += iov[i].iov_len / (unsigned)len;
		seq[fl] += ok;
		sent += ok;
		if (++fl == flows)
			fl = 0;
	}
	double el = (double)(now_ns() - t0) / 1e9;
	printf("sent=%llu len=%d secs=%.3f pps=%.0f gbps=%.4f errs=%llu "
	       "calls=%llu segs=%d cpu=%.3f\n",
		(unsigned long long)sent, len, el, (double)sent / el,
		(double)sent * len * 8 / el / 1e9, (unsigned long long)errs,
		(unsigned long long)calls, segs, cpu_s() - cpu0);
	return 0;
}

// -------------------------------------------------------------------------------
// sink
struct flow {
	uint64_t n, max, ooo, dup;
	bool any;
	uint64_t *win;
};
static struct flow *flowtab[MAXFLOW];
static struct hist owd;
static uint64_t rx_n, rx_b, rx_bad, rx_first, rx_last;
static int badlen_min = 1 << 30, badlen_max;

static void account(const char *p, size_t n, uint64_t t, int want_len)
{
	struct hdr h;
	if (n < HDR) {
		rx_bad++;
		goto len;
	}
	memcpy(&h, p, sizeof h);
	if (h.magic == WARM)
		return;
	if (h.magic != MAGIC || h.flow >= MAXFLOW ||
		(want_len && (int)n != want_len)) {
		rx_bad++;
	len:
		if ((int)n < badlen_min)
			badlen_min = (int)n;
		if ((int)n > badlen_max)
			badlen_max = (int)n;
		return;
	}
	rx_n++;
	rx_b += n;
	if (!rx_first)
		rx_first = t;
	rx_last = t;
	struct flow *f = flowtab[h.flow];
	if (!f) {
		f = flowtab[h.flow] = calloc(1, sizeof *f);
		f->win = calloc(WINBITS / 64, 8);
	}
	f->n++;
	if (!f->any || h.seq > f->max) {
		uint64_t from = f->any ? f->max + 1 : h.seq;
		if (h.seq - from >= WINBITS)
			memset(f->win, 0, WINBITS / 8);
		else
			for (uint64_t s = from; s <= h.seq; s++)
				f->win[(s / 64) % (WINBITS / 64)] &=
					~(1ull << (s % 64));
		f->max = h.seq;
		f->any = true;
	} else {
		f->ooo++;
		if (f->max - h.seq < WINBITS &&
			(f->win[(h.seq / 64) % (WINBITS / 64)] >> (h.seq % 64) &
				1)) {
			f->dup++;
			f->ooo--;
		}
	}
	f->win[(h.seq / 64) % (WINBITS / 64)] |= 1ull << (h.seq % 64);
	hist_add(&owd, t > h.ns ? t - h.ns : 0);
}

static int cmd_sink(int argc, char **argv)
{
	double secs = 3600, idle = 0;
	int gro = 1, rcv = 64 << 20, want_len = 0, c;
	while ((c = getopt(argc, argv, "t:i:gR:l:")) != -1)
		switch (c) {
		case 't':
			secs = atof(optarg);
			break;
		case 'i':
			idle = atof(optarg);
			break;
		case 'g':
			gro = 0;
			break;
		case 'R':
			rcv = atoi(optarg);
			break;
		case 'l':
			want_len = atoi(optarg);
			break;
		default:
			die("usage");
		}
	if (argc - optind != 2)
		die("usage: sink [opts] HOST PORT");
	int fd = udp_sock(argv[optind], argv[optind + 1], true, NULL, NULL),
	    one = 1;
	big_buf(fd, SO_RCVBUFFORCE, SO_RCVBUF, rcv);
	if (gro)
		setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof one);
	struct timeval tv = { 0, 100000 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	enum { N = 64, SZ = 65536 };
	char *buf = malloc((size_t)N * SZ);
	static struct mmsghdr mm[N];
	static struct iovec iov[N];
	static union {
		char b[128];
		struct cmsghdr a;
	} ctl[N];
	uint64_t t0 = now_ns(), calls = 0, last = 0;
	uint32_t drops = 0;
	double cpu0 = cpu_s();
	while (!stop) {
		for (int i = 0; i < N; i++) {
			iov[i] = (struct iovec){ buf + (size_t)i * SZ, SZ };
			mm[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i],
				.msg_iovlen = 1,
				.msg_control = ctl[i].b,
				.msg_controllen = sizeof ctl[i].b };
		}
		int r = recvmmsg(fd, mm, N, MSG_WAITFORONE, NULL);
		uint64_t t = now_ns();
		if (r > 0) {
			calls++;
			last = t;
			for (int i = 0; i < r; i++) {
				int seg = 0;
				for (struct cmsghdr *k =
						CMSG_FIRSTHDR(&mm[i].msg_hdr);
					k; k = CMSG_NXTHDR(&mm[i].msg_hdr, k)) {
					if (k->cmsg_level == IPPROTO_UDP &&
						k->cmsg_type == UDP_GRO)
						memcpy(&seg, CMSG_DATA(k),
							sizeof seg);
					if (k->cmsg_level == SOL_SOCKET &&
						k->cmsg_type == SO_RXQ_OVFL)
						memcpy(&drops, CMSG_DATA(k),
							sizeof drops);
				}
				size_t n = mm[i].msg_len, off = 0;
				if (seg <= 0)
					seg = (int)n;
				if (n == 0)
					account(buf, 0, t, want_len);
				for (; off < n; off += (size_t)seg)
					account(iov[i].iov_base + off,
						n - off < (size_t)seg
							? n - off
							: (size_t)seg,
						t, want_len);
			}
		}
		if ((double)(t - t0) / 1e9 > secs)
			break;
		if (idle > 0 && last && (double)(t - last) / 1e9 > idle)
			break;
	}
	uint64_t ooo = 0, dup = 0, lost = 0;
	int nf = 0;
	for (int i = 0; i < MAXFLOW; i++)
		if (flowtab[i]) {
			struct flow *f = flowtab[i];
			nf++;
			ooo += f->ooo;
			dup += f->dup;
			if (f->max + 1 > f->n - f->dup)
				lost += f->max + 1 - (f->n - f->dup);
		}
	double el = (double)(rx_last - rx_first) / 1e9;
	if (el <= 0)
		el = 1e-9;
	printf("recv=%llu bytes=%llu secs=%.3f pps=%.0f gbps=%.4f flows=%d "
	       "gaps=%llu ooo=%llu dup=%llu bad=%llu badlen=%d..%d "
	       "rxq_drops=%u calls=%llu owd_p50=%.1f owd_p99=%.1f "
	       "owd_p999=%.1f owd_max=%.1f cpu=%.3f\n",
		(unsigned long long)rx_n, (unsigned long long)rx_b, el,
		(double)rx_n / el, (double)rx_b * 8 / el / 1e9, nf,
		(unsigned long long)lost, (unsigned long long)ooo,
		(unsigned long long)dup, (unsigned long long)rx_bad,
		rx_bad ? badlen_min : 0, badlen_max, drops,
		(unsigned long long)calls, hist_q(&owd, .5), hist_q(&owd, .99),
		hist_q(&owd, .999), (double)owd.max / 1e3, cpu_s() - cpu0);
	return 0;
}

// -------------------------------------------------------------------------------
// echo
static int cmd_echo(int argc, char **argv)
{
	double secs = 3600;
	int c;
	while ((c = getopt(argc, argv, "t:")) != -1) {
		if (c == 't')
			secs = atof(optarg);
		else
			die("usage");
	}
	if (argc - optind != 2)
		die("usage: echo HOST PORT");
	int fd = udp_sock(argv[optind], argv[optind + 1], true, NULL, NULL);
	big_buf(fd, SO_RCVBUFFORCE, SO_RCVBUF, 8 << 20);
	struct timeval tv = { 0, 100000 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	static char b[65536];
	uint64_t t0 = now_ns(), n = 0;
	while (!stop && (double)(now_ns() - t0) / 1e9 < secs) {
		struct sockaddr_storage ss;
		socklen_t sl = sizeof ss;
		ssize_t r = recvfrom(
			fd, b, sizeof b, 0, (struct sockaddr *)&ss, &sl);
		if (r < 0)
			continue;
		sendto(fd, b, (size_t)r, 0, (struct sockaddr *)&ss, sl);
		n++;
	}
	printf("echoed=%llu\n", (unsigned long long)n);
	return 0;
}

// -------------------------------------------------------------------------------
// ping
struct pinger {
	int fd;
	uint64_t got, foreign;
	struct hist h;
	volatile bool done;
};

static void *ping_rx(void *a)
{
	struct pinger *p = a;
	static char b[65536];
	while (!p->done) {
		ssize_t r = recv(p->fd, b, sizeof b, 0);
		uint64_t t = now_ns();
		if (r < (ssize_t)HDR)
			continue;
		struct hdr h;
		memcpy(&h, b, sizeof h);
		if (h.magic != MAGIC || h.flow != (uint32_t)getpid()) {
			p->foreign++;
			continue;
		}
		p->got++;
		hist_add(&p->h, t - h.ns);
	}
	return NULL;
}

static int cmd_ping(int argc, char **argv)
{
	int len = 64, c;
	double rate = 1000, secs = 5;
	while ((c = getopt(argc, argv, "l:r:t:")) != -1)
		switch (c) {
		case 'l':
			len = atoi(optarg);
			break;
		case 'r':
			rate = atof(optarg);
			break;
		case 't':
			secs = atof(optarg);
			break;
		default:
			die("usage");
		}
	if (argc - optind != 2 || len < HDR || len > MAXDG || rate <= 0)
		die("usage: ping [opts] HOST PORT");
	static struct pinger p;
	p.fd = udp_sock(argv[optind], argv[optind + 1], false, NULL, NULL);
	struct timeval tv = { 0, 50000 };
	setsockopt(p.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	prctl(PR_SET_TIMERSLACK, 1UL);
	pthread_t th;
	pthread_create(&th, NULL, ping_rx, &p);
	static char b[65536];
	uint64_t t0 = now_ns(), n = 0, total = (uint64_t)(rate * secs),
		 errs = 0;
	for (; n < total && !stop; n++) {
		uint64_t at = t0 + (uint64_t)((double)n / rate * 1e9);
		struct timespec ts = { (time_t)(at / 1000000000u),
			(long)(at % 1000000000u) };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		struct hdr h = { MAGIC, (uint32_t)getpid(), n, now_ns() };
		memcpy(b, &h, sizeof h);
		if (send(p.fd, b, (size_t)len, 0) < 0)
			errs++;
	}
	usleep(300000);
	p.done = true;
	pthread_join(th, NULL);
	printf("pings=%llu got=%llu errs=%llu foreign=%llu rtt_p50=%.1f "
	       "rtt_p90=%.1f rtt_p99=%.1f rtt_p999=%.1f rtt_max=%.1f\n",
		(unsigned long long)n, (unsigned long long)p.got,
		(unsigned long long)errs, (unsigned long long)p.foreign,
		hist_q(&p.h, .5), hist_q(&p.h, .9), hist_q(&p.h, .99),
		hist_q(&p.h, .999), (double)p.h.max / 1e3);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_sig };
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	if (argc < 2)
		die("usage: udpblast send|sink|echo|ping ...");
	const char *m = argv[1];
	argc--, argv++;
	if (!strcmp(m, "send"))
		return cmd_send(argc, argv);
	if (!strcmp(m, "sink"))
		return cmd_sink(argc, argv);
	if (!strcmp(m, "echo"))
		return cmd_echo(argc, argv);
	if (!strcmp(m, "ping"))
		return cmd_ping(argc, argv);
	die("unknown mode %s", m);
}
