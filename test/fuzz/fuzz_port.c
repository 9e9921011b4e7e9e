/* SPDX-License-Identifier: MIT */
/**
 * fuzz_port.c - two nodes joined by datagrams, and everything that may happen
 *
 *	modes 1 | (event 1, its arguments) ...
 *
 * An event is frames in the name of one end, from any address; any other
 * bytes; streams and datagrams; packets that are lost, repeated or late;
 * links that block and go; memory that fails; time.  What a stream's reader
 * gets is what was written, memory is bounded, and nothing is left.
 */
#include "core/transport.h"
#include "fuzz/places.h"
#include "unit/net.h"
#include "unit/streams.h"

enum {
	EVENTS = 16,
	STREAMS = 4,
	MEMORY = 3 << 20,
	WRITE = 600, /* bytes times a byte of the input */
};

enum { PLAIN = 1, CUBIC = 2, POOR = 4, FORGED = 8 };

static struct {
	struct net n;
	struct pair p;
	struct feed f;
	uint8_t modes;
	unsigned fate; /* what happens to the next packets, two bits each */
	bool forged;   /* frames of streams were: what is read is anything */
} t;

bool __real_cv_node_output_train(
	struct cv_node *, struct cv_link *, struct cv_train *, cv_time now);
bool __wrap_cv_node_output_train(
	struct cv_node *, struct cv_link *, struct cv_train *, cv_time now);

/* every train is one that a socket would take */
bool __wrap_cv_node_output_train(struct cv_node *n, struct cv_link *link,
	struct cv_train *out, cv_time now)
{
	if (!__real_cv_node_output_train(n, link, out, now))
		return false;
	struct cv_buf *b = out->buf;
	CHECK(out->seg && b->len >= out->seg && b->off + b->len <= b->cap);
	CHECK(b->len <= CV_PACKET_MAX && (b->len - 1) / out->seg < 64);
	CHECK(out->seg + 28 <= CV_MTU_MAX);
	return true;
}

/* --- what must hold between events --- */

static void check_transport(const struct cv_transport *x)
{
	const struct cv_flights *f = &x->flights;
	uint64_t bytes = 0;
	uint32_t flying = 0;
	for (uint64_t i = f->first; i < f->next; i++) {
		const struct cv_sent *s = &f->ring[i & (f->size - 1)];
		flying += s->state == CV_SENT_FLYING;
		bytes += s->state == CV_SENT_FLYING ? s->size : 0;
	}
	CHECK(f->flying == flying && f->inflight == bytes);
	CHECK(f->next <= x->session->number && f->first <= f->next);
	CHECK(f->next - f->first <= CV_SENT_MAX);
	CHECK(f->next_part == f->sent_part);
	CHECK(x->rx_out <= x->rx_window && x->untold <= x->rx_out);
	CHECK(!x->path || (x->path->ready && x->path->link));
	CHECK(x->cc.cwnd || !x->path);
	CHECK(x->whole.q.count <= CV_PARTS_DGRAMS && !x->whole.lost);
	CHECK(x->slice.cut < CV_DGRAM_MAX);
}

static void check_windows(const struct cv_session *s)
{
	uint64_t tx = 0, rx = 0, untold = 0;
	for (const struct cv_list *l = s->flows.next; l != &s->flows;
		l = l->next) {
		const struct cv_stream *st =
			CV_CONTAINER(l, struct cv_flow, peers)->stream;
		if (!st || !st->transport)
			continue;
		tx += st->tx.next - st->taken;
		rx += st->rx.highest - st->told;
		untold += st->rx.taken - st->told;
		CHECK(st->rx.taken <= st->rx.next);
		CHECK(st->rx.next <= st->rx.highest);
		CHECK(st->tx.base <= st->tx.next && st->tx.next <= st->tx.end);
	}
	CHECK(s->transport->tx_out == tx && s->transport->rx_out == rx);
	CHECK(s->transport->untold == untold);
}

static void check(void)
{
	for (int i = 0; i < 2; i++) {
		const struct cv_node *n = &t.p.side[i].node;
		check_places(n);
		CHECK(n->pool.bytes <= n->pool.max);
		for (const struct cv_list *l = n->sessions.next;
			l != &n->sessions; l = l->next) {
			const struct cv_session *s =
				CV_CONTAINER(l, struct cv_session, all);
			if (!s->transport)
				continue;
			check_transport(s->transport);
			check_windows(s);
		}
	}
}

/* --- the world --- */

static bool fate(struct net *n, struct parcel *x)
{
	unsigned what = t.fate & 3;
	(void)n;
	t.fate >>= 2;
	x->at += what == 2 ? CV_MS(9) : 0;
	return what != 1;
}

/* the edge of a side that is new knows no streams yet */
static void set_up_side(int i)
{
	struct side *x = &t.p.side[i];
	streams_on(&t.p);
	x->edge.any = t.forged;
	if (t.modes & POOR)
		x->node.pool.max = MEMORY;
}

static void set_up(struct feed f)
{
	t.f = f;
	t.modes = feed_byte(&t.f);
	t.fate = 0;
	t.forged = t.modes & FORGED;
	CHECK(!pair_init(&t.p, t.modes & PLAIN, (uint64_t[2]){ 0 }));
	for (int i = 0; i < 2; i++)
		set_up_side(i);
	net_init(&t.n, &t.p);
	t.n.fate = fate;
	t.n.cc = t.modes & CUBIC ? CV_CC_CUBIC : CV_CC_RATE;
	net_up(&t.n);
}

static void clear(void)
{
	for (int i = 0; i < 2; i++)
		t.p.side[i].mem.fail_at = 0;
	net_clear(&t.n);
	pair_clear(&t.p);
}

static struct cv_session *session_of(int i)
{
	struct side *x = &t.p.side[i];
	if (x->s || cv_list_empty(&x->node.sessions))
		return x->s;
	return CV_CONTAINER(x->node.sessions.next, struct cv_session, all);
}

static struct cv_link *link_of(int i)
{
	struct cv_session *s = session_of(i);
	return s ? s->path->link : NULL;
}

/* side @i's stream number @from, or NULL */
static struct cv_flow *stream_at(int i, unsigned from)
{
	struct cv_list *all = &t.p.side[i].node.flows.standing, *l = all->next;
	while (from-- && l != all)
		l = l->next;
	struct cv_flow *f =
		l == all ? NULL : CV_CONTAINER(l, struct cv_flow, lru);
	return f && f->stream ? f : NULL;
}

/* --- events --- */

/* forged frames may be of a stream: then its bytes are not what they were */
static bool honest(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((p[i] & 0xfc) == CV_FRAME_STREAM)
			return false;
	return true;
}

/* frames in the name of one side, from where it is or elsewhere */
static void on_frames(void)
{
	static uint8_t packet[CV_PACKET_MAX];
	uint8_t where = feed_byte(&t.f);
	int from = where & 1;
	struct cv_session *s = session_of(from);
	size_t len = feed_byte(&t.f);
	const uint8_t *p = feed_skip(&t.f, &len);
	struct cv_addr addr = t.n.addr[from];
	if (!s || !s->cur || (!honest(p, len) && !t.forged))
		return;
	addr.port = (uint16_t)(addr.port + (where >> 1 & 3));
	addr.ip[3] = (uint8_t)(addr.ip[3] + (where >> 3 & 1));
	s->number += where >> 4;
	size_t n = net_seal(&t.n, from, p, len, packet);
	net_post(&t.n, !from, &addr, packet, n);
	if (s->cur)
		CHECK(net_post(&t.n, !from, &addr, packet, n));
}

static void on_bytes(void)
{
	uint8_t where = feed_byte(&t.f);
	size_t len = feed_byte(&t.f);
	const uint8_t *p = feed_skip(&t.f, &len);
	net_post(&t.n, where & 1, &t.n.addr[!(where & 1)], p, len);
}

static void on_time(void)
{
	uint8_t b = feed_byte(&t.f);
	net_run(&t.n, t.p.now + ((1 + (b & 7u)) << (b >> 3) % 24));
}

static void on_open(void)
{
	if (t.p.side[A].node.flows.streams < STREAMS)
		streams_open(&t.p, feed_byte(&t.f));
}

static void on_write(void)
{
	uint8_t where = feed_byte(&t.f);
	size_t len = (size_t)feed_byte(&t.f) * WRITE;
	struct cv_flow *f = stream_at(where & 1, where >> 1 & 3);
	if (!f || f->stream->tx.fin)
		return;
	struct cv_end *e = &f->end[f->end[0].edge == NULL];
	if (e->edge && f->stream->transport)
		streams_write(&t.p, e, len);
	if (e->edge && where & 0x80)
		streams_finish(&t.p, e);
}

static void on_close(void)
{
	uint8_t where = feed_byte(&t.f);
	struct cv_flow *f = stream_at(where & 1, where >> 1 & 3);
	if (f)
		cv_flow_close(&t.p.side[where & 1].node, f, NULL,
			CV_RESET_ABORTED, t.p.now);
}

static void on_hoard(void)
{
	uint8_t where = feed_byte(&t.f);
	struct edge *e = &t.p.side[where & 1].edge;
	struct cv_flow *f = stream_at(where & 1, where >> 1 & 3);
	e->hoard = where & 0x80;
	if (!f || !f->stream->transport)
		return;
	struct cv_end *end = &f->end[f->end[0].edge == NULL];
	if (end->edge)
		streams_take(&t.p, end,
			(size_t)(f->stream->rx.next - f->stream->rx.taken));
}

static void on_say(void)
{
	uint8_t n = feed_byte(&t.f);
	struct cv_flow *f = pair_open(&t.p, 100, "udp://127.0.0.1:9");
	if (f) /* every other one is large, up to the largest */
		pair_say(&t.p, f, n & 1 ? (size_t)n * 256 + 227 : n * 10u);
}

static void on_fate(void)
{
	t.fate = (unsigned)feed_number(&t.f, 4);
}

static void on_block(void)
{
	int i = feed_byte(&t.f) & 1;
	struct cv_link *link = link_of(i);
	if (link && !link->blocked) {
		link->blocked = true;
		cv_list_del(&link->dirty);
	} else if (link) {
		cv_node_writable(&t.p.side[i].node, link);
	}
}

static void on_move(void)
{
	uint8_t where = feed_byte(&t.f);
	net_move(&t.n, where & 1, where & 2);
	if (where & 4)
		cv_node_moved(&t.p.side[where & 1].node, t.p.now);
}

static void on_link(void)
{
	uint8_t where = feed_byte(&t.f);
	struct cv_session *s = t.p.side[A].s;
	if (where & 2)
		net_hang_up(&t.n, where & 1);
	if (s && !s->path->link)
		net_dial(&t.n);
}

static void on_restart(void)
{
	int i = feed_byte(&t.f) & 1;
	t.p.side[i].mem.fail_at = 0;
	net_restart(&t.n, i);
	set_up_side(i);
}

static void on_sizes(void)
{
	uint8_t what = feed_byte(&t.f);
	t.n.mtu = what & 1 ? 1300 : CV_PACKET_MAX;
	t.n.device = what & 2 ? 1400 : CV_PACKET_MAX;
}

static void on_failure(void)
{
	uint8_t where = feed_byte(&t.f);
	struct mem *m = &t.p.side[where & 1].mem;
	m->fail_at = m->calls + 1 + (where >> 1);
}

static void (*const event[])(void) = { on_frames, on_bytes, on_time, on_open,
	on_write, on_close, on_hoard, on_say, on_fate, on_block, on_move,
	on_link, on_restart, on_sizes, on_failure };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	set_up((struct feed){ data, size });
	for (int i = 0; i < EVENTS && t.f.left; i++) {
		event[feed_byte(&t.f) % CV_COUNT(event)]();
		net_settle(&t.n);
		check();
	}
	net_run(&t.n, t.p.now + CV_SEC(1));
	check();
	clear();
	return 0;
}
