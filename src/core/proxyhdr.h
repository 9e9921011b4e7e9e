/* SPDX-License-Identifier: MIT */
/**
 * proxyhdr.h - who a connection's client is, told in front of its bytes
 *
 * The binary header, version 2, of HAProxy's "The PROXY protocol", section 2.2.
 */
#ifndef CV_PROXYHDR_H
#define CV_PROXYHDR_H

#include "core/addr.h"

enum {
	CV_PROXYHDR_HEAD = 16,  /* says how long the rest is */
	CV_PROXYHDR_MAX = 52,   /* of those that we write */
	CV_PROXYHDR_MOST = 552, /* of those that we read */
};

/**
 * cv_proxyhdr_size() - Length of the whole header
 * @head:	its first CV_PROXYHDR_HEAD bytes
 *
 * Return: that, or CULVERT_EPROTO if it is none, or too long
 */
int cv_proxyhdr_size(const uint8_t *head);

/**
 * cv_proxyhdr_get() - Read a whole header
 * @len:	what cv_proxyhdr_size() said
 * @client:	its address; family NONE if it tells none (LOCAL, or no TCP)
 *
 * Return: 0, or CULVERT_EPROTO with @client untouched
 */
int cv_proxyhdr_get(const uint8_t *p, size_t len, struct cv_addr *client);

/**
 * cv_proxyhdr_put() - Write one, CV_PROXYHDR_MAX bytes at most
 * @client:	its address; family NONE: unknown, the connection is our own
 * @target:	the address it is connected to
 *
 * Return: bytes written
 */
size_t cv_proxyhdr_put(
	uint8_t *p, const struct cv_addr *client, const struct cv_addr *target);

#endif
