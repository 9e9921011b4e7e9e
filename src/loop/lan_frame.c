/* SPDX-License-Identifier: MIT */
#include "loop/lan_frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum {
	IP = 20, /* bytes of its header, without options */
	UDP = 8,
	BATCH = 32,
	TTL = 255, /* came from this link, if it arrives with it */
};

/* UDP, no fragment, to a group or everybody, to our port */
static int listen_for(int fd, uint16_t port)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 8),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0xe0000000, 0, 6),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x3fff, 4, 0),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { sizeof code / sizeof *code, code };
	int one = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof prog))
		return -1;
	/* whatever becomes of this process */
	return setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof one);
}

int cv_lan_frame_socket(uint16_t port)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP) };
	int one = 1;
	/* protocol 0: it hears nothing before the filter is there */
	int fd =
		socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
	if (!listen_for(fd, port) &&
		!bind(fd, (struct sockaddr *)&at, sizeof at))
		return fd;
	int e = errno;
	close(fd);
	errno = e;
	return -1;
}

bool cv_lan_frame_parse(
	uint8_t *p, size_t len, struct cv_frame *f, struct cv_addr *from)
{
	size_t head = len ? (size_t)(p[0] & 15) * 4 : 0;
	if (len < IP + UDP || p[0] >> 4 != 4 || head < IP || len < head + UDP)
		return false;
	size_t size = cv_get16(p + head + 4);
	if (size < UDP || size > len - head)
		return false;
	*from = (struct cv_addr){ .family = CV_AF_INET,
		.port = cv_get16(p + head) };
	memcpy(from->ip, p + 12, 4);
	f->data = p + head + UDP;
	f->len = f->seg = (uint32_t)(size - UDP);
	return true;
}

bool cv_lan_frame_station(
	const struct sockaddr_storage *ss, struct cv_lan_station *s)
{
	const struct sockaddr_ll *ll = (const void *)ss;
	if (ll->sll_pkttype == PACKET_OUTGOING ||
		ll->sll_pkttype == PACKET_OTHERHOST ||
		ll->sll_halen != sizeof s->mac)
		return false;
	s->ifindex = (uint32_t)ll->sll_ifindex;
	memcpy(s->mac, ll->sll_addr, sizeof s->mac);
	return true;
}

static uint16_t checksum(const uint8_t *p)
{
	uint32_t sum = 0;
	for (int i = 0; i < IP; i += 2)
		sum += cv_get16(p + i);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

/* from 0.0.0.0 to 255.255.255.255; a UDP checksum of 0 is none (RFC 768) */
static void header(uint8_t h[IP + UDP], uint16_t from, uint16_t to, size_t len)
{
	memset(h, 0, IP + UDP);
	h[0] = 0x45;
	cv_put16(h + 2, (uint16_t)(IP + UDP + len));
	cv_put16(h + 6, 0x4000); /* don't fragment */
	h[8] = TTL;
	h[9] = IPPROTO_UDP;
	memset(h + 16, 0xff, 4);
	cv_put16(h + 10, checksum(h));
	cv_put16(h + IP, from);
	cv_put16(h + IP + 2, to);
	cv_put16(h + IP + 4, (uint16_t)(UDP + len));
}

int cv_lan_frame_send(int fd, const struct cv_lan_station *s, uint16_t from,
	uint16_t to, struct cv_frame *train)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = (int)s->ifindex,
		.sll_halen = sizeof s->mac };
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH][2];
	uint8_t head[BATCH][IP + UDP];
	uint32_t off = 0;
	int n = 0;
	memcpy(at.sll_addr, s->mac, sizeof s->mac);
	for (; n < BATCH && off < train->len; n++) {
		uint32_t left = train->len - off;
		uint32_t len = left < train->seg ? left : train->seg;
		header(head[n], from, to, len);
		iov[n][0] = (struct iovec){ head[n], IP + UDP };
		iov[n][1] = (struct iovec){ train->data + off, len };
		m[n] = (struct mmsghdr){ .msg_hdr = { .msg_name = &at,
						 .msg_namelen = sizeof at,
						 .msg_iov = iov[n],
						 .msg_iovlen = 2 } };
		off += len;
	}
	int r = n ? sendmmsg(fd, m, (unsigned)n, MSG_NOSIGNAL) : 0;
	if (r < 0)
		return errno;
	for (int i = 0; i < r; i++) {
		train->data += iov[i][1].iov_len;
		train->len -= (uint32_t)iov[i][1].iov_len;
	}
	return 0;
}
