/* SPDX-License-Identifier: MIT */
/* fuzz_iproxy.c - packets of version 1 of anybody's, to one connection */
#include "core/iproxy_table.h"
#include "fuzz/fuzz.h"

static struct cv_iproxy_table table;

/* what was read can be written again, and is the same */
static void again(
	const struct cv_iproxy_packet *k, const uint8_t *p, size_t len)
{
	uint8_t out[CV_IPROXY_MAX];
	CHECK(cv_iproxy_is(p, len));
	CHECK(cv_iproxy_write(k, out) == len);
	CHECK(!memcmp(out, p, len));
}

static void answer(struct cv_iproxy *c, cv_time now)
{
	struct cv_iproxy_packet mine, back;
	uint8_t out[CV_IPROXY_MAX];
	for (int i = 0; cv_iproxy_output(c, &mine, now); i++) {
		CHECK(i < 3);
		size_t n = cv_iproxy_write(&mine, out);
		CHECK(!cv_iproxy_read(&back, out, n));
		CHECK(back.flags == mine.flags && back.client == c->client);
	}
	CHECK(cv_iproxy_expired(c, now) || cv_iproxy_deadline(c) > now);
}

static void hear(
	struct cv_iproxy *c, const struct cv_iproxy_packet *k, cv_time now)
{
	uint32_t expected = c->expected, room = 700;
	bool closed = cv_iproxy_closed(c);
	unsigned r = cv_iproxy_input(c, k, room, now);
	bool got = (r & CV_IPROXY_GOT) != 0, ended = (r & CV_IPROXY_ENDED) != 0;
	CHECK(!(got && ended));
	CHECK(!got || (k->len <= room && k->offset == expected));
	CHECK(c->expected == expected + (got ? k->len : ended));
	CHECK(!(r & CV_IPROXY_CLOSED) || (!closed && cv_iproxy_closed(c)));
	CHECK(!closed || cv_iproxy_closed(c));
	if (cv_iproxy_room(c) && k->offset & 1)
		cv_iproxy_send(c, 1 + k->len % CV_IPROXY_DATA, now);
	else if (k->offset & 2)
		cv_iproxy_finish(c);
	answer(c, now);
}

/* a packet as it is; and packets in six bytes each: flags, length, offset,
   time */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t zeros[CV_IPROXY_DATA];
	struct cv_iproxy c;
	struct cv_iproxy_packet k;
	cv_time now = CV_SEC(1);
	uint8_t *p = exact(data, size);
	if (size && !cv_iproxy_read(&k, p, size)) {
		again(&k, p, size);
		CHECK(cv_iproxy_add(&table, k.client, now));
		CHECK(cv_iproxy_find(&table, k.client));
		cv_iproxy_close(
			cv_iproxy_find(&table, k.client), k.len & 1, now);
	}
	free(p);
	cv_iproxy_init(&c, 1, 67, size & 1, now);
	for (; size >= 6; data += 6, size -= 6) {
		now += (cv_time)data[5] << (data[5] & 15);
		k = (struct cv_iproxy_packet){ .flags = data[0] & 15,
			.len = cv_get16(data + 1) % (CV_IPROXY_DATA + 1),
			.offset = cv_get16(data + 3),
			.data = zeros };
		hear(&c, &k, now);
	}
	return 0;
}
