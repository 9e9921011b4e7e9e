/* SPDX-License-Identifier: MIT */
/* udp_io.h - datagrams in and out of sockets, in batches and trains */
#ifndef CV_UDP_IO_H
#define CV_UDP_IO_H

#include "loop/loop.h"

#include <sys/socket.h>

enum {
	CV_UDP_SLOTS = 64,              /* datagrams or trains of one read */
	CV_UDP_DRAIN = 8,               /* of one read behind a blocked link */
	CV_UDP_DRAIN_BYTES = 512 << 10, /* of all reads behind it, per ... */
	CV_UDP_OVERHEAD = 64,    /* what a datagram counts beside its bytes */
	CV_UDP_DRAIN_MS = 4,     /* ... this time */
	CV_UDP_SEGMENTS = 64,    /* of one GSO send: the kernel's limit */
	CV_UDP_BATCH = 64,       /* messages waiting to be sent */
	CV_UDP_BUFFER = 4 << 20, /* socket buffers asked for */
};

/**
 * struct cv_udp_sock - a socket that is read in batches
 * @input:	take messages 0..@n-1 of this read, which are gone afterwards;
 *if all of them are behind something blocked returns the end of one's flow, so
 *that reading may slow down, else NULL
 */
struct cv_udp_sock {
	ev_io io; /* its fd: -1 for none */
	struct cv_udp_io *udp;
	struct cv_list all, paused;
	uint32_t overrun; /* what the kernel dropped here, as it counts */
	struct cv_waiter waiter;
	struct cv_end *(*input)(struct cv_udp_sock *, unsigned n);
};

/** struct cv_udp_msg - what one slot of a read holds */
struct cv_udp_msg {
	struct cv_frame train; /* data, len, seg */
	struct sockaddr_storage *from;
	struct cv_addr to; /* family NONE unless the socket tells */
	uint32_t ifindex;  /* 0: likewise */
};

struct cv_udp_io;

/** cv_udp_io_new() - slots and batch for one loop; NULL: out of memory */
struct cv_udp_io *cv_udp_io_new(struct cv_loop *);
void cv_udp_io_free(struct cv_udp_io *);

/** cv_udp_io_drain() - take in what every socket holds already */
void cv_udp_io_drain(struct cv_udp_io *);

/** cv_udp_io_loop() - the loop it was made for */
struct cv_loop *cv_udp_io_loop(struct cv_udp_io *);

/** cv_udp_gather() - a socket is to be read in trains, and to count losses */
void cv_udp_gather(int fd);

/** cv_udp_socket() - bound, with large buffers, GRO and PKTINFO as needed
 * @bind:	local address; family NONE for none
 * @peer:	to connect to, or NULL
 * Return: descriptor, or -1 and errno
 */
int cv_udp_socket(const struct cv_addr *bind, const struct cv_addr *peer);

/** cv_udp_local() - a local port that reads from anybody
 * Return: descriptor, or -1 and errno
 */
int cv_udp_local(struct cv_loop *, const struct cv_addr *at);

/** cv_udp_start() - read from @fd, which then belongs to @s */
void cv_udp_start(struct cv_udp_sock *s, struct cv_udp_io *, int fd,
	struct cv_end *(*input)(struct cv_udp_sock *, unsigned n));

/** cv_udp_stop() - write what waits for the socket, and close it */
void cv_udp_stop(struct cv_udp_sock *);

/** cv_udp_msg() - message @i of the last read, until the next one */
void cv_udp_msg(struct cv_udp_sock *, unsigned i, struct cv_udp_msg *);

/**
 * cv_udp_send() - Put a train into the batch; its bytes stay valid
 * @to:		destination, or NULL on a connected socket
 * @from:	local address to send from, or NULL; its scope, if not 0, is the
 *		interface that it leaves by
 */
void cv_udp_send(struct cv_udp_io *, int fd, const struct cv_addr *to,
	const struct cv_addr *from, const struct cv_frame *train);

/** cv_udp_flush() - Write the batch */
void cv_udp_flush(struct cv_udp_io *);

/** cv_udp_watch() - as cv_udp_start(), for who reads with cv_udp_read() as soon
 * as @readable is called; what is left is not read at a stop */
void cv_udp_watch(struct cv_udp_sock *, struct cv_udp_io *, int fd,
	void (*readable)(struct ev_loop *, ev_io *, int events));

/** cv_udp_read() - up to @slots messages for cv_udp_msg(); 0: none */
unsigned cv_udp_read(struct cv_udp_sock *, unsigned slots);

/**
 * cv_udp_write() - Write of @train what one call takes, past the batch
 * @to, @from:	as in cv_udp_send()
 * @train:	what was written is taken off its front
 *
 * Return: 0, or an errno with nothing written
 */
int cv_udp_write(int fd, const struct cv_addr *to, const struct cv_addr *from,
	struct cv_frame *train);

/** cv_udp_write_each() - the same, where the kernel does not cut trains */
int cv_udp_write_each(int fd, const struct cv_addr *to,
	const struct cv_addr *from, struct cv_frame *train);

#endif
