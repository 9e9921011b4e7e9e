/* SPDX-License-Identifier: MIT */
/**
 * fuzz_handshake.c - initiations, responses and cookies, and who meddles
 *
 *	modes 1 | (event 1, its arguments) ...
 *
 * Between two nodes everything that is said on the way to keys may be lost,
 * repeated, kept, changed and changed with its mac1 made right.  What was
 * changed is refused, what is refused leaves nothing behind, no answer is
 * longer than its question, and afterwards the two still find each other.  A
 * session may have several links: they join, they are replaced, and who agrees
 * on keys elsewhere leaves them.
 */
#include "fuzz/places.h"
#include "unit/pair.h"

enum {
	EVENTS = 12, /* of one input */
	SLOTS = 4,
	LONGEST = CV_INIT_SIZE + 16,
	CHANGES = 8,
	LINKS_OF_A = 3,
	LINKS_OF_B = 2,
};

enum { PLAIN = 1, PSK = 2, OTHER_PSK = 4, SLOW = 8, LINKS = 16, FEWER = 32 };

/** struct kept - a packet for later */
struct kept {
	uint8_t data[LONGEST];
	size_t len;
};

/** struct trial - one input's world */
struct trial {
	struct pair p;
	struct feed f;
	uint8_t modes;
	struct kept slot[SLOTS];
	bool spoiled; /* somebody else used A's key */
};

static struct trial t;

/** struct part - what of a packet cannot be changed without being noticed */
struct part {
	size_t mac1;     /* where it stands, or 0 */
	size_t from, to; /* sealed: even if mac1 is right */
};

static struct part part_of(const uint8_t *p)
{
	switch (p[0]) {
	case CV_PACKET_INIT:
		return (struct part){ CV_INIT_MAC1, CV_INIT_NOISE,
			CV_INIT_MAC1 };
	case CV_PACKET_RESPONSE:
		return (struct part){ CV_RESPONSE_MAC1, CV_RESPONSE_NOISE,
			CV_RESPONSE_MAC1 };
	case CV_PACKET_COOKIE:
		return (struct part){ 0, 8, CV_COOKIE_SIZE };
	default:
		return (struct part){ 0 };
	}
}

static void fix_mac1(struct end *to, uint8_t *p, size_t len)
{
	struct part part = part_of(p);
	struct cv_node *n = &to->side->node;
	if (part.mac1 && len >= part.mac1 + CV_MAC)
		cv_mac1(n->crypto, p + part.mac1, n->pub, p, part.mac1);
}

/* --- what a packet may do --- */

static int receive(struct end *to, const uint8_t *p, size_t len)
{
	struct cv_node *n = &to->side->node;
	struct cv_stats was = n->stats;
	size_t bytes = to->link.replies.bytes, keys = n->by_index.used;
	size_t sessions = n->nsessions;
	uint8_t *copy = exact(p, len);
	int r = cv_node_input(n, &to->link, copy, len, t.p.now);
	free(copy);
	CHECK(r >= 0 && r < CV_DROP_N);
	CHECK(!r || n->stats.drop[r] == was.drop[r] + 1);
	if (!to->open)
		return r;
	CHECK(to->link.replies.bytes <= bytes + len);
	CHECK(to->link.replies.count <= CV_REPLY_BUFS);
	if (!r)
		return r;
	CHECK(n->stats.handshakes == was.handshakes);
	CHECK(n->by_index.used == keys && n->nsessions == sessions);
	CHECK(r == CV_DROP_UNDER_LOAD || to->link.replies.bytes == bytes);
	return r;
}

/* changed in a few places, and perhaps with a mac1 that fits again */
static void tamper(struct end *to, const uint8_t *p, size_t len)
{
	struct kept k = { .len = len };
	uint8_t how = feed_byte(&t.f);
	memcpy(k.data, p, len);
	for (int n = how % CHANGES + 1; n; n--) {
		uint8_t at = feed_byte(&t.f);
		k.data[at % len] ^= feed_byte(&t.f);
	}
	bool fixed = how & 0x80;
	if (fixed)
		fix_mac1(to, k.data, len);
	struct part part = part_of(p);
	bool noticed = memcmp(p + part.from, k.data + part.from,
			       part.to - part.from) != 0;
	if (part.mac1 && !fixed)
		noticed = memcmp(p, k.data, part.mac1 + CV_MAC) != 0;
	int r = receive(to, k.data, len);
	CHECK(!noticed || r);
}

/* cut off, or with something behind it */
static void stretch(struct end *to, const uint8_t *p, size_t len)
{
	struct kept k = { .len = 0 };
	memcpy(k.data, p, len);
	k.len = feed_byte(&t.f) % LONGEST;
	int r = receive(to, k.data, k.len);
	CHECK(r || k.len == len);
}

static void keep(const uint8_t *p, size_t len)
{
	struct kept *k = &t.slot[feed_byte(&t.f) % SLOTS];
	memcpy(k->data, p, len);
	k->len = len;
}

/* what happens to a packet on its way */
enum { LOST = 1, TWICE, KEPT, CHANGED_TOO, CHANGED, STRETCHED, FATES = 8 };

/* true: it arrives as it is */
static bool meddle(struct pair *pair, struct end *to, uint8_t *p, size_t len)
{
	(void)pair;
	if (p[0] == CV_PACKET_DATA || p[0] == CV_PACKET_PLAIN_DATA ||
		len > CV_INIT_SIZE)
		return true;
	switch (feed_byte(&t.f) % FATES) {
	case LOST:
		return false;
	case TWICE:
		receive(to, p, len);
		return true;
	case KEPT:
		keep(p, len);
		return true;
	case CHANGED_TOO:
		tamper(to, p, len);
		return true;
	case CHANGED:
		tamper(to, p, len);
		return false;
	case STRETCHED:
		stretch(to, p, len);
		return true;
	default:
		return true;
	}
}

/* --- the world --- */

static void configure(int i)
{
	struct cv_session *s = t.p.side[i].s;
	if (s && i == A && t.modes & LINKS)
		s->allowed = LINKS_OF_A;
	if (s && i == B && t.modes & FEWER)
		s->allowed = LINKS_OF_B;
	if (s && t.modes & PSK)
		memset(s->psk, 7, CV_KEY);
	if (s && t.modes & OTHER_PSK && i == B)
		memset(s->psk, 8, CV_KEY);
}

static void set_up(struct feed f)
{
	memset(&t.slot, 0, sizeof t.slot);
	t.spoiled = false;
	t.f = f;
	t.modes = feed_byte(&t.f);
	CHECK(!pair_init(&t.p, t.modes & PLAIN, (uint64_t[2]){ 0 }));
	for (int i = 0; i < 2; i++)
		configure(i);
	t.p.delay = t.modes & SLOW ? CV_MS(30) : 0;
	t.p.tap = meddle;
}

static struct end *open_end(int i, unsigned from)
{
	for (unsigned k = 0; k < WIRES; k++) {
		struct end *e = &t.p.wire[(from + k) % WIRES].end[i];
		if (e->open)
			return e;
	}
	return NULL;
}

/* --- events --- */

/* the next link, as the shell would dial it; nothing goes over it yet */
static void on_dial_quietly(void)
{
	struct cv_session *s = t.p.side[A].s;
	int place = free_place(s);
	if (place < 0)
		return;
	pair_cut(&t.p, &t.p.wire[WIRES - 1]);
	pair_join(&t.p, s, (unsigned)place);
}

static void on_dial(void)
{
	on_dial_quietly();
	pair_settle(&t.p);
}

/* the connection of somebody else */
static void on_stranger(void)
{
	pair_cut(&t.p, &t.p.wire[WIRES - 1]);
	pair_wire(&t.p, NULL);
}

static void on_time(void)
{
	uint8_t b = feed_byte(&t.f);
	pair_run(&t.p, t.p.now + ((1 + (b & 7u)) << (b >> 3) % 24));
}

static void on_kept(void)
{
	uint8_t where = feed_byte(&t.f);
	const struct kept *k = &t.slot[where >> 1 & (SLOTS - 1)];
	struct end *to = open_end(where & 1, where >> 3);
	if (to && k->len)
		receive(to, k->data, k->len);
}

static void on_kept_changed(void)
{
	uint8_t where = feed_byte(&t.f);
	const struct kept *k = &t.slot[where >> 1 & (SLOTS - 1)];
	struct end *to = open_end(where & 1, where >> 3);
	if (to && k->len)
		tamper(to, k->data, k->len);
}

/* any bytes as some packet of the right length */
static void on_bytes(void)
{
	static const uint8_t type[] = { CV_PACKET_INIT, CV_PACKET_RESPONSE,
		CV_PACKET_COOKIE, CV_PACKET_PLAIN_INIT,
		CV_PACKET_PLAIN_RESPONSE };
	static const size_t size[] = { CV_INIT_SIZE, CV_RESPONSE_SIZE,
		CV_COOKIE_SIZE, CV_PLAIN_INIT_SIZE, CV_PLAIN_RESPONSE_SIZE };
	uint8_t where = feed_byte(&t.f), what = feed_byte(&t.f);
	struct end *to = open_end(where & 1, where >> 1);
	struct kept k = { .len = size[what % CV_COUNT(size)] };
	size_t n = k.len - 1;
	const uint8_t *p = feed_skip(&t.f, &n);
	if (n)
		memcpy(k.data + 1, p, n);
	k.data[0] = type[what % CV_COUNT(type)];
	if (!to)
		return;
	fix_mac1(to, k.data, k.len);
	receive(to, k.data, k.len);
}

/** struct claim - an initiation of the input's making */
struct claim {
	struct cv_hello hello;
	uint64_t index;
	bool stranger; /* not A, although with B's public key */
	bool answers;  /* the cookie, too, is right */
};

static struct claim read_claim(uint64_t stamp)
{
	struct claim c;
	uint8_t flags = feed_byte(&t.f);
	if (flags & 16)
		t.p.now += CV_INIT_INTERVAL;
	c.stranger = flags & 1;
	c.answers = flags & 2;
	c.hello.version = flags & 4 ? (uint16_t)feed_number(&t.f, 2) : 1;
	c.hello.max_age = flags & 8 ? (uint32_t)feed_number(&t.f, 4) : 50000;
	c.hello.stamp = stamp + (uint64_t)(int8_t)feed_byte(&t.f);
	c.hello.instance = feed_byte(&t.f);
	c.index = feed_number(&t.f, 2);
	return c;
}

static void write_claim(struct end *to, const struct claim *c, uint8_t *p)
{
	struct cv_node *n = &to->side->node;
	uint8_t priv[CV_KEY], pub[CV_KEY], e[CV_KEY], key[CV_KEY] = { 0 };
	struct cv_noise noise;
	memcpy(priv, t.p.side[A].priv, CV_KEY);
	priv[0] ^= c->stranger;
	cv_crypto_public(pub, priv);
	rnd_fill(&t.p.seed, e, sizeof e);
	cv_head_put(p, CV_PACKET_INIT, c->index);
	cv_hello_put(p + CV_INIT_NOISE + 80, &c->hello);
	cv_noise_init(&noise, n->crypto, priv, n->pub, CV_PROLOGUE);
	CHECK(!cv_noise_write1(&noise, e, pub, p + CV_INIT_NOISE, CV_HELLO));
	fix_mac1(to, p, CV_INIT_SIZE);
	if (c->answers) {
		cv_cookie_make(&n->cookies, &to->link.remote, t.p.now, key);
		cv_crypto_mac(n->crypto, p + CV_INIT_MAC1 + CV_MAC, key,
			CV_BYTES(p, CV_INIT_MAC1 + CV_MAC));
	}
}

static bool loaded(const struct cv_cookies *k)
{
	return t.p.now - k->second < CV_SEC(1) && k->count >= CV_UNDER_LOAD;
}

static bool too_soon(const struct cv_link *l)
{
	return l->init_at && t.p.now - l->init_at < CV_INIT_INTERVAL &&
	       !(l->cookied && l->cookies <= CV_COOKIES_LINK);
}

/* what protocol.md says becomes of it */
static int verdict(const struct end *to, const struct claim *c)
{
	if (too_soon(&to->link))
		return CV_DROP_FLOOD;
	if (loaded(&to->side->node.cookies) && !c->answers)
		return CV_DROP_UNDER_LOAD;
	if (c->stranger)
		return CV_DROP_UNKNOWN_PEER;
	if (c->hello.version != 1)
		return CV_DROP_MALFORMED;
	if (c->hello.stamp <= to->side->s->stamp)
		return CV_DROP_STALE_HELLO;
	return to->link.replies.count < CV_REPLY_BUFS ? 0 : CV_DROP_NO_BUFFER;
}

static void on_claim(void)
{
	uint8_t packet[CV_INIT_SIZE] = { 0 };
	struct end *to = open_end(B, feed_byte(&t.f));
	if (!to || t.modes & PLAIN)
		return;
	struct claim c = read_claim(to->side->s->stamp);
	int want = verdict(to, &c);
	write_claim(to, &c, packet);
	CHECK(receive(to, packet, sizeof packet) == want);
	CHECK(want || to->side->s->stamp == c.hello.stamp);
	t.spoiled |= !want;
}

/* the same without keys: anybody may be anybody, but one on a link */
static void on_plain_claim(void)
{
	uint8_t packet[CV_PLAIN_INIT_SIZE];
	struct end *to = open_end(B, feed_byte(&t.f));
	if (!to || !(t.modes & PLAIN))
		return;
	struct claim c = read_claim(0);
	const struct cv_session *s = to->link.session;
	cv_head_put(packet, CV_PACKET_PLAIN_INIT, c.index);
	memset(packet + 8, c.stranger ? (int)c.index : 0, CV_KEY);
	if (!c.stranger)
		memcpy(packet + 8, t.p.side[A].node.pub, CV_KEY);
	cv_hello_put(packet + 8 + CV_KEY, &c.hello);
	bool other = s && memcmp(s->pub, packet + 8, CV_KEY) != 0;
	int want = other ? CV_DROP_STRANGER : 0;
	if (c.hello.version != 1)
		want = CV_DROP_MALFORMED;
	if (too_soon(&to->link))
		want = CV_DROP_FLOOD;
	/* whoever gets no answer has a session all the same */
	if (want || to->link.replies.count < CV_REPLY_BUFS)
		CHECK(receive(to, packet, sizeof packet) == want);
}

/* as many handshakes as begin cookies */
static void on_load(void)
{
	struct cv_cookies *k = &t.p.side[B].node.cookies;
	k->second = t.p.now;
	k->count = CV_UNDER_LOAD;
}

static void on_cut(void)
{
	pair_cut(&t.p, &t.p.wire[feed_byte(&t.f) % WIRES]);
}

/* who does not read gets no more answers than wait for it */
static void on_block(void)
{
	uint8_t where = feed_byte(&t.f);
	struct end *e = open_end(where & 1, where >> 1);
	if (e && !e->link.blocked)
		pair_block(e);
	else if (e)
		pair_unblock(e);
}

static void on_rekey(void)
{
	struct cv_session *s = t.p.side[A].s;
	struct cv_path *p = cv_path_next(s, NULL);
	if (p)
		CHECK(!cv_handshake_start(s, p, t.p.now));
	pair_settle(&t.p);
}

/* over any link that carries datagrams, while others come and go */
static void on_rekey_over(void)
{
	struct cv_session *s = t.p.side[A].s;
	struct cv_path *p = &s->path[feed_byte(&t.f) % CV_LINKS_SESSION];
	if (p->ready)
		CHECK(!cv_handshake_start(s, p, t.p.now));
}

/* places that B agreed to under these keys; without cryptography the two may
 * have been told different numbers */
static unsigned places_at(const struct end *e, const struct cv_keys *k)
{
	struct cv_hnode *h = cv_htab_first(&e->side->node.by_index, k->remote);
	return h ? CV_CONTAINER(h, struct cv_keys, by_index)->links : 0;
}

/* LINK with any number in a packet of A's, on any connection to B */
static void on_link(void)
{
	uint8_t packet[CV_DATA_HEAD + CV_FRAME_SHORT + CV_TAG];
	uint8_t where = feed_byte(&t.f), number = feed_byte(&t.f);
	struct end *to = open_end(B, where);
	struct cv_keys *k = t.p.side[A].s->cur;
	if (!to || !k)
		return;
	bool had = to->link.path != NULL;
	unsigned places = places_at(to, k);
	size_t len = cv_frame_put(packet + CV_DATA_HEAD,
		&(struct cv_frame){ .type = CV_FRAME_LINK, .value = number });
	cv_head_put(packet, k->tx ? CV_PACKET_DATA : CV_PACKET_PLAIN_DATA,
		k->remote);
	cv_put64(packet + 8, k->session->number);
	if (k->tx)
		cv_aead_seal(k->tx, k->session->number, CV_NO_BYTES,
			packet + CV_DATA_HEAD, len);
	k->session->number++;
	len += CV_DATA_HEAD + (k->tx ? (size_t)CV_TAG : 0);
	int r = cv_node_input(&to->side->node, &to->link, packet, len, t.p.now);
	CHECK(r || (to->open && to->link.path));
	CHECK(had || !r == (to->link.path != NULL));
	CHECK(had || r || cv_path_number(to->link.path) == number);
	CHECK(had || r || number < places);
}

static void on_restart(void)
{
	int i = feed_byte(&t.f) & 1;
	pair_restart(&t.p, i);
	configure(i);
	/* B has forgotten the stamps that somebody else used */
	t.spoiled &= i == A;
}

/* something said under the keys there are, if there are any */
static void on_ping(void)
{
	cv_session_control(t.p.side[A].s,
		&(struct cv_frame){ .type = CV_FRAME_PING }, t.p.now);
	pair_settle(&t.p);
}

static void (*const event[])(void) = { on_dial, on_stranger, on_time, on_kept,
	on_kept_changed, on_bytes, on_claim, on_plain_claim, on_load, on_cut,
	on_rekey, on_restart, on_ping, on_block, on_dial_quietly, on_rekey_over,
	on_link };

/* with nobody between them, and after a while, they agree again */
static void find_each_other(void)
{
	bool differ = !(t.modes & PLAIN) && t.modes & OTHER_PSK;
	struct cv_session *s = t.p.side[A].s;
	t.p.tap = NULL;
	t.p.delay = 0;
	for (int i = 0; i < WIRES; i++)
		pair_cut(&t.p, &t.p.wire[i]);
	pair_run(&t.p, t.p.now + CV_SEC(2));
	uint64_t before = s->stats.rx_packets;
	pair_wire(&t.p, s);
	pair_settle(&t.p);
	CHECK(cv_session_up(s) == !differ);
	if (differ)
		return;
	/* each has opened what the other sealed: a PING and its PONG */
	struct cv_node *n = &t.p.side[B].node;
	struct cv_session *far = cv_node_find(n, t.p.side[A].node.pub);
	CHECK(far && cv_session_up(far) && s->links && far->links);
	CHECK(s->rx_at == t.p.now && s->stats.rx_packets > before);
	for (int place; (place = free_place(s)) >= 0;) {
		pair_join(&t.p, s, (unsigned)place);
		pair_settle(&t.p);
		CHECK(s->path[place].ready && far->path[place].ready);
	}
	CHECK(s->ready == s->cur->links && far->ready == s->ready);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	set_up((struct feed){ data, size });
	for (int i = 0; i < EVENTS && t.f.left; i++) {
		event[feed_byte(&t.f) % CV_COUNT(event)]();
		check_places(&t.p.side[A].node);
		check_places(&t.p.side[B].node);
	}
	if (!t.spoiled)
		find_each_other();
	pair_clear(&t.p);
	return 0;
}
