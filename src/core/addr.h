/* SPDX-License-Identifier: MIT */
/* addr.h - an IPv4 or IPv6 address with port, comparable as bytes */
#ifndef CV_ADDR_H
#define CV_ADDR_H

#include "core/types.h"

enum cv_family {
	CV_AF_NONE,
	CV_AF_INET,
	CV_AF_INET6,
};

/** struct cv_addr - unused bytes are zero, so that memcmp() compares */
struct cv_addr {
	uint8_t ip[16]; /* network order; IPv4 in the first four */
	uint32_t scope; /* IPv6 zone: interface index, else 0 */
	uint16_t port;  /* host order */
	uint8_t family; /* enum cv_family */
	uint8_t zero;
};

enum { CV_ADDRTEXT = 72 };

/** cv_addr_equal() - address, zone, port and family */
bool cv_addr_equal(const struct cv_addr *a, const struct cv_addr *b);

/** cv_addr_same_ip() - equal but for the port */
bool cv_addr_same_ip(const struct cv_addr *a, const struct cv_addr *b);

/** cv_addr_loopback() - 127.0.0.0/8 or ::1 */
bool cv_addr_loopback(const struct cv_addr *a);

/** cv_addr_unmap() - an IPv4 address in IPv6 clothes (::ffff:0:0/96) is IPv4 */
void cv_addr_unmap(struct cv_addr *a);

/** cv_addr_any() - 0.0.0.0 or :: */
bool cv_addr_any(const struct cv_addr *a);

/**
 * cv_addr_parse_ip() - "192.0.2.1" or "2001:db8::1" (RFC 4291), no port
 *
 * Return: 0, or CULVERT_ESYNTAX with @out untouched
 */
int cv_addr_parse_ip(const char *text, struct cv_addr *out);

/** cv_addr_format() - "192.0.2.1:53" or "[2001:db8::1]:53" (RFC 5952) */
const char *cv_addr_format(const struct cv_addr *a, char out[CV_ADDRTEXT]);

/** cv_addr_in_prefix() - whether @a lies in @net/@bits */
bool cv_addr_in_prefix(
	const struct cv_addr *a, const struct cv_addr *net, unsigned bits);

#endif
