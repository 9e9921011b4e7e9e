/* SPDX-License-Identifier: MIT */
/* net.h - packets on their way */
#ifndef SIM_UDP_NET_H
#define SIM_UDP_NET_H

#include "sim/udp/host.h"

struct packet {
	struct event arrive;
	struct cv_list list; /* in the air */
	struct packet *next; /* read together with it */
	struct host *to;
	unsigned sender;
	struct cv_addr from, dest;
	uint64_t dgrams; /* inside */
	uint32_t len;
	uint8_t bytes[];
};

/** net_send() - from a host to wherever @to is now */
void net_send(struct host *, const struct cv_addr *to, const uint8_t *p,
	uint32_t len);

/** net_dgrams() - whole datagrams in a packet that has just left */
uint64_t net_dgrams(struct host *from, uint8_t *p, uint32_t len);

/** net_lost() - it never arrives */
void net_lost(struct world *, struct packet *);

void net_clear(struct world *);

#endif
