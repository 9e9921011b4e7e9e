/* SPDX-License-Identifier: MIT */
/**
 * lan_frame.h - UDP in whole frames, past the kernel's addresses and routes
 *
 * DOC: The kernel takes a packet to 255.255.255.255 from 0.0.0.0 wherever it
 * comes from and whatever addresses it has itself: no other source passes its
 * check everywhere.  It looks at the packet's destination, not at the frame's,
 * so that one station alone can be written to.
 */
#ifndef CV_LAN_FRAME_H
#define CV_LAN_FRAME_H

#include "core/addr.h"
#include "core/frame.h"

#include <sys/socket.h>

/** struct cv_lan_station - where a frame came from or goes to */
struct cv_lan_station {
	uint32_t ifindex;
	uint8_t mac[6];
};

/** cv_lan_frame_socket() - hears what is sent to @port at a group or at
 * everybody; -1 and errno (EPERM without CAP_NET_RAW) */
int cv_lan_frame_socket(uint16_t port);

/**
 * cv_lan_frame_parse() - a packet that such a socket has read
 * @p:		@len bytes, from its IP header on
 * @f:		the payload, as one datagram
 * @from:	its source, for who can answer there
 *
 * Return: false if it is none
 */
bool cv_lan_frame_parse(
	uint8_t *p, size_t len, struct cv_frame *f, struct cv_addr *from);

/** cv_lan_frame_station() - of a sockaddr that it was read with; false: it is
 * of no use, or one of our own */
bool cv_lan_frame_station(
	const struct sockaddr_storage *, struct cv_lan_station *);

/**
 * cv_lan_frame_send() - write up to 32 datagrams of a train
 * @from, @to:	ports
 * @train:	what was written is taken off its front
 *
 * Return: 0 or an errno
 */
int cv_lan_frame_send(int fd, const struct cv_lan_station *, uint16_t from,
	uint16_t to, struct cv_frame *train);

#endif
