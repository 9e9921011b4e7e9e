/* SPDX-License-Identifier: MIT */
#include "core/addr.h"

#include <stdio.h>
#include <string.h>

bool cv_addr_equal(const struct cv_addr *a, const struct cv_addr *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

bool cv_addr_same_ip(const struct cv_addr *a, const struct cv_addr *b)
{
	return a->family == b->family && a->scope == b->scope &&
	       memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

void cv_addr_unmap(struct cv_addr *a)
{
	static const uint8_t head[12] = { [10] = 0xff, [11] = 0xff };
	if (a->family != CV_AF_INET6 || memcmp(a->ip, head, sizeof head))
		return;
	a->family = CV_AF_INET;
	a->scope = 0;
	memcpy(a->ip, a->ip + 12, 4);
	memset(a->ip + 4, 0, 12);
}

bool cv_addr_loopback(const struct cv_addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };
	if (a->family == CV_AF_INET)
		return a->ip[0] == 127;
	return a->family == CV_AF_INET6 && !memcmp(a->ip, one, 16);
}

bool cv_addr_any(const struct cv_addr *a)
{
	static const uint8_t zero[16];
	return memcmp(a->ip, zero, sizeof zero) == 0;
}

/* one decimal number below 256, without leading zeros; advances *s */
static int parse_octet(const char **s)
{
	int v = 0, n = 0;
	for (; **s >= '0' && **s <= '9'; (*s)++, n++) {
		if (n == 3 || (n == 1 && v == 0))
			return -1;
		v = v * 10 + (**s - '0');
	}
	return n && v < 256 ? v : -1;
}

static int parse_v4(const char *s, uint8_t ip[4])
{
	for (int i = 0; i < 4; i++) {
		int v = parse_octet(&s);
		if (v < 0 || *s != (i < 3 ? '.' : '\0'))
			return CULVERT_ESYNTAX;
		ip[i] = (uint8_t)v;
		s++;
	}
	return 0;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* groups of up to four hex digits; "::" once; an IPv4 tail */
static int parse_v6(const char *s, uint8_t ip[16])
{
	uint8_t out[16] = { 0 };
	int n = 0, gap = -1;

	if (s[0] == ':' && s[1] != ':')
		return CULVERT_ESYNTAX;
	while (*s) {
		if (s[0] == ':' && s[1] == ':') {
			if (gap >= 0)
				return CULVERT_ESYNTAX;
			gap = n;
			s += 2;
			continue;
		}
		if (n <= 12 && (n == 12 || gap >= 0) && strchr(s, '.') &&
			!strchr(s, ':')) {
			if (parse_v4(s, out + n))
				return CULVERT_ESYNTAX;
			n += 4;
			break;
		}
		unsigned v = 0;
		int digits = 0;
		for (; hex(*s) >= 0 && digits < 5; s++, digits++)
			v = v << 4 | (unsigned)hex(*s);
		if (!digits || digits > 4 || n > 14)
			return CULVERT_ESYNTAX;
		cv_put16(out + n, (uint16_t)v);
		n += 2;
		/* one colon leads to another group, two were met above */
		bool colon = *s == ':' && s[1] != ':';
		s += colon;
		if (colon ? !*s : *s && *s != ':')
			return CULVERT_ESYNTAX;
	}
	if (gap < 0 ? n != 16 : n > 14)
		return CULVERT_ESYNTAX;
	if (gap >= 0) {
		memmove(out + 16 - (n - gap), out + gap, (size_t)(n - gap));
		memset(out + gap, 0, (size_t)(16 - n));
	}
	memcpy(ip, out, 16);
	return 0;
}

int cv_addr_parse_ip(const char *text, struct cv_addr *out)
{
	struct cv_addr a = { .family = CV_AF_INET };
	int err = parse_v4(text, a.ip);
	if (err) {
		memset(a.ip, 0, sizeof a.ip);
		a.family = CV_AF_INET6;
		err = parse_v6(text, a.ip);
	}
	if (!err) {
		cv_addr_unmap(&a);
		*out = a;
	}
	return err;
}

/* the longest run of at least two zero groups (RFC 5952, section 4.2) */
static int zero_run(const uint8_t ip[16], int *len)
{
	int best = -1;
	*len = 1;
	for (int i = 0; i < 8; i++) {
		int n = 0;
		while (i + n < 8 && cv_get16(ip + 2 * (i + n)) == 0)
			n++;
		if (n > *len) {
			best = i;
			*len = n;
		}
	}
	return best;
}

static void format_v6(const struct cv_addr *a, char *out, size_t size)
{
	int len, run = zero_run(a->ip, &len);
	size_t n = 0;
	for (int i = 0; i < 8; i++) {
		if (i == run) {
			n += (size_t)snprintf(out + n, size - n, "::");
			i += len - 1;
			continue;
		}
		n += (size_t)snprintf(out + n, size - n, "%s%x",
			i && i != run + len ? ":" : "",
			(unsigned)cv_get16(a->ip + 2 * i));
	}
}

const char *cv_addr_format(const struct cv_addr *a, char out[CV_ADDRTEXT])
{
	char v6[48];
	switch (a->family) {
	case CV_AF_INET:
		snprintf(out, CV_ADDRTEXT, "%u.%u.%u.%u:%u", a->ip[0], a->ip[1],
			a->ip[2], a->ip[3], a->port);
		return out;
	case CV_AF_INET6:
		format_v6(a, v6, sizeof v6);
		if (a->scope)
			snprintf(out, CV_ADDRTEXT, "[%s%%%u]:%u", v6, a->scope,
				a->port);
		else
			snprintf(out, CV_ADDRTEXT, "[%s]:%u", v6, a->port);
		return out;
	default:
		snprintf(out, CV_ADDRTEXT, "none");
		return out;
	}
}

bool cv_addr_in_prefix(
	const struct cv_addr *a, const struct cv_addr *net, unsigned bits)
{
	if (a->family != net->family)
		return false;
	unsigned whole = bits / 8, rest = bits % 8;
	if (memcmp(a->ip, net->ip, whole))
		return false;
	return !rest || !((a->ip[whole] ^ net->ip[whole]) >> (8 - rest));
}
