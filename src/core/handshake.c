/* SPDX-License-Identifier: MIT */
/**
 * handshake.c - initiation, response, cookie; doc/protocol.md, section 4
 *
 * DOC: Nothing is remembered of a packet until everything in it verified.
 * The order of checks is the order of their cost: length, mac1, cookie (only
 * under load), then Diffie-Hellman.
 */
#include "core/keytext.h"
#include "core/node.h"
#include "core/transport.h"

#include <string.h>

/* at least 1: 0 would say nothing */
static uint32_t up(const struct cv_session *s, cv_time now)
{
	cv_time up = now - (s->began ? s->began : s->node->began);
	if (up > UINT32_MAX)
		return UINT32_MAX;
	return up ? (uint32_t)up : 1;
}

static struct cv_hello our_hello(const struct cv_session *s, cv_time now)
{
	struct cv_node *node = s->node;
	return (struct cv_hello){
		.version = 1,
		.links = (uint16_t)s->allowed,
		.max_age = (uint32_t)node->max_age,
		.stamp = node->env.wall + now,
		.instance = node->instance + s->forgotten,
		.largest = CV_DGRAM_MAX,
		.up = up(s, now),
	};
}

static int add_macs(struct cv_session *s, const uint8_t receiver[CV_KEY],
	uint8_t *p, size_t at, cv_time now)
{
	struct cv_node *node = s->node;
	int err = cv_mac1(node->crypto, p + at, receiver, p, at);
	if (err)
		return err;
	memcpy(s->mac1, p + at, CV_MAC);
	memset(p + at + CV_MAC, 0, CV_MAC);
	if (!s->cookie_at || now - s->cookie_at > CV_COOKIE_LIFE)
		return 0;
	/* mac2 covers everything before it, mac1 included */
	uint8_t key[CV_KEY] = { 0 };
	memcpy(key, s->cookie, CV_MAC);
	return cv_crypto_mac(
		node->crypto, p + at + CV_MAC, key, CV_BYTES(p, at + CV_MAC));
}

void cv_handshake_stop(struct cv_session *s)
{
	if (s->hs_sent)
		cv_htab_del(&s->node->by_hello, &s->hs_by_index);
	s->hs_sent = 0;
	s->hs_path = NULL;
	cv_noise_wipe(&s->hs);
	cv_buf_free(&s->node->pool, s->hello);
	s->hello = NULL;
}

static int write_init(struct cv_session *s, struct cv_buf *b, cv_time now)
{
	struct cv_node *node = s->node;
	struct cv_hello hello = our_hello(s, now);
	uint8_t *p = cv_buf_data(b), e[CV_KEY];

	if (s->plain) {
		cv_head_put(p, CV_PACKET_PLAIN_INIT, s->hs_index);
		memcpy(p + 8, node->pub, CV_KEY);
		cv_hello_put(p + 8 + CV_KEY, &hello);
		b->len = CV_PLAIN_INIT_SIZE;
		return 0;
	}
	cv_head_put(p, CV_PACKET_INIT, s->hs_index);
	int err = cv_noise_init(
		&s->hs, node->crypto, node->priv, s->pub, CV_PROLOGUE);
	memcpy(s->hs.psk, s->psk, CV_KEY);
	cv_hello_put(p + CV_INIT_NOISE + 80, &hello);
	node->env.random(node->env.user, e, sizeof e);
	if (!err)
		err = cv_noise_write1(
			&s->hs, e, node->pub, p + CV_INIT_NOISE, CV_HELLO);
	cv_crypto_wipe(e, sizeof e);
	if (!err)
		err = add_macs(s, s->pub, p, CV_INIT_MAC1, now);
	b->len = CV_INIT_SIZE;
	return err;
}

int cv_handshake_start(struct cv_session *s, struct cv_path *path, cv_time now)
{
	struct cv_buf *b = cv_buf_small(&s->node->pool);
	if (!b)
		return CULVERT_ENOMEM;
	cv_handshake_stop(s);
	s->hs_index = cv_node_new_index(s->node);
	int err = write_init(s, b, now);
	if (err) {
		cv_buf_free(&s->node->pool, b);
		return err;
	}
	s->hello = b;
	s->hs_path = path;
	s->hs_sent = now ? now : 1;
	cv_htab_add(&s->node->by_hello, &s->hs_by_index, s->hs_index);
	cv_node_dirty(s->node, path->link);
	return 0;
}

/* the response, behind which the keys are installed */
static int write_response(struct cv_session *s, const struct cv_agreed *a,
	struct cv_buf *b, cv_time now)
{
	struct cv_node *node = s->node;
	struct cv_hello hello = our_hello(s, now);
	uint8_t *p = cv_buf_data(b), e[CV_KEY];

	cv_head_put(p, a->noise ? CV_PACKET_RESPONSE : CV_PACKET_PLAIN_RESPONSE,
		a->remote);
	cv_put64(p + 8, a->index);
	if (!a->noise) {
		cv_hello_put(p + 16, &hello);
		b->len = CV_PLAIN_RESPONSE_SIZE;
		return 0;
	}
	cv_hello_put(p + CV_RESPONSE_NOISE + CV_KEY, &hello);
	node->env.random(node->env.user, e, sizeof e);
	int err = cv_noise_write2(a->noise, e, p + CV_RESPONSE_NOISE, CV_HELLO);
	cv_crypto_wipe(e, sizeof e);
	if (!err)
		err = add_macs(s, s->pub, p, CV_RESPONSE_MAC1, now);
	b->len = CV_RESPONSE_SIZE;
	return err;
}

/* for an answer on a link that has not too many waiting, or NULL */
static struct cv_buf *reply_room(
	struct cv_node *node, const struct cv_link *link)
{
	return link->replies.count < CV_REPLY_BUFS ? cv_buf_small(&node->pool)
						   : NULL;
}

static int respond(struct cv_session *s, struct cv_link *link,
	struct cv_agreed *a, cv_time now)
{
	struct cv_node *node = s->node;
	struct cv_buf *b = reply_room(node, link);
	if (!b)
		return CULVERT_ENOMEM;
	a->index = cv_node_new_index(node);
	a->fresh = !cv_path_on(s, link);
	a->from = link->remote;
	int err = write_response(s, a, b, now);
	if (!err)
		err = cv_keys_install(s, a, now);
	if (err) {
		cv_buf_free(&node->pool, b);
		return err;
	}
	cv_bufq_push(&link->replies, b);
	cv_node_dirty(node, link);
	return 0;
}

static int check_mac1(struct cv_node *node, const uint8_t *p, size_t at)
{
	uint8_t mac[CV_MAC];
	if (cv_mac1(node->crypto, mac, node->pub, p, at))
		return CV_DROP_BAD_MAC;
	return cv_crypto_equal(mac, p + at, CV_MAC) ? 0 : CV_DROP_BAD_MAC;
}

/* under load: only who received our cookie may cost us Diffie-Hellman */
static int check_cookie(struct cv_node *node, struct cv_link *link,
	const uint8_t *p, size_t at, cv_time now)
{
	uint8_t cookie[CV_MAC], key[CV_KEY] = { 0 }, mac[CV_MAC];
	if (cv_cookie_make(&node->cookies, &link->remote, now, cookie))
		return CV_DROP_UNDER_LOAD;
	memcpy(key, cookie, CV_MAC);
	if (!cv_crypto_mac(node->crypto, mac, key, CV_BYTES(p, at + CV_MAC)) &&
		cv_crypto_equal(mac, p + at + CV_MAC, CV_MAC))
		return 0;
	struct cv_buf *b = reply_room(node, link);
	if (!b)
		return CV_DROP_UNDER_LOAD;
	b->len = CV_COOKIE_SIZE;
	if (cv_cookie_seal(&node->cookies, p, at, cookie, cv_buf_data(b))) {
		cv_buf_free(&node->pool, b);
		return CV_DROP_UNDER_LOAD;
	}
	cv_bufq_push(&link->replies, b);
	link->cookied = true;
	if (link->cookies <= CV_COOKIES_LINK)
		link->cookies++;
	cv_node_dirty(node, link);
	return CV_DROP_UNDER_LOAD;
}

static int plain_init(struct cv_node *node, struct cv_link *link, uint8_t *p,
	size_t len, cv_time now)
{
	struct cv_agreed a = { .remote = cv_get64(p) & CV_INDEX_MASK };
	if (len != CV_PLAIN_INIT_SIZE)
		return CV_DROP_MALFORMED;
	cv_hello_get(p + 8 + CV_KEY, &a.hello);
	if (a.hello.version != 1)
		return CV_DROP_MALFORMED;
	struct cv_session *s = cv_node_find(node, p + 8);
	if (link->session && link->session != s)
		return CV_DROP_STRANGER;
	if (!s && node->nsessions >= CV_PLAIN_MAX)
		cv_session_forget_one(node);
	if (!s && node->nsessions < CV_PLAIN_MAX) {
		s = cv_session_new(node, p + 8, true);
		if (s) {
			s->temporary = true;
			s->forgotten = node->forgotten;
			s->began = s->rx_at = now;
			cv_session_schedule(s, now);
		}
	}
	if (!s)
		return CV_DROP_NO_BUFFER;
	return respond(s, link, &a, now) ? CV_DROP_NO_BUFFER : 0;
}

/* somebody who knows our key: the operator may have forgotten a --peer */
static void log_unknown(
	struct cv_node *node, const struct cv_link *link, const uint8_t *pub)
{
	char key[CULVERT_KEYTEXT], at[CV_ADDRTEXT];
	cv_log(node, CULVERT_WARN,
		"msg=\"no such peer here\" key=%s link=%s://%s",
		cv_keytext_format(pub, key), link->ops->name,
		cv_addr_format(&link->remote, at));
}

static int sealed_init(struct cv_node *node, struct cv_link *link, uint8_t *p,
	struct cv_noise *noise, cv_time now)
{
	struct cv_agreed a = { .noise = noise,
		.remote = cv_get64(p) & CV_INDEX_MASK };
	if (cv_noise_init(
		    noise, node->crypto, node->priv, node->pub, CV_PROLOGUE) ||
		cv_noise_read1(noise, p + CV_INIT_NOISE, CV_HELLO))
		return CV_DROP_FORGED;
	struct cv_session *s = cv_node_find(node, noise->rs);
	if (!s) {
		log_unknown(node, link, noise->rs);
		return CV_DROP_UNKNOWN_PEER;
	}
	if (link->session && link->session != s)
		return CV_DROP_STRANGER;
	cv_hello_get(p + CV_INIT_NOISE + 80, &a.hello);
	if (a.hello.version != 1)
		return CV_DROP_MALFORMED;
	if (a.hello.stamp <= s->stamp)
		return CV_DROP_STALE_HELLO;
	memcpy(noise->psk, s->psk, CV_KEY);
	if (respond(s, link, &a, now))
		return CV_DROP_NO_BUFFER;
	s->stamp = a.hello.stamp;
	return 0;
}

int cv_handshake_init(struct cv_node *node, struct cv_link *link, uint8_t *p,
	size_t len, cv_time now)
{
	bool plain = p[0] == CV_PACKET_PLAIN_INIT;
	struct cv_noise noise;

	if (plain != node->plain)
		return CV_DROP_PLAIN;
	if (!node->accepts || node->draining)
		return CV_DROP_UNKNOWN_PEER;
	bool at_once = (link->cookied && link->cookies <= CV_COOKIES_LINK) ||
		       link->ops->flags & CV_LINK_PORT;
	if (link->init_at && now - link->init_at < CV_INIT_INTERVAL && !at_once)
		return CV_DROP_FLOOD;
	link->cookied = false;
	link->init_at = now;
	if (plain)
		return plain_init(node, link, p, len, now);
	if (len != CV_INIT_SIZE)
		return CV_DROP_MALFORMED;
	int drop = check_mac1(node, p, CV_INIT_MAC1);
	if (!drop && cv_cookies_loaded(&node->cookies, now))
		drop = check_cookie(node, link, p, CV_INIT_MAC1, now);
	if (drop)
		return drop;
	drop = sealed_init(node, link, p, &noise, now);
	cv_noise_wipe(&noise);
	return drop;
}

static struct cv_session *by_hello(struct cv_node *node, uint64_t index)
{
	struct cv_hnode *n = cv_htab_first(&node->by_hello, index);
	return n ? CV_CONTAINER(n, struct cv_session, hs_by_index) : NULL;
}

/* the responder's message: hello and, sealed, proof of its keys */
static int read_response(
	struct cv_session *s, uint8_t *p, size_t len, struct cv_hello *hello)
{
	struct cv_node *node = s->node;
	if (s->plain) {
		cv_hello_get(p + 16, hello);
		return len == CV_PLAIN_RESPONSE_SIZE ? 0 : CV_DROP_MALFORMED;
	}
	int drop = check_mac1(node, p, CV_RESPONSE_MAC1);
	if (drop)
		return drop;
	/* a forged response must not spoil the handshake */
	struct cv_noise noise = s->hs;
	int err = cv_noise_read2(&noise, p + CV_RESPONSE_NOISE, CV_HELLO);
	if (!err)
		s->hs = noise;
	cv_noise_wipe(&noise);
	cv_hello_get(p + CV_RESPONSE_NOISE + CV_KEY, hello);
	return err ? CV_DROP_FORGED : 0;
}

int cv_handshake_response(struct cv_node *node, struct cv_link *link,
	uint8_t *p, size_t len, cv_time now)
{
	bool plain = p[0] == CV_PACKET_PLAIN_RESPONSE;
	struct cv_agreed a = { .initiator = true };

	if (plain != node->plain)
		return CV_DROP_PLAIN;
	if (len != (plain ? CV_PLAIN_RESPONSE_SIZE : CV_RESPONSE_SIZE))
		return CV_DROP_MALFORMED;
	struct cv_session *s = by_hello(node, cv_get64(p) & CV_INDEX_MASK);
	struct cv_path *path = s ? cv_path_on(s, link) : NULL;
	if (!path || s->hs_path != path)
		return CV_DROP_UNKNOWN_INDEX;
	int drop = read_response(s, p, len, &a.hello);
	if (drop || a.hello.version != 1)
		return drop ? drop : CV_DROP_MALFORMED;
	a.noise = plain ? NULL : &s->hs;
	a.index = s->hs_index;
	a.remote = cv_get64(p + 8) & CV_INDEX_MASK;
	a.fresh = !path->ready;
	s->hs_wait = CV_HELLO_WAIT;
	if (path->link->ops->heard) {
		path->link->ops->heard(path->link, link, now);
	} else if (path->link != link) { /* which address has answered */
		path->link->remote = link->remote;
		path->link->local = link->local;
	}
	path->rtt = now - s->hs_sent;
	int err = cv_keys_install(s, &a, now);
	cv_handshake_stop(s);
	if (err)
		return CV_DROP_NO_BUFFER;
	if (a.fresh)
		cv_path_evict(s, path, now);
	path->link->trusted = true;
	s->rx_at = path->rx_at = now;
	cv_session_ready(s, path, now);
	/* our first packet confirms the keys to the responder */
	cv_path_greet(path, now);
	if (s->transport && s->transport->path)
		cv_transport_revive(s->transport, now);
	cv_session_schedule(s, now);
	return 0;
}

int cv_handshake_cookie(struct cv_node *node, struct cv_link *link,
	const uint8_t *p, size_t len, cv_time now)
{
	if (len != CV_COOKIE_SIZE || node->plain)
		return CV_DROP_MALFORMED;
	struct cv_session *s = by_hello(node, cv_get64(p) & CV_INDEX_MASK);
	struct cv_path *path = s ? cv_path_on(s, link) : NULL;
	if (!path || s->hs_path != path)
		return CV_DROP_UNKNOWN_INDEX;
	/* who sees our initiation and knows the server's key can make these */
	if (link->cookie_at && now - link->cookie_at < CV_COOKIE_INTERVAL)
		return CV_DROP_FLOOD;
	if (cv_cookie_open(node->crypto, s->pub, s->mac1, p, s->cookie))
		return CV_DROP_FORGED;
	s->cookie_at = link->cookie_at = now;
	cv_time began = s->hs_sent;
	int err = cv_handshake_start(s, path, now);
	if (!err) /* the time that an answer may take goes on */
		s->hs_sent = began;
	return err ? CV_DROP_NO_BUFFER : 0;
}
