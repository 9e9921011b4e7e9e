/* SPDX-License-Identifier: MIT */
/* ifaces.h - the machine's interfaces and their addresses, as of now */
#ifndef CV_IFACES_H
#define CV_IFACES_H

#include "core/addr.h"

enum {
	CV_IFACES = 64, /* more are not seen */
	CV_IFACE_ADDRS = 8,
	CV_IFACE_NAME = 16,
};

struct cv_iface_addr {
	struct cv_addr addr; /* port 0 */
	uint8_t bits;        /* of its prefix */
};

/**
 * struct cv_iface - one that can be used: up, running, no loopback, no port of
 * a bridge, and no point-to-point link without multicast
 */
struct cv_iface {
	uint32_t index;
	char name[CV_IFACE_NAME];
	uint8_t mac[6]; /* zero: none */
	bool ethernet;  /* frames have hardware addresses */
	struct cv_iface_addr addr[CV_IFACE_ADDRS];
	unsigned addrs;
};

struct cv_ifaces {
	struct cv_iface iface[CV_IFACES];
	unsigned n;
};

/** cv_ifaces_read() - 0, or CULVERT_ESYS with @out empty */
int cv_ifaces_read(struct cv_ifaces *out);

/** cv_ifaces_at(), cv_ifaces_named() - NULL: there is none */
const struct cv_iface *cv_ifaces_at(const struct cv_ifaces *, uint32_t index);
const struct cv_iface *cv_ifaces_named(
	const struct cv_ifaces *, const char *name);

/** cv_iface_has() - an address of that family; of IPv6 a link-local one */
bool cv_iface_has(const struct cv_iface *, enum cv_family);

/** cv_iface_onlink() - @addr is link-local or in one of its subnets */
bool cv_iface_onlink(const struct cv_iface *, const struct cv_addr *addr);

#endif
