/* SPDX-License-Identifier: MIT */
/**
 * iproxy_table.h - the connections of a server of iproxy version 1
 *
 * DOC: A fixed number of places.  A closed connection keeps its own, so that
 * what is repeated can be acknowledged, until it expires or somebody new needs
 * it.
 */
#ifndef CV_IPROXY_TABLE_H
#define CV_IPROXY_TABLE_H

#include "core/iproxy.h"

struct cv_iproxy_entry {
	struct cv_iproxy conn;
	void *owner;    /* the server's, for whoever is behind it */
	bool used;      /* the place is taken */
	bool gone;      /* it is over, and not in good order */
	cv_time closed; /* since then; 0: it is not */
};

struct cv_iproxy_table {
	uint32_t server; /* its id */
	struct cv_iproxy_entry entry[CV_IPROXY_TABLE];
};

/** cv_iproxy_find() - NULL: it is not known */
struct cv_iproxy_entry *cv_iproxy_find(
	struct cv_iproxy_table *, uint32_t client);

/** cv_iproxy_opens() - whether a client begins a connection with that packet */
bool cv_iproxy_opens(const struct cv_iproxy_packet *);

/** cv_iproxy_add() - a place for a new one; NULL: all are in use */
struct cv_iproxy_entry *cv_iproxy_add(
	struct cv_iproxy_table *, uint32_t client, cv_time now);

/** cv_iproxy_close() - it is over, in both directions or, @gone, not in good
 * order: a late packet is not to open it again */
void cv_iproxy_close(struct cv_iproxy_entry *, bool gone, cv_time now);

/** cv_iproxy_sweep() - forget closed ones that have expired */
void cv_iproxy_sweep(struct cv_iproxy_table *, cv_time now);

#endif
