/* SPDX-License-Identifier: MIT */
/* test_slice.c - a chunk of datagrams, cut into packets */
#include "core/slice.h"
#include "unit/check.h"
#include "unit/env.h"

#define TARGET "udp://127.0.0.1:5"

enum { OPEN_SIZE = CV_OPEN_HEAD + sizeof TARGET - 1 };

struct box {
	struct mem mem;
	struct cv_env env;
	struct cv_pool pool;
	struct cv_slice s;
	struct cv_buf *chunk;
	uint64_t big;
	uint8_t p[CV_PACKET_MAX];
};

static struct box *box_new(void)
{
	struct box *b = calloc(1, sizeof *b);
	assert_non_null(b);
	b->env = mem_env(&b->mem, 1);
	cv_pool_init(&b->pool, &b->env, CV_MEMORY);
	b->chunk = cv_buf_large(&b->pool);
	assert_non_null(b->chunk);
	return b;
}

static void box_free(struct box *b)
{
	cv_slice_clear(&b->s, &b->pool);
	assert_false(cv_slice_pending(&b->s));
	cv_pool_clear(&b->pool);
	assert_int_equal(b->mem.blocks, 0);
	free(b);
}

static void add_open(struct box *b, uint64_t flow)
{
	struct cv_frame f = { .flow = flow,
		.kind = 2,
		.len = sizeof TARGET - 1,
		.data = (uint8_t *)(uintptr_t)TARGET };
	b->chunk->len += (uint32_t)cv_frame_put_open(cv_buf_end(b->chunk), &f);
}

/* byte @i of the train is @i */
static void add_train(struct box *b, uint64_t flow, uint32_t len, uint32_t seg)
{
	uint8_t *p = cv_buf_end(b->chunk), *at = p;
	*at++ = CV_FRAME_DGRAM;
	at += cv_varint_put(at, flow);
	at += cv_varint_put(at, seg);
	at += cv_varint_put(at, len);
	for (uint32_t i = 0; i < len; i++)
		at[i] = (uint8_t)i;
	b->chunk->len += (uint32_t)(at - p) + len;
}

static void begin(struct box *b)
{
	cv_slice_begin(&b->s, &b->pool, b->chunk);
	assert_true(cv_slice_pending(&b->s));
}

static size_t put(struct box *b, size_t room, size_t whole)
{
	memset(b->p, 0xee, sizeof b->p);
	size_t n = cv_slice_put(&b->s, b->p, room, whole, &b->big);
	assert_true(n <= room);
	for (size_t i = n; i < room; i++)
		assert_int_equal(b->p[i], 0xee);
	return n;
}

/* one frame behind the other */
static struct cv_frame read(uint8_t **p, uint8_t *end)
{
	struct cv_frame f = { 0 };
	assert_int_equal(cv_frame_next(p, end, &f), 1);
	return f;
}

static void test_whole(void **state)
{
	struct box *b = box_new();
	(void)state;
	add_train(b, 2, 300, 100);
	add_train(b, 4, 7, 7);
	begin(b);
	size_t n = put(b, 1000, 1000);
	uint8_t *p = b->p;
	struct cv_frame f = read(&p, b->p + n);
	assert_int_equal(f.flow, 2);
	assert_int_equal(f.len, 300);
	assert_int_equal(f.seg, 100);
	assert_int_equal(f.data[299], (uint8_t)299);
	f = read(&p, b->p + n);
	assert_int_equal(f.flow, 4);
	assert_int_equal(f.len, 7);
	assert_ptr_equal(p, b->p + n);
	assert_false(cv_slice_pending(&b->s));
	assert_int_equal(put(b, 1000, 1000), 0);
	assert_int_equal(b->big, 0);
	box_free(b);
}

/* nothing of a train is lost or doubled, whatever room there is */
static void test_cut(void **state)
{
	(void)state;
	for (size_t room = 100 + CV_DGRAM_HEAD; room < 800; room += 13) {
		struct box *b = box_new();
		uint32_t at = 0;
		add_train(b, 2, 1050, 100);
		begin(b);
		while (cv_slice_pending(&b->s)) {
			size_t n = put(b, room, room);
			uint8_t *p = b->p;
			struct cv_frame f = read(&p, b->p + n);
			assert_ptr_equal(p, b->p + n);
			for (uint32_t i = 0; i < f.len; i++)
				assert_int_equal(f.data[i], (uint8_t)(at + i));
			at += f.len;
			assert_true(f.len % 100 == 0 || at == 1050);
			assert_int_equal(f.seg, f.len < 100 ? f.len : 100);
		}
		assert_int_equal(at, 1050);
		assert_int_equal(b->big, 0);
		box_free(b);
	}
}

static void test_empty_datagram(void **state)
{
	struct box *b = box_new();
	(void)state;
	add_train(b, 2, 0, 0);
	begin(b);
	size_t n = put(b, 100, 100);
	uint8_t *p = b->p;
	struct cv_frame f = read(&p, b->p + n);
	assert_int_equal(f.type, CV_FRAME_DGRAM);
	assert_int_equal(f.len, 0);
	assert_int_equal(put(b, 100, 100), 0);
	assert_false(cv_slice_pending(&b->s));
	box_free(b);
}

/* what fits into no packet is counted, one by one, and what follows goes on */
static void test_too_big(void **state)
{
	struct box *b = box_new();
	(void)state;
	add_train(b, 2, 2500, 1000);
	add_train(b, 4, 10, 10);
	begin(b);
	size_t n = put(b, 500, 500);
	assert_int_equal(b->big, 3);
	uint8_t *p = b->p;
	assert_int_equal(read(&p, b->p + n).flow, 4);
	box_free(b);
}

/* a packet that is begun already must not make a datagram count as too big */
static void test_waits_for_room(void **state)
{
	struct box *b = box_new();
	(void)state;
	add_train(b, 2, 400, 400);
	begin(b);
	assert_int_equal(put(b, 100, 500), 0);
	assert_true(cv_slice_pending(&b->s));
	assert_true(put(b, 500, 500) > 400);
	assert_int_equal(b->big, 0);
	box_free(b);
}

static void test_open_in_each(void **state)
{
	struct box *b = box_new();
	(void)state;
	add_open(b, 2);
	add_train(b, 2, 400, 200);
	begin(b);
	for (int i = 0; i < 2; i++) {
		size_t n = put(b, 300, 300);
		uint8_t *p = b->p;
		struct cv_frame f = read(&p, b->p + n);
		assert_int_equal(f.type, CV_FRAME_OPEN);
		assert_int_equal(f.flow, 2);
		assert_memory_equal(f.data, TARGET, f.len);
		f = read(&p, b->p + n);
		assert_int_equal(f.len, 200);
		assert_ptr_equal(p, b->p + n);
	}
	assert_false(cv_slice_pending(&b->s));
	box_free(b);
}

/* of another flow: it is not repeated */
static void test_open_of_another(void **state)
{
	struct box *b = box_new();
	(void)state;
	add_open(b, 2);
	add_train(b, 4, 50, 50);
	begin(b);
	size_t n = put(b, 300, 300);
	uint8_t *p = b->p;
	assert_int_equal(read(&p, b->p + n).flow, 4);
	assert_ptr_equal(p, b->p + n);
	box_free(b);
}

/* no room for both: the OPEN goes ahead, in a packet before */
static void test_many_opens(void **state)
{
	struct box *b = box_new();
	(void)state;
	add_open(b, 2);
	add_train(b, 2, 400, 200);
	begin(b);
	assert_int_equal(cv_slice_left(&b->s), 2);
	b->s.opens = CV_PACKET_OPENS;
	assert_int_equal(put(b, 300, 300), 0);
	b->s.opens = CV_PACKET_OPENS - 1;
	assert_true(put(b, 300, 300) > 200);
	assert_int_equal(cv_slice_left(&b->s), 1);
	assert_int_equal(put(b, 300, 300), 0);
	b->s.opens = 0;
	assert_true(put(b, 300, 300) > 200);
	assert_int_equal(cv_slice_left(&b->s), 0);
	box_free(b);
}

static void test_open_ahead(void **state)
{
	struct box *b = box_new();
	(void)state;
	size_t whole = CV_DGRAM_HEAD + 200 + OPEN_SIZE - 1;
	add_open(b, 2);
	add_train(b, 2, 200, 200);
	begin(b);
	assert_int_equal(put(b, OPEN_SIZE - 1, whole), 0);
	size_t n = put(b, whole, whole);
	uint8_t *p = b->p;
	assert_int_equal(read(&p, b->p + n).type, CV_FRAME_OPEN);
	assert_ptr_equal(p, b->p + n);
	assert_true(cv_slice_pending(&b->s));
	n = put(b, whole, whole);
	p = b->p;
	assert_int_equal(read(&p, b->p + n).type, CV_FRAME_DGRAM);
	assert_false(cv_slice_pending(&b->s));
	assert_int_equal(b->big, 0);
	box_free(b);
}

/* parts of the datagram of @size at b->p, checked: bytes of it so far */
static uint32_t check_part(struct box *b, size_t n, uint64_t number,
	uint32_t size, uint32_t so_far)
{
	uint8_t *p = b->p;
	struct cv_frame f = read(&p, b->p + n);
	if (f.type == CV_FRAME_OPEN)
		f = read(&p, b->p + n);
	assert_int_equal(f.type, CV_FRAME_PART);
	assert_ptr_equal(p, b->p + n);
	assert_int_equal(f.flow, 2);
	assert_int_equal(f.taken, number);
	assert_int_equal(f.seg, size);
	assert_int_equal(f.value, so_far);
	for (uint32_t i = 0; i < f.len; i++)
		assert_int_equal(f.data[i], (uint8_t)(so_far + i));
	return so_far + f.len;
}

static size_t part(struct box *b, size_t room, size_t whole)
{
	b->s.part = false;
	b->s.opens = 0;
	return put(b, room, whole);
}

/* nothing is lost or doubled, whatever room there is; equal but for the last */
static void test_parts(void **state)
{
	(void)state;
	for (size_t whole = 1150; whole < 9000; whole += 71) {
		struct box *b = box_new();
		uint32_t at = 0, size = 9000 + (uint32_t)whole;
		size_t first = 0, n;
		b->s.most = size;
		b->s.number = 70;
		add_train(b, 2, size, size);
		add_train(b, 4, 5, 5);
		begin(b);
		for (; at < size; b->s.now += 10) {
			n = part(b, whole, whole);
			first = first ? first : n;
			assert_true(n <= first && n + 80 > first);
			at = check_part(b, n, 70, size, at);
			assert_int_equal(b->s.cut, at < size ? at : 0);
			assert_int_equal(b->s.begun, 0);
		}
		assert_int_equal(b->s.number, 71);
		n = part(b, whole, whole);
		uint8_t *p = b->p;
		assert_int_equal(read(&p, b->p + n).flow, 4);
		assert_false(cv_slice_pending(&b->s));
		assert_int_equal(b->big, 0);
		box_free(b);
	}
}

/* each datagram of a train by itself, the last if it fits as it is */
static void test_parts_of_train(void **state)
{
	struct box *b = box_new();
	(void)state;
	b->s.most = 3000;
	add_train(b, 2, 6500, 3000);
	memset(cv_buf_end(b->chunk) - 3500, 0, 3500);
	for (int i = 0; i < 3000; i++)
		cv_buf_end(b->chunk)[i - 3500] = (uint8_t)i;
	begin(b);
	for (uint64_t number = 0; number < 2; number++) {
		assert_int_equal(cv_slice_left(&b->s), 3 - number);
		uint32_t at = 0;
		while (at < 3000)
			at = check_part(
				b, part(b, 1200, 1200), number, 3000, at);
	}
	assert_int_equal(cv_slice_left(&b->s), 1);
	uint8_t *p = b->p;
	size_t n = part(b, 1200, 1200);
	assert_int_equal(read(&p, b->p + n).type, CV_FRAME_DGRAM);
	assert_int_equal(n, 500 + 6);
	assert_false(cv_slice_pending(&b->s));
	box_free(b);
}

/* one in a packet; a packet that is begun waits for nobody, nor fills up */
static void test_part_and_room(void **state)
{
	struct box *b = box_new();
	(void)state;
	b->s.most = 3000;
	add_train(b, 2, 2000, 2000);
	add_train(b, 2, 2000, 2000);
	begin(b);
	assert_int_equal(part(b, 10, 1400), 0);
	assert_int_equal(part(b, 800, 1400), 0);
	uint32_t at = check_part(b, part(b, 1400, 1400), 0, 2000, 0);
	assert_int_equal(at, 1000);
	assert_int_equal(put(b, 1400, 1400), 0); /* that packet has one */
	/* an ACK was in the packet before: as long as that, and the rest */
	size_t n = part(b, 950, 1400);
	at = check_part(b, n, 0, 2000, at);
	assert_int_equal(n, 950);
	/* its last part, and the next one's first is not beside it */
	n = part(b, 1400, 1400);
	assert_int_equal(check_part(b, n, 0, 2000, at), 2000);
	n = part(b, 1040, 1400);
	assert_int_equal(check_part(b, n, 1, 2000, 0), 1025);
	assert_int_equal(n, 1040);
	/* the path takes all of the rest at once, or of a whole one: no matter
	 */
	n = part(b, 4000, 4000);
	assert_int_equal(check_part(b, n, 1, 2000, 1025), 2000);
	box_free(b);
}

/* a number is not used again for what was begun and left */
static void test_part_left(void **state)
{
	struct box *b = box_new();
	(void)state;
	b->s.most = 5000;
	b->s.number = 9;
	add_train(b, 2, 5000, 5000);
	add_train(b, 2, 4000, 4000);
	begin(b);
	part(b, 1400, 1400);
	assert_int_equal(b->s.cut, 1250);
	b->s.most = 4000; /* under new keys */
	check_part(b, part(b, 1400, 1400), 10, 4000, 0);
	assert_int_equal(b->big, 1);
	assert_int_equal(cv_slice_left(&b->s), 1);
	cv_slice_clear(&b->s, &b->pool);
	assert_int_equal(b->s.number, 11);
	assert_int_equal(b->s.cut, 0);
	assert_int_equal(b->s.most, 4000);
	cv_slice_clear(&b->s, &b->pool);
	assert_int_equal(b->s.number, 11);
	box_free(b);
}

static void test_parts_opened(void **state)
{
	struct box *b = box_new();
	uint32_t at = 0;
	unsigned packets = 0;
	(void)state;
	b->s.most = 5000;
	add_open(b, 2);
	add_train(b, 2, 5000, 5000);
	begin(b);
	b->s.opens = CV_PACKET_OPENS;
	assert_int_equal(put(b, 1200, 1200), 0);
	for (; at < 5000; packets++) {
		size_t n = part(b, 1200, 1200);
		assert_int_equal(b->p[0], CV_FRAME_OPEN);
		assert_int_equal(b->s.opens, 1);
		at = check_part(b, n, 0, 5000, at);
	}
	assert_int_equal(packets, 5);
	box_free(b);
}

/* the largest has no room beside its OPEN, which waits in a chunk before */
static void test_parts_opened_before(void **state)
{
	struct box *b = box_new();
	uint32_t at = 0;
	(void)state;
	b->s.most = CV_DGRAM_MAX;
	add_open(b, 2);
	begin(b);
	assert_int_equal(put(b, 1200, 1200), 0);
	assert_false(cv_slice_pending(&b->s));
	b->chunk = cv_buf_large(&b->pool);
	assert_non_null(b->chunk);
	b->chunk->dgrams = 1;
	add_train(b, 2, CV_DGRAM_MAX, CV_DGRAM_MAX);
	begin(b);
	while (at < CV_DGRAM_MAX) {
		size_t n = part(b, 1200, 1200);
		assert_int_equal(b->p[0], CV_FRAME_OPEN);
		at = check_part(b, n, 0, CV_DGRAM_MAX, at);
	}
	/* of another chunk's flow it is none */
	b->chunk = cv_buf_large(&b->pool);
	assert_non_null(b->chunk);
	add_train(b, 2, 5, 5);
	begin(b);
	part(b, 1200, 1200);
	assert_int_equal(b->p[0], CV_FRAME_DGRAM);
	box_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_empty_datagram),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_waits_for_room),
		cmocka_unit_test(test_open_in_each),
		cmocka_unit_test(test_open_of_another),
		cmocka_unit_test(test_many_opens),
		cmocka_unit_test(test_open_ahead),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_parts_of_train),
		cmocka_unit_test(test_part_and_room),
		cmocka_unit_test(test_part_left),
		cmocka_unit_test(test_parts_opened),
		cmocka_unit_test(test_parts_opened_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
