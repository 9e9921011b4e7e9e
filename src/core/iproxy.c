/* SPDX-License-Identifier: MIT */
#include "core/iproxy.h"

#include <string.h>

enum { VERSION = 1, WORD = 4, PATIENCE = 3 };

/* --- packets --- */

static uint8_t checksum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;
	while (len--)
		sum = (uint8_t)((sum << 1 | sum >> 7) + *p++);
	return sum;
}

bool cv_iproxy_is(const uint8_t *p, size_t len)
{
	return len >= CV_IPROXY_HEAD && !p[0] && !p[1] && !p[2] &&
	       cv_get32(p + WORD) == VERSION;
}

static bool sound(const struct cv_iproxy_packet *x)
{
	switch (x->flags) {
	case CV_IPROXY_PLAIN:
	case CV_IPROXY_HELLO:
		return x->len >= 1 && x->len <= CV_IPROXY_DATA;
	case CV_IPROXY_FIN:
	case CV_IPROXY_ACK:
	case CV_IPROXY_GONE:
	case CV_IPROXY_ALIVE:
	case CV_IPROXY_LIST:
		return x->len == 0;
	default:
		return false;
	}
}

int cv_iproxy_read(struct cv_iproxy_packet *out, const uint8_t *p, size_t len)
{
	if (!cv_iproxy_is(p, len) || len > CV_IPROXY_MAX ||
		p[3] != checksum(p + WORD, len - WORD))
		return CULVERT_EPROTO;
	struct cv_iproxy_packet x = {
		.flags = cv_get32(p + 2 * WORD),
		.client = cv_get32(p + 3 * WORD),
		.server = cv_get32(p + 4 * WORD),
		.len = cv_get32(p + 5 * WORD),
		.offset = cv_get32(p + 6 * WORD),
		.data = p + CV_IPROXY_HEAD,
	};
	if (x.len != len - CV_IPROXY_HEAD || !sound(&x))
		return CULVERT_EPROTO;
	*out = x;
	return 0;
}

size_t cv_iproxy_write(const struct cv_iproxy_packet *x, uint8_t *p)
{
	cv_put32(p + WORD, VERSION);
	cv_put32(p + 2 * WORD, x->flags);
	cv_put32(p + 3 * WORD, x->client);
	cv_put32(p + 4 * WORD, x->server);
	cv_put32(p + 5 * WORD, x->len);
	cv_put32(p + 6 * WORD, x->offset);
	if (x->len)
		memcpy(p + CV_IPROXY_HEAD, x->data, x->len);
	cv_put32(p, checksum(p + WORD, CV_IPROXY_HEAD - WORD + x->len));
	return CV_IPROXY_HEAD + x->len;
}

/* --- connections --- */

void cv_iproxy_init(struct cv_iproxy *c, uint32_t client, uint32_t server,
	bool opens, cv_time now)
{
	memset(c, 0, sizeof *c);
	c->client = client;
	c->server = server;
	c->client_end = c->opening = opens;
	c->resend = CV_IPROXY_RESEND;
	c->heard = c->spoke = now;
}

static bool under_way(const struct cv_iproxy *c)
{
	return c->held || (c->fin && !c->fin_acked);
}

uint32_t cv_iproxy_room(const struct cv_iproxy *c)
{
	return under_way(c) || c->finishing ? 0 : CV_IPROXY_DATA;
}

uint8_t *cv_iproxy_buffer(struct cv_iproxy *c)
{
	return c->data;
}

void cv_iproxy_send(struct cv_iproxy *c, uint32_t len, cv_time now)
{
	(void)now;
	c->held = len;
	c->sends = 0;
}

static void begin_fin(struct cv_iproxy *c)
{
	if (!c->finishing || c->fin || c->held)
		return;
	c->fin = true;
	c->sends = 0;
}

void cv_iproxy_finish(struct cv_iproxy *c)
{
	c->finishing = true;
	begin_fin(c);
}

void cv_iproxy_alive(struct cv_iproxy *c)
{
	c->calls = !cv_iproxy_closed(c);
}

/* RFC 6298, section 2, with a floor for a LAN */
static void measure(struct cv_iproxy *c, cv_time rtt)
{
	cv_time off = rtt > c->srtt ? rtt - c->srtt : c->srtt - rtt;
	if (!c->srtt) {
		c->srtt = rtt;
		c->rttvar = rtt / 2;
	} else {
		c->rttvar = (3 * c->rttvar + off) / 4;
		c->srtt = (7 * c->srtt + rtt) / 8;
	}
	c->resend = 2 * c->srtt + 4 * c->rttvar;
	if (c->resend < CV_IPROXY_RESEND_MIN)
		c->resend = CV_IPROXY_RESEND_MIN;
	c->resend = cv_earlier(c->resend, CV_IPROXY_RESEND_MAX);
}

static unsigned acked(struct cv_iproxy *c, uint32_t offset, cv_time now)
{
	bool sent = under_way(c) && c->sends;
	uint32_t end = c->next + (c->held ? c->held : 1);
	/* of another connection: a server that was started anew */
	if ((int32_t)(offset - (sent ? end : c->next)) > 0)
		return CV_IPROXY_LOST;
	if (!sent || offset != end)
		return 0;
	if (c->sends == 1)
		measure(c, now - c->sent);
	c->next = end;
	if (c->held)
		c->held = 0;
	else
		c->fin_acked = true;
	begin_fin(c);
	return cv_iproxy_room(c) ? CV_IPROXY_ROOM : 0;
}

/* the next byte, or one that was there already */
static unsigned arrived(
	struct cv_iproxy *c, const struct cv_iproxy_packet *x, size_t room)
{
	bool fin = x->flags == CV_IPROXY_FIN;
	if (x->offset != c->expected || c->fin_seen) {
		/* not what lies ahead: that was never sent */
		c->owes |= (int32_t)(x->offset - c->expected) < 0;
		return 0;
	}
	if (x->len > room) {
		c->owes = true; /* a sign of life: it comes again */
		return 0;
	}
	c->expected += fin ? 1 : x->len;
	c->fin_seen = fin;
	c->owes = true;
	return fin ? CV_IPROXY_ENDED : CV_IPROXY_GOT;
}

unsigned cv_iproxy_in_vain(const struct cv_iproxy *c)
{
	return c->quiet > PATIENCE ? c->quiet : 0;
}

bool cv_iproxy_closed(const struct cv_iproxy *c)
{
	return c->fin_acked && c->fin_seen;
}

/* who ended and only waits for the ACK of its FIN has lost nothing: the other
   end had both, and its place was needed */
static unsigned forgotten(struct cv_iproxy *c)
{
	if (!c->fin || !c->sends || !c->fin_seen)
		return CV_IPROXY_LOST;
	if (c->fin_acked)
		return 0;
	c->fin_acked = true;
	return CV_IPROXY_CLOSED;
}

unsigned cv_iproxy_input(struct cv_iproxy *c, const struct cv_iproxy_packet *x,
	size_t room, cv_time now)
{
	bool closed = cv_iproxy_closed(c);
	unsigned news = 0;
	if (x->flags == CV_IPROXY_GONE)
		return forgotten(c);
	c->heard = now;
	c->quiet = 0;
	if (c->opening)
		c->sends = 0; /* those were not of what is held */
	c->opening = false;
	switch (x->flags) {
	case CV_IPROXY_PLAIN:
	case CV_IPROXY_FIN:
		news = arrived(c, x, room);
		break;
	case CV_IPROXY_ACK:
		news = acked(c, x->offset, now);
		break;
	case CV_IPROXY_ALIVE:
		c->owes = true;
		break;
	default:
		break;
	}
	if (!closed && cv_iproxy_closed(c))
		news |= CV_IPROXY_CLOSED;
	return news;
}

/* of what is under way, or to be opened, the wait until it goes again */
static cv_time again(const struct cv_iproxy *c)
{
	cv_time wait = c->resend;
	for (unsigned i = 1; i < c->sends && wait < CV_IPROXY_RESEND_MAX; i++)
		wait *= 2;
	return c->sent + cv_earlier(wait, CV_IPROXY_RESEND_MAX);
}

static bool due(const struct cv_iproxy *c, cv_time now)
{
	return (under_way(c) || c->opening) && (!c->sends || again(c) <= now);
}

static void put(struct cv_iproxy *c, struct cv_iproxy_packet *x,
	enum cv_iproxy_flags flags, cv_time now)
{
	bool ack = flags == CV_IPROXY_ACK;
	*x = (struct cv_iproxy_packet){ .flags = flags,
		.client = c->client,
		.server = c->server,
		.offset = ack ? c->expected : c->next };
	c->spoke = now;
}

bool cv_iproxy_output(
	struct cv_iproxy *c, struct cv_iproxy_packet *x, cv_time now)
{
	if (c->owes) {
		put(c, x, CV_IPROXY_ACK, now);
		c->owes = false;
		return true;
	}
	if (due(c, now)) {
		put(c, x,
			c->opening ? CV_IPROXY_ALIVE
			: c->held  ? CV_IPROXY_PLAIN
				   : CV_IPROXY_FIN,
			now);
		if (!c->opening && c->held) {
			x->data = c->data;
			x->len = c->held;
		}
		c->sends++;
		c->quiet++;
		c->sent = now;
		return true;
	}
	bool quiet = now < c->spoke + CV_IPROXY_KEEPALIVE && !c->calls;
	if (cv_iproxy_closed(c) || quiet)
		return false;
	c->calls = false;
	/* a server that was started anew must not take it for an opening */
	put(c, x, c->client_end && !c->next ? CV_IPROXY_ACK : CV_IPROXY_ALIVE,
		now);
	return true;
}

cv_time cv_iproxy_deadline(const struct cv_iproxy *c)
{
	cv_time when = c->heard + CV_IPROXY_EXPIRE;
	if (c->owes || (c->calls && !cv_iproxy_closed(c)))
		return 0;
	if (under_way(c) || c->opening)
		when = cv_earlier(when, c->sends ? again(c) : 0);
	if (!cv_iproxy_closed(c))
		when = cv_earlier(when, c->spoke + CV_IPROXY_KEEPALIVE);
	return when;
}

bool cv_iproxy_expired(const struct cv_iproxy *c, cv_time now)
{
	return now >= c->heard + CV_IPROXY_EXPIRE;
}
