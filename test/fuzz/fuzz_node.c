/* SPDX-License-Identifier: MIT */
/**
 * fuzz_node.c - two nodes and everything that may happen to them
 *
 *	modes 1 | (event 1, its arguments) ...
 *
 * An event is a packet in the name of one end, sealed with its keys, or any
 * other bytes; datagrams; links that block and break; time.  Every datagram
 * is accounted for, and every packet of ours is one that we would take.
 */
#include "fuzz/places.h"
#include "unit/pair.h"

enum {
	EVENTS = 12,        /* of one input */
	BYTES = 64 << 10,   /* made of its lengths, all in all */
	FLOWS = 4,          /* of a node with a low limit */
	MEMORY = 200 << 10, /* the same: two large buffers and some small */
	CLIENTS = 8,
	MANY = 0xff,     /* datagrams in a train: more than a packet has */
	NO_FRAME = 0xff, /* no type of one: what is too long ends here */
};

/** struct trial - one input's world */
struct trial {
	struct pair p;
	struct feed f;
	uint8_t modes;
	size_t bytes;                   /* that may still be made */
	uint64_t refused[2][CV_DROP_N]; /* packets, by what they were */
	uint64_t sent[2];               /* datagrams in packets */
	struct cv_waiter waiter[2];
};

enum { PLAIN = 1, PSK = 2, POOR = 4, CROWDED = 8, SLOW = 16, LINKS = 32 };

static struct trial t;
static uint8_t filler[CV_PACKET_MAX];

static int side_of(const struct cv_node *n)
{
	return n == &t.p.side[B].node;
}

/* --- what passes between nodes and links --- */

int __real_cv_node_input(struct cv_node *, struct cv_link *, uint8_t *p,
	size_t len, cv_time now);
void __real_cv_node_output(struct cv_node *, struct cv_link *,
	struct cv_bufq *out, size_t bytes, cv_time now);
int __wrap_cv_node_input(struct cv_node *, struct cv_link *, uint8_t *p,
	size_t len, cv_time now);
void __wrap_cv_node_output(struct cv_node *, struct cv_link *,
	struct cv_bufq *out, size_t bytes, cv_time now);

int __wrap_cv_node_input(struct cv_node *n, struct cv_link *link, uint8_t *p,
	size_t len, cv_time now)
{
	const struct edge *e = &t.p.side[side_of(n)].edge;
	struct cv_stats was = n->stats;
	unsigned opens = e->opens;
	int r = __real_cv_node_input(n, link, p, len, now);
	CHECK(r >= 0 && r < CV_DROP_N);
	CHECK(n->stats.rx_packets == was.rx_packets + 1);
	CHECK(n->stats.rx_dgrams - was.rx_dgrams <= CV_PACKET_DGRAMS);
	/* an edge that is full is asked again, once another flow gave way */
	unsigned times = e->answer == CULVERT_EFULL ? 2 : 1;
	CHECK(e->opens - opens <= times * CV_PACKET_OPENS);
	t.refused[side_of(n)][r]++;
	return r;
}

/* nothing that the far end calls a flood, or no frame at all */
static void check_frames(struct cv_buf *b, uint8_t *p, uint8_t *end)
{
	unsigned opens = 0, controls = 0;
	uint64_t dgrams = 0;
	struct cv_frame f;
	int r;
	while ((r = cv_frame_next(&p, end, &f)) > 0) {
		if (f.type == CV_FRAME_DGRAM)
			dgrams += cv_frame_count(&f);
		else
			controls++;
		opens += f.type == CV_FRAME_OPEN;
	}
	CHECK(r == 0 && dgrams == b->dgrams && dgrams <= CV_PACKET_DGRAMS);
	CHECK(opens <= CV_PACKET_OPENS && controls <= CV_PACKET_CONTROLS);
}

static void check_packet(const struct cv_node *n, struct cv_buf *b)
{
	uint8_t *p = cv_buf_data(b);
	bool data = p[0] == CV_PACKET_DATA || p[0] == CV_PACKET_PLAIN_DATA;
	size_t tag = n->plain ? 0 : CV_TAG;
	CHECK(b->len >= CV_DATA_HEAD + tag && b->len <= CV_PACKET_MAX);
	CHECK(b->off + b->len <= b->cap);
	if (data)
		check_frames(b, p + CV_DATA_HEAD, p + b->len - tag);
	CHECK(data || !b->dgrams);
	t.sent[side_of(n)] += b->dgrams;
}

void __wrap_cv_node_output(struct cv_node *n, struct cv_link *link,
	struct cv_bufq *out, size_t bytes, cv_time now)
{
	struct cv_buf *last = out->tail;
	__real_cv_node_output(n, link, out, bytes, now);
	CHECK(out->count <= CV_OUT_BUFS);
	struct cv_buf *b = last ? last->next : out->head;
	for (; b; b = b->next)
		check_packet(n, b);
}

/* --- what must hold between events --- */

static uint64_t queued(const struct cv_node *n)
{
	uint64_t sum = 0;
	for (const struct cv_list *l = n->sessions.next; l != &n->sessions;
		l = l->next) {
		const struct cv_session *s =
			CV_CONTAINER(l, struct cv_session, all);
		size_t bytes = 0;
		for (struct cv_buf *b = s->txq.q.head; b; b = b->next) {
			sum += b->dgrams;
			bytes += b->len;
		}
		CHECK(bytes == s->txq.q.bytes);
		CHECK(s->ctl.count <= CV_CTL_BUFS);
	}
	return sum;
}

static void check_side(int i)
{
	static const enum cv_drop lost[] = { CV_DROP_AGED, CV_DROP_QUEUE_FULL,
		CV_DROP_NO_BUFFER, CV_DROP_NO_SESSION, CV_DROP_LINK_LOST };
	const struct cv_node *n = &t.p.side[i].node;
	const struct cv_stats *s = &n->stats;
	uint64_t sum = queued(n) + t.sent[i];
	check_places(n);
	for (unsigned k = 0; k < CV_COUNT(lost); k++)
		sum += s->drop[lost[k]] - t.refused[i][lost[k]];
	CHECK(s->tx_dgrams == sum);
	CHECK(s->rx_dgrams == t.p.side[i].edge.dgrams);
	CHECK(s->rx_dgram_bytes == t.p.side[i].edge.bytes);
	CHECK(n->pool.bytes <= n->pool.max);
	CHECK(n->flows.count <= n->flows.max);
}

/* --- the world --- */

static void resume(struct cv_waiter *w)
{
	t.p.side[w - t.waiter].resumed++;
}

static void set_up_side(int i)
{
	struct side *x = &t.p.side[i];
	memset(t.refused[i], 0, sizeof t.refused[i]);
	t.sent[i] = 0;
	t.waiter[i].resume = resume;
	cv_list_init(&t.waiter[i].list);
	if (t.modes & POOR)
		x->node.pool.max = MEMORY;
	if (t.modes & CROWDED)
		x->node.flows.max = x->node.flows.max_source = FLOWS;
	if (t.modes & PSK && x->s)
		memset(x->s->psk, 7, CV_KEY);
	if (t.modes & LINKS && x->s)
		x->s->allowed = WIRES;
}

static void set_up(struct feed f)
{
	t.f = f;
	t.modes = feed_byte(&t.f);
	t.bytes = BYTES;
	CHECK(!pair_init(&t.p, t.modes & PLAIN, (uint64_t[2]){ 0 }));
	for (int i = 0; i < 2; i++)
		set_up_side(i);
	pair_up(&t.p);
	t.p.delay = t.modes & SLOW ? CV_MS(30) : 0;
}

static void clear(void)
{
	for (int i = 0; i < 2; i++) {
		t.p.side[i].mem.fail_at = 0;
		cv_list_del(&t.waiter[i].list);
	}
	pair_clear(&t.p);
}

/* a wire that is open on side @i, from number @from on, or NULL */
static struct wire *open_wire(int i, unsigned from)
{
	for (unsigned k = 0; k < WIRES; k++) {
		struct wire *w = &t.p.wire[(from + k) % WIRES];
		if (w->end[i].open)
			return w;
	}
	return NULL;
}

static struct end *open_end(int i, unsigned from)
{
	struct wire *w = open_wire(i, from);
	return w ? &w->end[i] : NULL;
}

/* side @i's flow number @from, in the order of idleness, or NULL */
static struct cv_flow *flow_at(int i, unsigned from)
{
	const struct cv_flows *all = &t.p.side[i].node.flows;
	struct cv_list *l = all->lru.next;
	while (from-- && l != &all->lru)
		l = l->next;
	return l == &all->lru ? NULL : CV_CONTAINER(l, struct cv_flow, lru);
}

static size_t take_bytes(size_t n)
{
	n = n < t.bytes ? n : t.bytes;
	t.bytes -= n;
	return n;
}

/* --- events --- */

/* as if @e had received them */
static int receive(struct end *e, const uint8_t *p, size_t len)
{
	struct cv_node *n = &e->side->node;
	uint8_t *copy = exact(p, len);
	int r = cv_node_input(n, &e->link, copy, len, t.p.now);
	cv_node_input_done(n);
	free(copy);
	return r;
}

static uint64_t choose_number(struct cv_keys *k)
{
	uint8_t how = feed_byte(&t.f);
	if (!how)
		return k->session->number++;
	if (how == 0x80)
		return feed_number(&t.f, 8);
	return k->session->number + (uint64_t)(int8_t)how;
}

/* frames of the input's, in a packet of the far end's */
static void on_packet(void)
{
	static uint8_t packet[CV_PACKET_MAX];
	uint8_t where = feed_byte(&t.f);
	struct end *to = open_end(where & 1, where >> 1);
	struct cv_session *s = to ? to->far->link.session : NULL;
	struct cv_keys *k = s ? s->cur : NULL;
	if (!k)
		return;
	uint64_t number = choose_number(k);
	size_t len = 2 * (size_t)feed_byte(&t.f);
	size_t more = take_bytes((size_t)feed_byte(&t.f) << 8);
	const uint8_t *frames = feed_skip(&t.f, &len);
	more = len + more < CV_FRAMES_MAX ? more : CV_FRAMES_MAX - len;
	cv_head_put(packet, k->tx ? CV_PACKET_DATA : CV_PACKET_PLAIN_DATA,
		k->remote);
	cv_put64(packet + 8, number);
	if (len)
		memcpy(packet + CV_DATA_HEAD, frames, len);
	memset(packet + CV_DATA_HEAD + len, NO_FRAME, more);
	len += more;
	if (k->tx)
		cv_aead_seal(
			k->tx, number, CV_NO_BYTES, packet + CV_DATA_HEAD, len);
	len += CV_DATA_HEAD + (k->tx ? (size_t)CV_TAG : 0);
	/* whatever came of it, nothing comes of it again */
	receive(to, packet, len);
	if (to->open)
		CHECK(receive(to, packet, len));
}

static void on_bytes(void)
{
	uint8_t where = feed_byte(&t.f);
	size_t len = feed_byte(&t.f);
	const uint8_t *p = feed_skip(&t.f, &len);
	struct end *to = open_end(where & 1, where >> 1);
	if (to)
		receive(to, p, len);
}

static void on_time(void)
{
	uint8_t b = feed_byte(&t.f);
	pair_run(&t.p, t.p.now + ((1 + (b & 7u)) << (b >> 3) % 24));
}

/* a train from an edge; the edge waits if it must */
static void say(int i, struct cv_end *from)
{
	uint8_t size = feed_byte(&t.f), parts = feed_byte(&t.f);
	size_t len = take_bytes((size_t)size * (parts & 0x80 ? 256 : 1));
	unsigned n = parts == MANY ? 2 * CV_PACKET_DGRAMS : parts & 0x3f;
	size_t seg = n ? 1 + len / n : len;
	if (seg > CV_DGRAM_MAX || (!seg && len) || (seg && !len))
		seg = len = 0;
	if (pair_send(&t.p, from, filler, len, seg > len ? len : seg) == 1)
		cv_flow_wait(from, &t.waiter[i]);
}

static void on_client(void)
{
	static const char *const target[] = { "", "udp://127.0.0.1:9",
		"udp://[2001:db8::1]:53?bind=192.0.2.1:53", "nonsense" };
	unsigned n = feed_byte(&t.f) % CLIENTS;
	struct cv_flow *f = pair_open(&t.p, n, target[n % CV_COUNT(target)]);
	if (f)
		say(A, &f->end[0]);
}

static void on_flow(void)
{
	uint8_t where = feed_byte(&t.f);
	int i = where & 1;
	struct cv_flow *f = flow_at(i, where >> 1);
	if (f)
		say(i, &f->end[f->end[0].edge == NULL]);
}

static void on_close(void)
{
	uint8_t where = feed_byte(&t.f);
	struct cv_flow *f = flow_at(where & 1, where >> 1);
	if (f)
		cv_flow_close(&t.p.side[where & 1].node, f, NULL, CV_RESET_DONE,
			t.p.now);
}

/* a target that was still being resolved */
static void on_late_answer(void)
{
	uint8_t where = feed_byte(&t.f);
	struct cv_flow *f = flow_at(B, where >> 1);
	if (!f || !f->end[1].edge || f->state != CV_FLOW_OPENING)
		return;
	if (where & 1)
		cv_flow_opened(&t.p.side[B].node, &f->end[1], t.p.now);
	else
		cv_flow_refused(
			&t.p.side[B].node, &f->end[1], CULVERT_ESYS, t.p.now);
}

static void on_pin(void)
{
	uint8_t where = feed_byte(&t.f);
	struct cv_flow *f = flow_at(where & 1, where >> 1);
	if (f)
		cv_flow_pin(&t.p.side[where & 1].node, f);
}

static void on_policy(void)
{
	static const int answer[] = { 0, 1, CULVERT_EREFUSED, CULVERT_EFULL };
	uint8_t n = feed_byte(&t.f);
	t.p.side[B].edge.answer = answer[n % CV_COUNT(answer)];
}

static void on_block(void)
{
	uint8_t where = feed_byte(&t.f);
	struct end *e = open_end(where & 1, where >> 1);
	if (e && !e->link.blocked)
		pair_block(e);
	else if (e)
		pair_unblock(e);
}

static void on_cut(void)
{
	struct wire *w = open_wire(A, feed_byte(&t.f));
	if (w)
		pair_cut(&t.p, w);
}

/* dialled, as it is when there are too few, or the connection of a stranger */
static void on_wire(void)
{
	struct cv_session *s = feed_byte(&t.f) & 1 ? t.p.side[A].s : NULL;
	int place = s ? free_place(s) : 0;
	if (place < 0)
		return;
	pair_cut(&t.p, &t.p.wire[WIRES - 1]);
	pair_join(&t.p, s, (unsigned)place);
}

/* a link that mends a loss, or takes one packet at a time */
static void on_line(void)
{
	uint8_t where = feed_byte(&t.f);
	struct end *e = open_end(where & 1, where >> 1 & (WIRES - 1));
	if (!e)
		return;
	e->mending = where & 0x40;
	e->narrow = where & 0x80;
}

static void on_restart(void)
{
	int i = feed_byte(&t.f) & 1;
	cv_list_del(&t.waiter[i].list);
	t.p.side[i].mem.fail_at = 0;
	pair_restart(&t.p, i);
	set_up_side(i);
}

static void on_drain(void)
{
	cv_node_drain(&t.p.side[feed_byte(&t.f) & 1].node);
}

static void on_failure(void)
{
	uint8_t where = feed_byte(&t.f);
	struct mem *m = &t.p.side[where & 1].mem;
	m->fail_at = m->calls + 1 + (where >> 1);
}

static void on_settle(void)
{
	pair_settle(&t.p);
}

static void (*const event[])(void) = { on_packet, on_bytes, on_time, on_client,
	on_flow, on_close, on_late_answer, on_pin, on_policy, on_block, on_cut,
	on_wire, on_restart, on_drain, on_failure, on_settle, on_line };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	set_up((struct feed){ data, size });
	for (int i = 0; i < EVENTS && t.f.left; i++) {
		event[feed_byte(&t.f) % CV_COUNT(event)]();
		check_side(A);
		check_side(B);
	}
	pair_run(&t.p, t.p.now + CV_SEC(1));
	check_side(A);
	check_side(B);
	clear();
	return 0;
}
