/* SPDX-License-Identifier: MIT */
/* test_lan_frame.c - UDP out of whole frames, however they lie, and into them
 */
#include "unit/check.h"

#include "loop/lan_frame.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <unistd.h>

enum { HEADS = 28 };

/* a packet with @options bytes of IP options and @len of payload */
static size_t build(uint8_t *p, size_t options, size_t len)
{
	size_t head = 20 + options;
	memset(p, 0, head + 8);
	p[0] = (uint8_t)(0x40 | head / 4);
	cv_put16(p + 2, (uint16_t)(head + 8 + len));
	p[9] = 17;
	memcpy(p + 12, (uint8_t[]){ 10, 1, 2, 3 }, 4);
	memset(p + 16, 255, 4);
	cv_put16(p + head, 17239);
	cv_put16(p + head + 2, 17238);
	cv_put16(p + head + 4, (uint16_t)(8 + len));
	for (size_t i = 0; i < len; i++)
		p[head + 8 + i] = (uint8_t)i;
	return head + 8 + len;
}

/* in a block of exactly that size, for who watches memory */
static bool parse(
	const uint8_t *p, size_t len, struct cv_frame *f, struct cv_addr *from)
{
	uint8_t *q = malloc(len ? len : 1);
	assert_non_null(q);
	memcpy(q, p, len);
	bool ok = cv_lan_frame_parse(q, len, f, from);
	if (ok) {
		assert_true(f->data >= q + HEADS && f->data <= q + len);
		assert_true(f->len <= (size_t)(q + len - f->data));
		assert_int_equal(f->len, f->seg);
		f->data = (uint8_t *)p + (f->data - q);
	}
	free(q);
	return ok;
}

static void payloads(void **state)
{
	uint8_t p[2048];
	struct cv_frame f;
	struct cv_addr from;
	(void)state;
	for (size_t options = 0; options <= 40; options += 4) {
		for (size_t len = 0; len < 1500; len += 499) {
			size_t n = build(p, options, len);
			assert_true(parse(p, n, &f, &from));
			assert_int_equal(f.len, len);
			assert_ptr_equal(f.data, p + HEADS + options);
			assert_int_equal(from.family, CV_AF_INET);
			assert_int_equal(from.port, 17239);
			assert_int_equal(from.ip[3], 3);
		}
	}
}

/* short frames are filled up to 60 bytes on the wire */
static void padding_is_none_of_it(void **state)
{
	uint8_t p[64];
	struct cv_frame f;
	struct cv_addr from;
	(void)state;
	memset(p, 0xee, sizeof p);
	build(p, 0, 3);
	assert_true(parse(p, 46, &f, &from));
	assert_int_equal(f.len, 3);
}

static void cut_anywhere(void **state)
{
	uint8_t p[256];
	struct cv_frame f;
	struct cv_addr from;
	(void)state;
	for (size_t options = 0; options <= 40; options += 20) {
		size_t n = build(p, options, 30);
		for (size_t len = 0; len < n; len++)
			assert_false(parse(p, len, &f, &from));
		assert_true(parse(p, n, &f, &from));
	}
}

static void hostile_lengths(void **state)
{
	uint8_t p[256];
	struct cv_frame f;
	struct cv_addr from;
	size_t n;
	(void)state;
	n = build(p, 0, 30);
	for (unsigned size = 0; size < 0x10000; size++) {
		cv_put16(p + 24, (uint16_t)size);
		assert_int_equal(
			parse(p, n, &f, &from), size >= 8 && size <= 38);
	}
	build(p, 0, 30);
	for (unsigned first = 0; first < 256; first++) {
		p[0] = (uint8_t)first;
		bool may = first >> 4 == 4 && (first & 15) >= 5;
		bool ok = parse(p, n, &f, &from);
		assert_true(!ok || may);
		assert_true(first != 0x45 || ok);
	}
}

static void noise(void **state)
{
	uint8_t p[128];
	struct cv_frame f;
	struct cv_addr from;
	unsigned taken = 0, seed = 1;
	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		size_t len = i % sizeof p;
		for (size_t k = 0; k < len; k++) {
			seed = seed * 1103515245 + 12345;
			p[k] = (uint8_t)(seed >> 16);
		}
		if (len) /* so that some get further */
			p[0] = (uint8_t)(0x40 | (i >> 7 & 15));
		if (len > 45)
			p[24] = p[28] = p[32] = 0;
		taken += parse(p, len, &f, &from);
	}
	assert_true(taken > 100);
}

static void stations(void **state)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_ll *ll = (void *)&ss;
	struct cv_lan_station s = { 0 };
	(void)state;
	ll->sll_ifindex = 7;
	ll->sll_halen = 6;
	memcpy(ll->sll_addr, (uint8_t[]){ 2, 3, 4, 5, 6, 7 }, 6);
	ll->sll_pkttype = PACKET_OUTGOING;
	assert_false(cv_lan_frame_station(&ss, &s));
	ll->sll_pkttype = PACKET_OTHERHOST;
	assert_false(cv_lan_frame_station(&ss, &s));
	for (unsigned char len = 0; len < 255; len++) {
		ll->sll_pkttype = PACKET_BROADCAST;
		ll->sll_halen = len;
		assert_int_equal(cv_lan_frame_station(&ss, &s), len == 6);
	}
	assert_int_equal(s.ifindex, 7);
	assert_int_equal(s.mac[0], 2);
	assert_int_equal(s.mac[5], 7);
}

/* sent into a pair of sockets, which take what a packet socket would */
static void trains(void **state)
{
	uint8_t data[40 * 10], got[64];
	struct cv_lan_station s = { .ifindex = 1 };
	struct cv_frame f, train = { .data = data, .len = 395, .seg = 10 };
	struct cv_addr from;
	(void)state;
	for (unsigned i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)i;
	int fd[2];
	/* a packet's address means nothing here: it is refused or not looked
	   at, and an error leaves the train as it is */
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	assert_int_not_equal(cv_lan_frame_send(-1, &s, 1, 2, &train), 0);
	assert_int_equal(train.len, 395);
	assert_ptr_equal(train.data, data);
	struct cv_frame none = { .data = data };
	assert_int_equal(cv_lan_frame_send(-1, &s, 1, 2, &none), 0);
	int e = cv_lan_frame_send(fd[0], &s, 17239, 17238, &train);
	if (!e) {
		assert_true(train.len < 395);
		ssize_t n = read(fd[1], got, sizeof got);
		assert_true(cv_lan_frame_parse(got, (size_t)n, &f, &from));
		assert_int_equal(f.len, 10);
	} else {
		assert_int_equal(train.len, 395);
	}
	close(fd[0]);
	close(fd[1]);
}

/* without the capability it says so, with it there is a socket */
static void socket_or_errno(void **state)
{
	(void)state;
	int fd = cv_lan_frame_socket(17238);
	if (fd < 0)
		assert_int_equal(errno, EPERM);
	else
		close(fd);
}

/* what was written to loopback as a frame is heard there as one, 40 of them */
static void loopback(void **state)
{
	enum { PORT = 17931 };
	uint8_t data[40 * 10], got[256];
	struct cv_lan_station s = { .ifindex = 1 };
	struct cv_frame f, train = { .data = data, .len = 395, .seg = 10 };
	struct cv_addr from;
	unsigned n = 0;
	ssize_t len;
	(void)state;
	memset(data, 7, sizeof data);
	int fd = cv_lan_frame_socket(PORT);
	if (fd < 0)
		skip();
	while (train.len)
		assert_int_equal(
			cv_lan_frame_send(fd, &s, 4321, PORT, &train), 0);
	while ((len = read(fd, got, sizeof got)) > 0) {
		uint32_t sum = 0;
		assert_true(cv_lan_frame_parse(got, (size_t)len, &f, &from));
		for (unsigned i = 0; i < 20; i += 2)
			sum += cv_get16(got + i);
		assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
		assert_int_equal(got[8], 255);
		assert_true(cv_addr_any(&from));
		assert_int_equal(from.port, 4321);
		assert_int_equal(f.len, n == 39 ? 5 : 10);
		n++;
	}
	assert_int_equal(n, 40);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(payloads),
		cmocka_unit_test(padding_is_none_of_it),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(hostile_lengths),
		cmocka_unit_test(noise),
		cmocka_unit_test(stations),
		cmocka_unit_test(trains),
		cmocka_unit_test(socket_or_errno),
		cmocka_unit_test(loopback),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
