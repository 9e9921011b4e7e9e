/* SPDX-License-Identifier: MIT */
#include "core/proxyhdr.h"

#include <string.h>

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum {
	VERSION = 0x20,
	LOCAL = 0,
	PROXY = 1,
	TCP4 = 0x11,
	TCP6 = 0x21,
	SIZE4 = 12,
	SIZE6 = 36,
};

int cv_proxyhdr_size(const uint8_t *head)
{
	unsigned size = CV_PROXYHDR_HEAD + cv_get16(head + 14);
	unsigned command = head[12] ^ VERSION;
	if (memcmp(head, signature, sizeof signature) || command > PROXY ||
		size > CV_PROXYHDR_MOST)
		return CULVERT_EPROTO;
	return (int)size;
}

int cv_proxyhdr_get(const uint8_t *p, size_t len, struct cv_addr *client)
{
	struct cv_addr a = { 0 };
	const uint8_t *body = p + CV_PROXYHDR_HEAD;
	bool four = p[13] == TCP4, six = p[13] == TCP6;
	size_t size = four ? SIZE4 : six ? SIZE6 : 0;
	if (p[12] == (VERSION | LOCAL))
		size = 0;
	else if (len - CV_PROXYHDR_HEAD < size)
		return CULVERT_EPROTO;
	if (size) {
		a.family = four ? CV_AF_INET : CV_AF_INET6;
		memcpy(a.ip, body, four ? 4 : 16);
		a.port = cv_get16(body + size - 4);
		cv_addr_unmap(&a);
	}
	*client = a;
	return 0;
}

/* as IPv6, mapped if it is not */
static void put6(uint8_t *p, const struct cv_addr *a)
{
	if (a->family == CV_AF_INET6) {
		memcpy(p, a->ip, 16);
		return;
	}
	memset(p, 0, 10);
	p[10] = p[11] = 0xff;
	memcpy(p + 12, a->ip, 4);
}

size_t cv_proxyhdr_put(
	uint8_t *p, const struct cv_addr *client, const struct cv_addr *target)
{
	uint8_t *body = p + CV_PROXYHDR_HEAD;
	bool four =
		client->family == CV_AF_INET && target->family == CV_AF_INET;
	unsigned size = four ? SIZE4 : SIZE6;
	memcpy(p, signature, sizeof signature);
	p[12] = VERSION | PROXY;
	p[13] = four ? TCP4 : TCP6;
	if (!client->family) {
		p[12] = VERSION | LOCAL;
		p[13] = 0;
		size = 0;
	} else if (four) {
		memcpy(body, client->ip, 4);
		memcpy(body + 4, target->ip, 4);
	} else {
		put6(body, client);
		put6(body + 16, target);
	}
	cv_put16(p + 14, (uint16_t)size);
	if (size) {
		cv_put16(body + size - 4, client->port);
		cv_put16(body + size - 2, target->port);
	}
	return CV_PROXYHDR_HEAD + size;
}
