/* SPDX-License-Identifier: MIT */
#include "core/discover.h"

#include "core/wire.h"

#include <assert.h>
#include <string.h>

enum {
	VERSION = 1,
	HEAD = 20, /* of both packets */
};

enum item {
	ITEM_KEY = 1,
	ITEM_NAME,
	ITEM_VERSION,
	ITEM_SERVICES,
	ITEM_UPTIME,
	ITEM_BOOT,
	ITEM_INTERFACE,
	ITEM_ADDRESS,
	ITEM_HEARD,
};

/* the largest of everything fits */
static_assert(HEAD + 9 * 3 + CV_KEY + 63 + 31 + 383 + 4 + 8 + 15 + 1 +
			      CV_ANSWER_ADDRS * (3 + 17) <=
		      CV_ANSWER_MAX,
	"an answer is never too long");
static_assert(HEAD + 4 * CV_KNOWN_MAX <= CV_QUESTION, "tags fit");

/* --- questions --- */

void cv_question_put(uint8_t out[CV_QUESTION], const struct cv_question *q,
	const uint32_t *known)
{
	memset(out, 0, CV_QUESTION);
	out[0] = CV_PACKET_QUESTION;
	out[1] = VERSION;
	out[3] = q->round;
	cv_put64(out + 4, q->nonce);
	cv_put32(out + 12, q->wanted);
	cv_put16(out + 16, q->window);
	cv_put16(out + 18, q->knowns);
	for (unsigned i = 0; i < q->knowns; i++)
		cv_put32(out + HEAD + (size_t)4 * i, known[i]);
}

int cv_question_get(struct cv_question *q, const uint8_t *p, size_t len)
{
	if (len != CV_QUESTION || p[0] != CV_PACKET_QUESTION ||
		p[1] != VERSION || cv_get16(p + 16) > CV_WINDOW_MAX ||
		cv_get16(p + 18) > CV_KNOWN_MAX)
		return CULVERT_EPROTO;
	*q = (struct cv_question){
		.round = p[3],
		.nonce = cv_get64(p + 4),
		.wanted = cv_get32(p + 12),
		.window = cv_get16(p + 16),
		.knowns = cv_get16(p + 18),
		.known = p + HEAD,
	};
	return 0;
}

bool cv_question_knows(const struct cv_question *q, uint32_t tag)
{
	for (unsigned i = 0; i < q->knowns; i++) {
		if (cv_get32(q->known + (size_t)4 * i) == tag)
			return true;
	}
	return false;
}

/* --- answers out --- */

static uint8_t *put_item(
	uint8_t *p, enum item type, const void *value, size_t len)
{
	p[0] = (uint8_t)type;
	cv_put16(p + 1, (uint16_t)len);
	memcpy(p + 3, value, len);
	return p + 3 + len;
}

static uint8_t *put_text(uint8_t *p, enum item type, const char *text)
{
	size_t n = strlen(text);
	return n ? put_item(p, type, text, n) : p;
}

static uint8_t *put_addrs(uint8_t *p, const struct cv_answer *a)
{
	for (unsigned i = 0; i < a->addrs; i++) {
		const struct cv_addr *at = &a->addr[i].addr;
		size_t n = at->family == CV_AF_INET6 ? 16 : 4;
		uint8_t value[17];
		value[0] = a->addr[i].bits;
		memcpy(value + 1, at->ip, n);
		p = put_item(p, ITEM_ADDRESS, value, n + 1);
	}
	return p;
}

size_t cv_answer_put(uint8_t out[CV_ANSWER_MAX], const struct cv_answer *a)
{
	uint8_t *p = out + HEAD, number[8];
	out[0] = CV_PACKET_ANSWER;
	out[1] = VERSION;
	out[2] = 0;
	out[3] = a->round;
	cv_put64(out + 4, a->nonce);
	cv_put32(out + 12, a->id);
	cv_put32(out + 16, a->held);
	if (a->keyed)
		p = put_item(p, ITEM_KEY, a->key, CV_KEY);
	cv_put64(number, a->boot);
	p = put_item(p, ITEM_BOOT, number, 8);
	cv_put32(number, a->uptime);
	p = put_item(p, ITEM_UPTIME, number, 4);
	p = put_item(p, ITEM_HEARD, &a->heard, 1);
	p = put_text(p, ITEM_NAME, a->name);
	p = put_text(p, ITEM_VERSION, a->version);
	p = put_text(p, ITEM_SERVICES, a->services);
	p = put_text(p, ITEM_INTERFACE, a->ifname);
	return (size_t)(put_addrs(p, a) - out);
}

/* --- answers in --- */

/* what comes from anybody goes to a terminal */
static int text(char *out, size_t size, const uint8_t *p, size_t len)
{
	if (len >= size)
		return CULVERT_EPROTO;
	for (size_t i = 0; i < len; i++)
		out[i] = p[i] < ' ' || p[i] > '~' ? '?' : (char)p[i];
	out[len] = '\0';
	return 0;
}

static int address(struct cv_answer *a, const uint8_t *p, size_t len)
{
	bool v6 = len == 17;
	if ((len != 5 && !v6) || p[0] > (v6 ? 128 : 32))
		return CULVERT_EPROTO;
	if (a->addrs == CV_ANSWER_ADDRS)
		return 0;
	a->addr[a->addrs].bits = p[0];
	a->addr[a->addrs].addr = (struct cv_addr){
		.family = v6 ? CV_AF_INET6 : CV_AF_INET,
	};
	memcpy(a->addr[a->addrs++].addr.ip, p + 1, len - 1);
	return 0;
}

static int number(struct cv_answer *a, unsigned type, const uint8_t *p,
	size_t len, bool *booted)
{
	static const uint8_t size[] = { [ITEM_KEY] = CV_KEY,
		[ITEM_UPTIME] = 4,
		[ITEM_BOOT] = 8,
		[ITEM_HEARD] = 1 };
	if (type >= sizeof size || !size[type])
		return 0;
	if (len != size[type])
		return CULVERT_EPROTO;
	if (type == ITEM_KEY) {
		memcpy(a->key, p, CV_KEY);
		a->keyed = true;
	} else if (type == ITEM_UPTIME) {
		a->uptime = cv_get32(p);
	} else if (type == ITEM_BOOT) {
		a->boot = cv_get64(p);
		*booted = true;
	} else {
		a->heard = *p < CV_HEARDS ? *p : CV_HEARD_UNKNOWN;
	}
	return 0;
}

static int item(struct cv_answer *a, const uint8_t *p, size_t len, bool *booted)
{
	const uint8_t *v = p + 3;
	switch (p[0]) {
	case ITEM_NAME:
		return text(a->name, sizeof a->name, v, len);
	case ITEM_VERSION:
		return text(a->version, sizeof a->version, v, len);
	case ITEM_SERVICES:
		return text(a->services, sizeof a->services, v, len);
	case ITEM_INTERFACE:
		return text(a->ifname, sizeof a->ifname, v, len);
	case ITEM_ADDRESS:
		return address(a, v, len);
	default:
		return number(a, p[0], v, len, booted);
	}
}

int cv_answer_get(struct cv_answer *out, const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;
	bool booted = false;
	if (len < HEAD || len > CV_ANSWER_MAX || p[0] != CV_PACKET_ANSWER ||
		p[1] != VERSION)
		return CULVERT_EPROTO;
	struct cv_answer a = {
		.round = p[3],
		.nonce = cv_get64(p + 4),
		.id = cv_get32(p + 12),
		.held = cv_get32(p + 16),
	};
	for (p += HEAD; p < end;) {
		size_t left = (size_t)(end - p), n;
		if (left < 3 || (n = cv_get16(p + 1)) > left - 3 ||
			item(&a, p, n, &booted))
			return CULVERT_EPROTO;
		p += 3 + n;
	}
	if (!a.id || !booted)
		return CULVERT_EPROTO;
	*out = a;
	return 0;
}

uint32_t cv_answer_tag(const struct cv_answer *a)
{
	return a->keyed ? cv_get32(a->key) : (uint32_t)a->boot;
}

bool cv_answer_same(const struct cv_answer *a, const struct cv_answer *b)
{
	if (a->id != b->id || a->keyed != b->keyed)
		return false;
	return a->keyed ? !memcmp(a->key, b->key, CV_KEY) : a->boot == b->boot;
}

const char *cv_heard_name(unsigned heard)
{
	static const char *const name[CV_HEARDS] = { "unknown", "unicast",
		"multicast6", "broadcast", "frame" };
	return name[heard < CV_HEARDS ? heard : CV_HEARD_UNKNOWN];
}
