/* SPDX-License-Identifier: MIT */
/* chat.h - datagram flows: each datagram comes unaltered, at most once */
#ifndef SIM_UDP_CHAT_H
#define SIM_UDP_CHAT_H

#include "sim/udp/host.h"

enum { SEQS = 512 }; /* datagrams of one direction */

struct chat {
	struct world *w;
	unsigned no, client;
	char target[16];
	struct cv_end *end[2]; /* the client's, the server's; or NULL */
	struct event send, answer;
	cv_time gap;
	uint32_t size; /* of the largest */
	unsigned next[2];
	uint16_t len[2][SEQS];
	bool came[2][SEQS];
};

void chats_new(struct world *);
void chats_free(struct world *);
void chats_start(struct host *);
void chats_stopped(struct host *);

/** chats_close() - clients leave them */
void chats_close(struct world *);

extern const struct cv_edge_ops chat_ops;

#endif
