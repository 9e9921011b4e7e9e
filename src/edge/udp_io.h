/* SPDX-License-Identifier: MIT */
/* udp_io.h - datagrams in and out of sockets, in batches and trains */
#ifndef CV_UDP_IO_H
#define CV_UDP_IO_H

#include "loop/loop.h"

#include <sys/socket.h>

enum {
	CV_UDP_SLOTS = 64,    /* datagrams or trains of one read */
	CV_UDP_DRAIN = 8,     /* of one read behind a blocked link */
	CV_UDP_SEGMENTS = 64, /* of one GSO send: the kernel's limit */
	CV_UDP_BATCH = 64,    /* messages waiting to be sent */
	CV_UDP_BUFFER = 4 << 20, /* socket buffers asked for */
};

/** struct cv_udp_msg - what one slot of a read holds */
struct cv_udp_msg {
	struct cv_frame train; /* data, len, seg */
	struct sockaddr_storage *from;
	struct cv_addr to; /* family NONE unless the socket tells */
};

struct cv_udp_io;

struct cv_udp_io *cv_udp_io_new(struct cv_loop *);
void cv_udp_io_free(struct cv_udp_io *);

/** cv_udp_socket() - bound, with large buffers, GRO and PKTINFO as needed
 * @bind:	local address; family NONE for none
 * @peer:	to connect to, or NULL
 * Return: descriptor, or -1 and errno
 */
int cv_udp_socket(const struct cv_addr *bind, const struct cv_addr *peer);

/** cv_udp_read() - up to @slots messages; 0: none, -1 and errno */
int cv_udp_read(struct cv_udp_io *, int fd, unsigned slots);

/** cv_udp_msg() - message @i of the last read, until the next one */
void cv_udp_msg(struct cv_udp_io *, unsigned i, struct cv_udp_msg *);

/**
 * cv_udp_send() - Put a train into the batch; its bytes stay valid
 * @to:		destination, or NULL on a connected socket
 * @from:	local address to send from, or NULL
 */
void cv_udp_send(struct cv_udp_io *, int fd, const struct cv_addr *to,
	const struct cv_addr *from, const struct cv_frame *train);

/** cv_udp_flush() - Write the batch */
void cv_udp_flush(struct cv_udp_io *);

#endif
