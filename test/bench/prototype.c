/* SPDX-License-Identifier: MIT */
/*
 * prototype.c - the yardstick: a relay of UDP over plain TCP, without keys
 *
 *   prototype c UDP_HOST UDP_PORT TCP_HOST TCP_PORT    local UDP to TCP
 *   prototype s TCP_HOST TCP_PORT UDP_HOST UDP_PORT    TCP to UDP target
 *
 * Length-prefixed frames, one client.  With B=1 GRO=0 GSO=0 in the environment
 * it moves one datagram per system call, as other relays do; without, batches
 * and trains.  AGE=ms and LOWAT=bytes bound its queue; B, GRO, GSO, SEG,
 * RCVBUF, CAP, DRAIN, BUDGET, ND, CC, ZC change one part of the method each.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#define UDP_SEGMENT 103
#define UDP_GRO 104
static int env(const char *n, int d)
{
	char *s = getenv(n);
	return s ? atoi(s) : d;
}
static int mk(const char *h, const char *p, int type, int lis)
{
	struct addrinfo hi = { .ai_socktype = type,
		.ai_flags = lis ? AI_PASSIVE : 0 },
			*ai;
	if (getaddrinfo(h, p, &hi, &ai))
		exit(2);
	int fd = socket(ai->ai_family, type, 0), one = 1;
	if (lis) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, 4);
		if (bind(fd, ai->ai_addr, ai->ai_addrlen)) {
			perror("bind");
			exit(2);
		}
		if (type == SOCK_STREAM)
			listen(fd, 64);
	} else if (connect(fd, ai->ai_addr, ai->ai_addrlen)) {
		perror("connect");
		exit(2);
	}
	freeaddrinfo(ai);
	return fd;
}
enum { STRIDE = 65536 + 4096 + 192, OUTSZ = 16 << 20, INSZ = 512 << 10 };
static int B, GRO, GSO, SEG;
static uint64_t st_aged, st_rx, st_rxcalls, st_wr, st_rd, st_tx, st_txcalls;
static int ZC, AGE;
static size_t CAP;
static int DRAIN, BUDGET;
#include <time.h>
struct fr {
	uint64_t ns;
	uint32_t len;
};
static struct fr fq[1 << 19];
static uint32_t fh, ft;
static size_t fpart;
static uint64_t st_aged;
static uint64_t nowns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// 1: all went out, go on gathering; 0: TCP is full, the rest was copied to out;
// -1: dead
static int flush_iov(int t, struct iovec *v, int *nv, size_t *tot, char *out,
	size_t *o_off, size_t *o_len)
{
	struct msghdr h = { .msg_iov = v, .msg_iovlen = (size_t)*nv };
	ssize_t w = *o_len ? 0 : sendmsg(t, &h, MSG_NOSIGNAL);
	if (w < 0 && errno != EAGAIN)
		return -1;
	if (w < 0)
		w = 0;
	st_wr++;
	if ((size_t)w < *tot) {
		size_t skip = (size_t)w;
		for (int i = 0; i < *nv; i++) {
			if (skip >= v[i].iov_len) {
				skip -= v[i].iov_len;
				continue;
			}
			memcpy(out + *o_off + *o_len,
				(char *)v[i].iov_base + skip,
				v[i].iov_len - skip);
			*o_len += v[i].iov_len - skip;
			skip = 0;
		}
		*nv = 0;
		*tot = 0;
		return 0;
	}
	*nv = 0;
	*tot = 0;
	return 1;
}
static void relay(int u, int t, int learn)
{
	int one = 1, n;
	if (env("ND", 1))
		setsockopt(t, IPPROTO_TCP, TCP_NODELAY, &one, 4);
	if (getenv("CC"))
		setsockopt(t, IPPROTO_TCP, TCP_CONGESTION, getenv("CC"),
			(socklen_t)strlen(getenv("CC")));
	n = env("LOWAT", 131072);
	if (n)
		setsockopt(t, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &n, 4);
	n = env("RCVBUF", 4 << 20);
	if (setsockopt(u, SOL_SOCKET, SO_RCVBUFFORCE, &n, 4))
		setsockopt(u, SOL_SOCKET, SO_RCVBUF, &n, 4);
	n = 4 << 20;
	setsockopt(u, SOL_SOCKET, SO_SNDBUFFORCE, &n, 4);
	if (GRO)
		setsockopt(u, IPPROTO_UDP, UDP_GRO, &one, 4);
	fcntl(t, F_SETFL, O_NONBLOCK);
	fcntl(u, F_SETFL, O_NONBLOCK);
	char *ub = malloc((size_t)B * STRIDE), *out = malloc(OUTSZ + 65536 * 2),
	     *in = malloc(INSZ + 65536);
	size_t o_off = 0, o_len = 0, i_len = 0;
	struct mmsghdr mm[256];
	struct iovec iov[256];
	static char ctl[256][64];
	struct sockaddr_storage peer;
	socklen_t plen = 0;
	struct mmsghdr tm[256];
	static struct iovec tv[1024 * 4];
	static char tc[256][CMSG_SPACE(2)];
	for (;;) {
		// TCP blocked: leave the UDP socket to its kernel buffer and
		// drain it only every DRAIN ms
		static uint64_t drained;
		uint64_t tnow = AGE && o_len ? nowns() : 0;
		int due = !o_len ||
			  (AGE && tnow - drained >= (uint64_t)DRAIN * 1000000u);
		struct pollfd pf[2] = { { u, due ? POLLIN : 0, 0 },
			{ t, POLLIN | (o_len ? POLLOUT : 0), 0 } };
		if (poll(pf, 2, AGE && o_len && !due ? DRAIN : -1) < 0)
			continue;
		int blocked = AGE && o_len;
		size_t got = 0;
		int nslot = blocked ? 8 : B, more = 0;
		if (blocked && due)
			drained = tnow;
		if (pf[0].revents & (POLLIN | POLLERR))
			do {
				struct sockaddr_storage src;
				more = 0;
				for (int i = 0; i < nslot; i++) {
					iov[i] = (struct iovec){
						ub + (size_t)i * STRIDE, 65535
					};
					mm[i].msg_hdr = (struct msghdr){
						.msg_iov = &iov[i],
						.msg_iovlen = 1,
						.msg_control = GRO ? ctl[i] : 0,
						.msg_controllen = GRO ? 64 : 0,
						.msg_name = learn && i == 0
								    ? &src
								    : 0,
						.msg_namelen =
							learn && i == 0
								? sizeof src
								: 0
					};
				}
				int r = recvmmsg(u, mm, (unsigned)nslot,
					MSG_DONTWAIT, NULL);
				uint64_t nowrx = AGE ? nowns() : 0;
				for (int i = 0; i < r; i++)
					got += mm[i].msg_len;
				more = blocked && r == nslot &&
				       got < (size_t)BUDGET;
				if (AGE && o_off + o_len > OUTSZ / 2) {
					memmove(out, out + o_off, o_len);
					o_off = 0;
				}
				if (r > 0) {
					st_rxcalls++;
					if (learn) {
						peer = src;
						plen = mm[0].msg_hdr
							       .msg_namelen;
					}
					static struct iovec xv[1024];
					static unsigned char xh[512][2];
					int nv = 0;
					size_t xt = 0;
					int zc = ZC && !o_len;
					for (int i = 0; i < r; i++) {
						size_t len = mm[i].msg_len,
						       seg = len, off = 0;
						if (GRO)
							for (struct cmsghdr *k = CMSG_FIRSTHDR(
								     &mm[i].msg_hdr);
								k;
								k = CMSG_NXTHDR(
									&mm[i].msg_hdr,
									k))
								if (k->cmsg_level ==
										IPPROTO_UDP &&
									k->cmsg_type ==
										UDP_GRO) {
									int s;
									memcpy(&s,
										CMSG_DATA(
											k),
										4);
									if (s > 0)
										seg = (size_t)
											s;
								}
						do {
							size_t c =
								len - off < seg
									? len - off
									: seg;
							if (zc) {
								xh[nv / 2][0] =
									(unsigned char)(c >>
											8);
								xh[nv / 2]
								  [1] = (unsigned char)
									  c;
								xv[nv] = (struct
									iovec){
									xh[nv / 2],
									2
								};
								xv[nv + 1] = (struct
									iovec){
									ub + (size_t)i * STRIDE +
										off,
									c
								};
								nv += 2;
								xt += c + 2;
								if (nv >= 1022)
									zc = flush_iov(
										t,
										xv,
										&nv,
										&xt,
										out,
										&o_off,
										&o_len);
								if (zc < 0)
									return;
							} else {
								char *q =
									out +
									o_off +
									o_len;
								q[0] = (char)(c >>
									      8);
								q[1] = (char)c;
								memcpy(q + 2,
									ub + (size_t)i * STRIDE +
										off,
									c);
								o_len += c + 2;
								if (AGE) {
									fq[ft++ &
										0x7ffff] = (struct
										fr){
										nowrx,
										(uint32_t)c +
											2
									};
								}
								if (o_off + o_len >
									OUTSZ) {
									write(2,
										"over\n",
										5);
									exit(3);
								}
							}
							off += c;
							st_rx++;
						} while (off < len);
					}
					if (nv &&
						flush_iov(t, xv, &nv, &xt, out,
							&o_off, &o_len) < 0)
						return;
				}
			} while (more);
		if (AGE && o_len) {
			uint64_t lim = nowns() - (uint64_t)AGE * 1000000u;
			// bounded by size (CAP) and age (AGE ms); a frame
			// already begun is never dropped
			while (fh != ft && !fpart &&
				(fq[fh & 0x7ffff].ns < lim || o_len > CAP)) {
				o_off += fq[fh & 0x7ffff].len;
				o_len -= fq[fh & 0x7ffff].len;
				fh++;
				st_aged++;
			}
			if (fpart && fh != ft) { // keep the begun frame's rest,
						 // drop stale ones behind it
				size_t keep = fq[fh & 0x7ffff].len - fpart,
				       cut = 0;
				uint32_t j = fh + 1;
				while (j != ft && (fq[j & 0x7ffff].ns < lim ||
							  o_len - cut > CAP)) {
					cut += fq[j & 0x7ffff].len;
					j++;
					st_aged++;
				}
				if (cut) {
					memmove(out + o_off + cut, out + o_off,
						keep);
					o_off += cut;
					o_len -= cut;
					struct fr f = fq[fh & 0x7ffff];
					fh = j - 1;
					fq[fh & 0x7ffff] = f;
				}
			}
		}
		if (o_len) {
			ssize_t w = send(t, out + o_off, o_len, MSG_NOSIGNAL);
			if (w > 0) {
				st_wr++;
				o_off += (size_t)w;
				o_len -= (size_t)w;
				if (!o_len)
					o_off = 0;
				if (AGE) {
					size_t k = (size_t)w + fpart;
					while (fh != ft &&
						k >= fq[fh & 0x7ffff].len) {
						k -= fq[fh & 0x7ffff].len;
						fh++;
					}
					fpart = k;
				}
			} else if (w < 0 && errno != EAGAIN)
				return;
		}
		if (pf[1].revents & (POLLIN | POLLHUP | POLLERR)) {
			ssize_t r = recv(t, in + i_len, INSZ - i_len, 0);
			if (r == 0 || (r < 0 && errno != EAGAIN))
				return;
			if (r > 0) {
				st_rd++;
				i_len += (size_t)r;
				size_t p = 0;
				while (i_len - p >= 2) {
					// build up to 256 messages of up to SEG
					// equal-size segments
					int m = 0, v = 0;
					size_t p0 = p;
					while (m < 64 && i_len - p >= 2) {
						size_t len =
							(size_t)(uint8_t)in[p]
								<< 8 |
							(uint8_t)in[p + 1];
						if (i_len - p < len + 2)
							break;
						int v0 = v, k = 0;
						size_t tot = 0, c = len;
						do {
							tv[v++] = (struct
								iovec){
								in + p + 2, c
							};
							tot += c;
							k++;
							p += c + 2;
							if (!GSO || k >= SEG ||
								c < len ||
								len == 0 ||
								v >= 4000)
								break;
							if (i_len - p < 2)
								break;
							c = (size_t)(uint8_t)in
									    [p]
								    << 8 |
							    (uint8_t)in[p + 1];
							if (c > len || c == 0 ||
								i_len - p <
									c + 2 ||
								tot + c >
									65507 ||
								len > 1472)
								break;
						} while (1);
						tm[m].msg_hdr = (struct msghdr){
							.msg_iov = &tv[v0],
							.msg_iovlen =
								(size_t)(v -
									 v0),
							.msg_name =
								learn ? &peer
								      : 0,
							.msg_namelen =
								learn ? plen : 0
						};
						if (k > 1) {
							tm[m].msg_hdr
								.msg_control =
								tc[m];
							tm[m].msg_hdr
								.msg_controllen =
								CMSG_SPACE(2);
							struct cmsghdr *cm =
								(void *)tc[m];
							cm->cmsg_level =
								IPPROTO_UDP;
							cm->cmsg_type =
								UDP_SEGMENT;
							cm->cmsg_len =
								CMSG_LEN(2);
							uint16_t g =
								(uint16_t)len;
							memcpy(CMSG_DATA(cm),
								&g, 2);
						}
						st_tx += (unsigned)k;
						m++;
						if (v > 3000)
							break;
					}
					if (p == p0)
						break;
					for (int done = 0;
						done < m && (!learn || plen);) {
						int s = sendmmsg(u, tm + done,
							(unsigned)(m - done > (GSO ? 64
										   : B)
									   ? B
									   : m - done),
							0);
						st_txcalls++;
						if (s > 0)
							done += s;
						else if (errno == EAGAIN) {
							struct pollfd w = { u,
								POLLOUT, 0 };
							poll(&w, 1, 100);
						} else
							done++; // ECONNREFUSED
								// etc.: drop
								// that one
					}
				}
				memmove(in, in + p, i_len - p);
				i_len -= p;
			}
		}
	}
}
static void stats(int s)
{
	(void)s;
	fprintf(stderr,
		"aged=%lu rx=%lu rxcalls=%lu wr=%lu rd=%lu tx=%lu "
		"txcalls=%lu\n",
		st_aged, st_rx, st_rxcalls, st_wr, st_rd, st_tx, st_txcalls);
	_exit(0);
}
int main(int c, char **v)
{
	if (c != 6)
		return 2;
	B = env("B", 64);
	GRO = env("GRO", 1);
	GSO = env("GSO", 1);
	SEG = env("SEG", 64);
	ZC = env("ZC", 0);
	AGE = env("AGE", 0);
	CAP = (size_t)env("CAP", 6 << 20);
	DRAIN = env("DRAIN", 4);
	BUDGET = env("BUDGET", 512 << 10);
	if (AGE)
		ZC = 0;
	signal(SIGCHLD, SIG_IGN);
	signal(SIGTERM, stats);
	if (v[1][0] == 'c') {
		int u = mk(v[2], v[3], SOCK_DGRAM, 1);
		for (;;) {
			int t = mk(v[4], v[5], SOCK_STREAM, 0);
			relay(u, t, 1);
			close(t);
			usleep(100000);
		}
	}
	int l = mk(v[2], v[3], SOCK_STREAM, 1);
	for (;;) {
		int t = accept(l, 0, 0);
		if (t < 0)
			continue;
		if (!fork()) {
			close(l);
			relay(mk(v[4], v[5], SOCK_DGRAM, 0), t, 0);
			stats(0);
		}
		close(t);
	}
}
