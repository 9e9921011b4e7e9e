/* SPDX-License-Identifier: MIT */
/**
 * udp_io.c - recvmmsg() with UDP_GRO, sendmmsg() with UDP_SEGMENT
 *
 * DOC: One set of receive slots and one send batch serve all sockets of a
 * loop.  A slot takes a whole train; slots are an odd number of cache lines
 * apart, or they would all fall into the same sets of the cache.  Sending
 * points into the buffer the bytes were decrypted in: nothing is copied.
 */
#include "loop/udp_io.h"

#include "loop/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
	SLOT = 65536 + 4096 + 192,
	CONTROL = 128,
};

struct out {
	int fd;
	uint32_t seg; /* 0: a single datagram */
	struct iovec iov;
	struct sockaddr_storage to;
	_Alignas(struct cmsghdr) char control[CONTROL];
};

struct cv_udp_io {
	struct cv_loop *loop;
	uint8_t *area;
	struct mmsghdr in[CV_UDP_SLOTS];
	struct iovec in_iov[CV_UDP_SLOTS];
	struct sockaddr_storage from[CV_UDP_SLOTS];
	_Alignas(struct cmsghdr) char control[CV_UDP_SLOTS][CONTROL];
	unsigned used; /* slots of the last read */
	struct mmsghdr msg[CV_UDP_BATCH];
	struct out out[CV_UDP_BATCH];
	unsigned outs;
	struct cv_list all;
	struct cv_list paused; /* sockets behind a blocked link */
	ev_timer drain;
};

static void on_drain(struct ev_loop *, ev_timer *, int events);

struct cv_udp_io *cv_udp_io_new(struct cv_loop *l)
{
	struct cv_udp_io *io = calloc(1, sizeof *io);
	if (!io)
		return NULL;
	io->loop = l;
	l->udp = io;
	ev_timer_init(&io->drain, on_drain, CV_UDP_DRAIN_MS / 1e3, 0.);
	io->area = malloc((size_t)CV_UDP_SLOTS * SLOT);
	if (!io->area) {
		cv_udp_io_free(io);
		return NULL;
	}
	io->used = CV_UDP_SLOTS;
	cv_list_init(&io->all);
	cv_list_init(&io->paused);
	io->drain.data = io;
	return io;
}

struct cv_loop *cv_udp_io_loop(struct cv_udp_io *io)
{
	return io->loop;
}

void cv_udp_io_free(struct cv_udp_io *io)
{
	if (!io)
		return;
	ev_timer_stop(io->loop->ev, &io->drain);
	if (io->loop->udp == io)
		io->loop->udp = NULL;
	free(io->area);
	free(io);
}

void cv_udp_gather(int fd)
{
	cv_sock_int(fd, IPPROTO_UDP, UDP_GRO, 1);
	cv_sock_int(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
}

static void tune(int fd, const struct cv_addr *a, bool listens)
{
	cv_sock_buffer(fd, true, CV_UDP_BUFFER);
	cv_sock_buffer(fd, false, CV_UDP_BUFFER);
	cv_udp_gather(fd);
	/* fragments rather than loss: whatever came in whole goes on whole */
	cv_sock_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	if (a->family == CV_AF_INET6)
		cv_sock_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
			IPV6_PMTUDISC_DONT);
	if (!listens || !cv_addr_any(a))
		return;
	cv_sock_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	if (a->family == CV_AF_INET6)
		cv_sock_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

int cv_udp_socket(const struct cv_addr *bind_to, const struct cv_addr *peer)
{
	const struct cv_addr *a = peer ? peer : bind_to;
	struct sockaddr_storage ss;
	int fd = cv_sock_new(a, SOCK_DGRAM);
	if (fd < 0)
		return -1;
	tune(fd, a, !peer);
	if (bind_to->family) {
		/* several targets may be reached from one fixed port */
		if (peer && bind_to->port)
			cv_sock_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		socklen_t len = cv_sock_addr(bind_to, &ss);
		if (bind(fd, (struct sockaddr *)&ss, len))
			goto fail;
	}
	if (peer) {
		socklen_t len = cv_sock_addr(peer, &ss);
		if (connect(fd, (struct sockaddr *)&ss, len))
			goto fail;
		/* before it was connected, strangers could send to it */
		while (recv(fd, &ss, 1, MSG_DONTWAIT | MSG_TRUNC) >= 0)
			;
	}
	return fd;
fail:;
	int e = errno;
	close(fd);
	errno = e;
	return -1;
}

int cv_udp_local(struct cv_loop *l, const struct cv_addr *at)
{
	int fd = cv_sock_inherited(l, at, SOCK_DGRAM);
	if (fd < 0)
		return cv_udp_socket(at, NULL);
	tune(fd, at, true);
	return fd;
}

static void clean_slot(struct cv_udp_io *io, unsigned i)
{
	io->in_iov[i] =
		(struct iovec){ io->area + (size_t)i * SLOT, SLOT - 64 };
	io->in[i].msg_hdr = (struct msghdr){
		.msg_name = &io->from[i],
		.msg_namelen = sizeof io->from[i],
		.msg_iov = &io->in_iov[i],
		.msg_iovlen = 1,
		.msg_control = io->control[i],
		.msg_controllen = CONTROL,
	};
}

/* up to @slots messages into the slots; 0: none, -1 and errno */
static int read_batch(struct cv_udp_io *io, int fd, unsigned slots)
{
	/* the kernel wrote into those it filled, and only into those */
	while (io->used)
		clean_slot(io, --io->used);
	int n = recvmmsg(fd, io->in, slots, MSG_DONTWAIT, NULL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n > 0)
		io->used = (unsigned)n;
	return n;
}

static void count_overrun(struct cv_udp_sock *s, const void *data)
{
	uint32_t total;
	memcpy(&total, data, sizeof total);
	s->udp->loop->node.stats.drop[CV_DROP_OVERRUN] += total - s->overrun;
	s->overrun = total;
}

static void read_control(
	struct cv_udp_sock *s, struct msghdr *h, struct cv_udp_msg *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			int seg;
			memcpy(&seg, CMSG_DATA(c), sizeof seg);
			if (seg > 0)
				m->train.seg = (uint32_t)seg;
		} else if (c->cmsg_level == SOL_SOCKET &&
			   c->cmsg_type == SO_RXQ_OVFL) {
			count_overrun(s, CMSG_DATA(c));
		} else if (c->cmsg_level == IPPROTO_IP &&
			   c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof info);
			m->to.family = CV_AF_INET;
			memcpy(m->to.ip, &info.ipi_addr, 4);
			m->ifindex = (uint32_t)info.ipi_ifindex;
		} else if (c->cmsg_level == IPPROTO_IPV6 &&
			   c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof info);
			m->to.family = CV_AF_INET6;
			memcpy(m->to.ip, &info.ipi6_addr, 16);
			m->ifindex = (uint32_t)info.ipi6_ifindex;
			if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
				m->to.scope = (uint32_t)info.ipi6_ifindex;
			cv_addr_unmap(&m->to);
		}
	}
}

void cv_udp_msg(struct cv_udp_sock *s, unsigned i, struct cv_udp_msg *m)
{
	struct cv_udp_io *io = s->udp;
	struct mmsghdr *h = &io->in[i];
	m->train.type = CV_FRAME_DGRAM;
	m->train.data = io->in_iov[i].iov_base;
	m->train.len = m->train.seg = h->msg_len;
	m->from = &io->from[i];
	m->to = (struct cv_addr){ 0 };
	m->ifindex = 0;
	if (h->msg_hdr.msg_controllen)
		read_control(s, &h->msg_hdr, m);
	if (m->train.seg > m->train.len)
		m->train.seg = m->train.len;
}

static void *add_control(struct msghdr *h, int level, int type, size_t size)
{
	struct cmsghdr *c =
		(struct cmsghdr *)((char *)h->msg_control + h->msg_controllen);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(size);
	h->msg_controllen += CMSG_SPACE(size);
	return CMSG_DATA(c);
}

static void add_source(struct msghdr *h, const struct cv_addr *from)
{
	if (from->family == CV_AF_INET) {
		struct in_pktinfo info = { 0 };
		memcpy(&info.ipi_spec_dst, from->ip, 4);
		info.ipi_ifindex = (int)from->scope;
		memcpy(add_control(h, IPPROTO_IP, IP_PKTINFO, sizeof info),
			&info, sizeof info);
	} else {
		struct in6_pktinfo info = { 0 };
		memcpy(&info.ipi6_addr, from->ip, 16);
		info.ipi6_ifindex = from->scope;
		memcpy(add_control(h, IPPROTO_IPV6, IPV6_PKTINFO, sizeof info),
			&info, sizeof info);
	}
}

/* everything but the bytes */
static void address(struct out *o, struct msghdr *h, const struct cv_addr *to,
	const struct cv_addr *from)
{
	*h = (struct msghdr){
		.msg_iov = &o->iov, .msg_iovlen = 1, .msg_control = o->control
	};
	if (to) {
		h->msg_name = &o->to;
		h->msg_namelen = cv_sock_addr(to, &o->to);
	}
	if (from)
		add_source(h, from);
	if (o->seg) {
		uint16_t seg = (uint16_t)o->seg;
		memcpy(add_control(h, IPPROTO_UDP, UDP_SEGMENT, sizeof seg),
			&seg, sizeof seg);
	}
	if (!h->msg_controllen)
		h->msg_control = NULL;
}

static void add(struct cv_udp_io *io, int fd, const struct cv_addr *to,
	const struct cv_addr *from, const struct cv_frame *f)
{
	if (io->outs == CV_UDP_BATCH)
		cv_udp_flush(io);
	struct out *o = &io->out[io->outs];
	struct msghdr *h = &io->msg[io->outs++].msg_hdr;
	o->fd = fd;
	o->seg = f->len > f->seg ? f->seg : 0;
	o->iov = (struct iovec){ f->data, f->len };
	address(o, h, to, from);
}

/* bytes of a train that the kernel takes with one call */
static uint32_t at_once(uint32_t seg)
{
	uint32_t most = CV_DGRAM_MAX;
	if (seg)
		most = most / seg * seg;
	return seg && most > seg * CV_UDP_SEGMENTS ? seg * CV_UDP_SEGMENTS
						   : most;
}

void cv_udp_send(struct cv_udp_io *io, int fd, const struct cv_addr *to,
	const struct cv_addr *from, const struct cv_frame *train)
{
	struct cv_frame f = *train;
	uint32_t left = f.len, most = at_once(f.seg);
	do {
		f.len = left < most ? left : most;
		add(io, fd, to, from, &f);
		f.data += f.len;
		left -= f.len;
	} while (left);
}

static void take_off(struct cv_frame *train, uint32_t n)
{
	train->data += n;
	train->len -= n;
}

int cv_udp_write(int fd, const struct cv_addr *to, const struct cv_addr *from,
	struct cv_frame *train)
{
	struct out o = { .seg = train->len > train->seg ? train->seg : 0 };
	struct msghdr h;
	uint32_t n = at_once(train->seg);
	if (n > train->len)
		n = train->len;
	o.iov = (struct iovec){ train->data, n };
	address(&o, &h, to, from);
	if (sendmsg(fd, &h, MSG_NOSIGNAL) < 0)
		return errno;
	take_off(train, n);
	return 0;
}

int cv_udp_write_each(int fd, const struct cv_addr *to,
	const struct cv_addr *from, struct cv_frame *train)
{
	struct mmsghdr m[CV_UDP_SEGMENTS];
	struct iovec iov[CV_UDP_SEGMENTS];
	struct out o = { .seg = 0 };
	struct msghdr h;
	struct cv_frame f = *train;
	unsigned n = 0;
	if (!f.len)
		return 0;
	address(&o, &h, to, from);
	for (; f.len && n < CV_UDP_SEGMENTS; n++) {
		uint32_t len = f.len < f.seg ? f.len : f.seg;
		iov[n] = (struct iovec){ f.data, len };
		m[n] = (struct mmsghdr){ .msg_hdr = h };
		m[n].msg_hdr.msg_iov = &iov[n];
		take_off(&f, len);
	}
	int r = sendmmsg(fd, m, n, MSG_NOSIGNAL);
	if (r < 0)
		return errno;
	for (int i = 0; i < r; i++)
		take_off(train, (uint32_t)iov[i].iov_len);
	return 0;
}

static unsigned segments(const struct out *o)
{
	return o->seg ? (unsigned)((o->iov.iov_len + o->seg - 1) / o->seg) : 1;
}

/* the kernel would not cut this train: one datagram at a time */
static void send_singly(struct cv_udp_io *io, unsigned i)
{
	struct out *o = &io->out[i];
	struct msghdr h = io->msg[i].msg_hdr;
	struct iovec iov;
	size_t len = o->iov.iov_len;
	h.msg_iov = &iov;
	h.msg_controllen -= CMSG_SPACE(sizeof(uint16_t));
	if (!h.msg_controllen)
		h.msg_control = NULL;
	for (size_t off = 0; off < len; off += o->seg) {
		iov.iov_base = (char *)o->iov.iov_base + off;
		iov.iov_len = len - off < o->seg ? len - off : o->seg;
		if (sendmsg(o->fd, &h, 0) < 0)
			io->loop->node.stats
				.drop[errno == EMSGSIZE ? CV_DROP_TOO_BIG
							: CV_DROP_SOCKET]++;
	}
}

static enum cv_drop drop_of(int error)
{
	switch (error) {
	case EAGAIN:
	case ENOBUFS:
		return CV_DROP_SOCKET_FULL;
	case EMSGSIZE:
		return CV_DROP_TOO_BIG;
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return CV_DROP_UNREACHABLE;
	default:
		return CV_DROP_SOCKET;
	}
}

/*
 * Message @i was refused.  An error that an ICMP message left on a connected
 * socket belongs to an earlier datagram: returns true to try this one again.
 */
static bool refused(struct cv_udp_io *io, unsigned i, bool again, int error)
{
	uint64_t *drop = io->loop->node.stats.drop;
	struct out *o = &io->out[i];
	if (!again && drop_of(error) == CV_DROP_UNREACHABLE &&
		!io->msg[i].msg_hdr.msg_name) {
		drop[CV_DROP_UNREACHABLE]++;
		return true;
	}
	if (o->seg && (error == EINVAL || error == EMSGSIZE || error == EIO))
		send_singly(io, i);
	else
		drop[drop_of(error)] += segments(o);
	return false;
}

void cv_udp_flush(struct cv_udp_io *io)
{
	bool again = false;
	for (unsigned i = 0; i < io->outs;) {
		unsigned n = 1;
		while (i + n < io->outs && io->out[i + n].fd == io->out[i].fd)
			n++;
		int r = sendmmsg(io->out[i].fd, &io->msg[i], n, 0);
		if (r > 0) {
			i += (unsigned)r;
			again = false;
			continue;
		}
		if (errno == EINTR)
			continue;
		again = refused(io, i, again, errno);
		if (!again)
			i++;
	}
	io->outs = 0;
}

/*
 * An error that an earlier datagram left on the socket comes before what
 * there is to read: it is counted and the read tried again.
 */
static int read_some(struct cv_udp_sock *s, unsigned slots)
{
	for (int i = 0; i < 4; i++) {
		int n = read_batch(s->udp, s->io.fd, slots);
		if (n >= 0)
			return n;
		s->udp->loop->node.stats.drop[drop_of(errno)]++;
	}
	return 0;
}

unsigned cv_udp_read(struct cv_udp_sock *s, unsigned slots)
{
	int n = read_some(s, slots);
	return n > 0 ? (unsigned)n : 0;
}

static void on_readable(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_udp_sock *s = w->data;
	struct cv_udp_io *io = s->udp;
	(void)events;
	int n = read_some(s, CV_UDP_SLOTS);
	struct cv_end *blocked = n > 0 ? s->input(s, (unsigned)n) : NULL;
	if (!blocked)
		return;
	cv_flow_wait(blocked, &s->waiter);
	/* reading only to drop is a livelock: the kernel drops cheaper */
	ev_io_stop(ev, w);
	cv_list_append(&io->paused, &s->paused);
	if (!ev_is_active(&io->drain)) {
		ev_timer_set(&io->drain, CV_UDP_DRAIN_MS / 1e3, 0.);
		ev_timer_start(ev, &io->drain);
	}
}

static void go_on(struct cv_udp_sock *s)
{
	cv_list_del(&s->waiter.list);
	cv_list_del(&s->paused);
	ev_io_start(s->udp->loop->ev, &s->io);
}

static void resume(struct cv_waiter *w)
{
	go_on(CV_CONTAINER(w, struct cv_udp_sock, waiter));
}

/* a little of a paused socket, so that what is queued stays fresh */
static size_t drain(struct cv_udp_sock *s)
{
	struct cv_udp_io *io = s->udp;
	size_t bytes = 0;
	int n = read_some(s, CV_UDP_DRAIN);
	if (n <= 0) {
		go_on(s);
		return 0;
	}
	for (int i = 0; i < n; i++)
		bytes += io->in[i].msg_len + CV_UDP_OVERHEAD;
	cv_list_append(&io->paused, &s->paused);
	if (!s->input(s, (unsigned)n))
		go_on(s);
	return bytes;
}

static void on_drain(struct ev_loop *ev, ev_timer *w, int events)
{
	struct cv_udp_io *io = w->data;
	size_t bytes = 0;
	(void)events;
	while (bytes < CV_UDP_DRAIN_BYTES && !cv_list_empty(&io->paused))
		bytes += drain(CV_CONTAINER(
			io->paused.next, struct cv_udp_sock, paused));
	if (cv_list_empty(&io->paused))
		return;
	ev_timer_set(w, CV_UDP_DRAIN_MS / 1e3, 0.);
	ev_timer_start(ev, w);
}

void cv_udp_io_drain(struct cv_udp_io *io)
{
	for (struct cv_list *l = io->all.next; l != &io->all; l = l->next) {
		struct cv_udp_sock *s =
			CV_CONTAINER(l, struct cv_udp_sock, all);
		int n = CV_UDP_SLOTS;
		for (size_t left = CV_UDP_BUFFER / SLOT;
			left && n == CV_UDP_SLOTS; left--) {
			n = read_some(s, CV_UDP_SLOTS);
			if (n > 0)
				s->input(s, (unsigned)n);
		}
	}
}

void cv_udp_watch(struct cv_udp_sock *s, struct cv_udp_io *io, int fd,
	void (*readable)(struct ev_loop *, ev_io *, int events))
{
	s->udp = io;
	s->input = NULL;
	s->overrun = 0;
	cv_list_init(&s->all);
	cv_list_init(&s->paused);
	cv_list_init(&s->waiter.list);
	s->waiter.resume = resume;
	ev_io_init(&s->io, readable, fd, EV_READ);
	s->io.data = s;
	ev_io_start(io->loop->ev, &s->io);
}

void cv_udp_start(struct cv_udp_sock *s, struct cv_udp_io *io, int fd,
	struct cv_end *(*input)(struct cv_udp_sock *, unsigned n))
{
	cv_udp_watch(s, io, fd, on_readable);
	s->input = input;
	cv_list_append(&io->all, &s->all);
}

void cv_udp_stop(struct cv_udp_sock *s)
{
	cv_udp_flush(s->udp);
	cv_list_del(&s->all);
	cv_list_del(&s->paused);
	cv_list_del(&s->waiter.list);
	ev_io_stop(s->udp->loop->ev, &s->io);
	close(s->io.fd);
}
