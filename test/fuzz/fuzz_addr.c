/* SPDX-License-Identifier: MIT */
/**
 * fuzz_addr.c - addresses as text, against inet_pton()
 *
 *	prefix length 1 | text, which is also read as two addresses ...
 */
#include "core/url.h"
#include "fuzz/fuzz.h"

#include <arpa/inet.h>

static struct cv_addr untouched(void)
{
	struct cv_addr a;
	memset(&a, 0xa5, sizeof a);
	return a;
}

/* what the system's own parser makes of it */
static bool system_parse(const char *text, struct cv_addr *out)
{
	*out = (struct cv_addr){ .family = CV_AF_INET };
	if (inet_pton(AF_INET, text, out->ip) == 1)
		return true;
	*out = (struct cv_addr){ .family = CV_AF_INET6 };
	if (inet_pton(AF_INET6, text, out->ip) != 1)
		return false;
	cv_addr_unmap(out);
	return true;
}

/* an address has a text, and the text is that address again */
static void format(const struct cv_addr *a)
{
	char text[CV_ADDRTEXT];
	struct cv_addr b;
	CHECK(cv_addr_format(a, text) == text);
	CHECK(strlen(text) < sizeof text);
	CHECK(!cv_hostport_parse(text, &b));
	CHECK(cv_addr_equal(a, &b) && cv_addr_same_ip(a, &b));
}

static void parse_ip(const char *text)
{
	struct cv_addr a = untouched(), b = untouched(), want;
	int err = cv_addr_parse_ip(text, &a);
	CHECK(!err == system_parse(text, &want));
	if (err) {
		CHECK(err == CULVERT_ESYNTAX && cv_addr_equal(&a, &b));
		return;
	}
	CHECK(cv_addr_equal(&a, &want));
	format(&a);
}

static void parse_hostport(const char *text)
{
	struct cv_addr a = untouched(), b = untouched();
	int err = cv_hostport_parse(text, &a);
	if (err)
		CHECK(cv_addr_equal(&a, &b));
	else
		format(&a);
}

static bool bit(const struct cv_addr *a, unsigned i)
{
	return a->ip[i / 8] >> (7 - i % 8) & 1;
}

static void prefix(
	const struct cv_addr *a, const struct cv_addr *net, unsigned bits)
{
	bool in = a->family == net->family;
	for (unsigned i = 0; i < bits && in; i++)
		in = bit(a, i) == bit(net, i);
	CHECK(cv_addr_in_prefix(a, net, bits) == in);
	CHECK(cv_addr_in_prefix(a, a, bits));
}

static struct cv_addr raw(const uint8_t *data, size_t size)
{
	struct cv_addr a = { .family = CV_AF_INET6, .port = 53 };
	memcpy(a.ip, data, size < sizeof a.ip ? size : sizeof a.ip);
	cv_addr_unmap(&a);
	CHECK(!cv_addr_loopback(&a) || !cv_addr_any(&a));
	return a;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = { data, size };
	unsigned bits = feed_byte(&f);
	char *text = exact_text(f.p, f.left);
	parse_ip(text);
	parse_hostport(text);
	free(text);
	size_t half = f.left / 2;
	if (!half)
		return 0;
	struct cv_addr a = raw(f.p, half), b = raw(f.p + half, half);
	format(&a);
	prefix(&a, &b, bits % (a.family == CV_AF_INET ? 33 : 129));
	return 0;
}
