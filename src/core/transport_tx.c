/* SPDX-License-Identifier: MIT */
#include "core/transport.h"

#include "core/credit.h"
#include "core/node.h"

#include <string.h>

enum { SEGMENTS = 60 }; /* of one train; the kernel's limit is 64 */

/* IP and UDP around a packet */
static uint32_t overhead(const struct cv_path *p)
{
	return p->link->remote.family == CV_AF_INET6 ? 48 : 28;
}

static size_t tag(const struct cv_session *s)
{
	return s->plain ? 0 : CV_TAG;
}

/* frames in a packet of the size that the path takes */
static size_t whole(const struct cv_transport *t)
{
	return t->pmtud.mtu - overhead(t->path) - CV_DATA_HEAD -
	       tag(t->session);
}

bool cv_transport_wants(const struct cv_transport *t)
{
	return !cv_list_empty(&t->turns) || t->tell;
}

static bool wants_more(const struct cv_transport *t)
{
	const struct cv_session *s = t->session;
	return cv_transport_wants(t) || s->ctl.head || t->path->ctl.head ||
	       s->txq.q.head || cv_slice_pending(&t->slice) || t->ping;
}

/*
 * Who had little to send has not shown what the path can do: as much as at
 * the beginning is always granted (RFC 9002, section 7.2).
 */
static uint64_t window(const struct cv_transport *t)
{
	uint64_t least = t->rate.limited ? CV_INITIAL_WINDOW * t->pmtud.mtu : 0;
	return t->cc.cwnd > least ? t->cc.cwnd : least;
}

/* what others on the way can bear is the link's to say */
static uint64_t capped(const struct cv_transport *t, uint64_t rate)
{
	uint32_t most = t->path->link->rate_max;
	return most && (!rate || rate > most) ? most : rate;
}

static uint64_t pace(const struct cv_transport *t)
{
	uint64_t first = CV_INITIAL_WINDOW * t->pmtud.mtu, least = 0;
	if (t->rate.limited || t->flights.inflight < first)
		least = first * CV_SEC(1) / cv_rtt_smoothed(&t->rtt);
	return capped(
		t, !t->cc.rate || t->cc.rate > least ? t->cc.rate : least);
}

static bool window_open(const struct cv_transport *t)
{
	return t->probes || (t->flights.inflight < window(t) &&
				    !cv_flights_full(&t->flights));
}

cv_time cv_transport_when(const struct cv_transport *t, cv_time now)
{
	if (!wants_more(t) || !window_open(t) || !cv_roam_allowance(t->path))
		return CV_NEVER;
	return t->probes ? now : cv_pacer_when(&t->pacer);
}

struct cv_part *cv_transport_part(
	struct cv_transport *t, enum cv_part_type type, uint64_t flow)
{
	struct cv_part *part = cv_flights_part(&t->flights);
	part->type = (uint8_t)type;
	part->flow = flow;
	t->parts--;
	return part;
}

/* control frames: whole buffers, each a part; no more than a peer takes */
static size_t put_control(struct cv_transport *t, uint8_t *p, size_t room)
{
	struct cv_bufq *q = &t->session->ctl;
	unsigned frames = 0;
	size_t n = 0;
	while (q->head && q->head->len <= room - n && t->parts) {
		if (n && frames + q->head->frames > CV_PACKET_OPENS)
			break;
		frames += q->head->frames;
		struct cv_buf *b = cv_bufq_pop(q);
		memcpy(p + n, cv_buf_data(b), b->len);
		n += b->len;
		cv_transport_part(t, CV_PART_CONTROL, CV_NO_FLOW)->ctl = b;
	}
	t->slice.opens = n ? frames : 0;
	t->slice.part = false;
	return n;
}

/* frames for this path alone: nothing of it is sent again */
static size_t put_path(struct cv_transport *t, uint8_t *p, size_t room)
{
	struct cv_bufq *q = &t->path->ctl;
	size_t n = 0;
	while (q->head && q->head->len <= room - n) {
		struct cv_buf *b = cv_bufq_pop(q);
		memcpy(p + n, cv_buf_data(b), b->len);
		n += b->len;
		cv_buf_free(&t->session->node->pool, b);
	}
	return n;
}

static size_t put_window(struct cv_transport *t, uint8_t *p, size_t room)
{
	if (!t->tell || room < CV_FRAME_SHORT || !t->parts)
		return 0;
	cv_transport_part(t, CV_PART_WINDOW, CV_NO_FLOW);
	t->tell = false;
	t->rx_window = cv_credit_offer(t);
	return cv_frame_put(
		p, &(struct cv_frame){ .type = CV_FRAME_SESSION_WINDOW,
			   .value = t->rx_window });
}

static size_t put_dgrams(struct cv_transport *t, uint8_t *p, size_t room)
{
	struct cv_session *s = t->session;
	struct cv_slice *sl = &t->slice;
	uint64_t big = 0;
	size_t n = 0, more;
	do {
		if (!cv_slice_pending(sl)) {
			struct cv_buf *b = cv_txq_take(&s->txq);
			if (!b) {
				cv_slice_clear(sl, &s->node->pool);
				break;
			}
			cv_slice_begin(sl, &s->node->pool, b);
		}
		more = cv_slice_put(sl, p + n, room - n, whole(t), &big);
		n += more;
	} while (more || !cv_slice_pending(sl));
	if (big)
		cv_session_drop(s, CV_DROP_TOO_BIG, big);
	return n;
}

static size_t put_streams(struct cv_transport *t, uint8_t *p, size_t room)
{
	size_t n = 0;
	while (!cv_list_empty(&t->turns) && room - n >= CV_FRAME_LEAST) {
		struct cv_stream *st =
			CV_CONTAINER(t->turns.next, struct cv_stream, turn);
		size_t more = cv_stream_put(st, p + n, room - n);
		n += more;
		if (!more) /* no room for what it has */
			break;
	}
	return n;
}

/* what is sent next is another stream's */
static void next_turn(struct cv_transport *t)
{
	if (!cv_list_empty(&t->turns))
		cv_list_append(&t->turns, t->turns.next);
}

/* what asks for an acknowledgement; bytes written */
static size_t put_all(struct cv_transport *t, uint8_t *p, size_t room)
{
	size_t n = put_path(t, p, room);
	n += put_control(t, p + n, room - n);
	n += put_window(t, p + n, room - n);
	n += put_dgrams(t, p + n, room - n);
	n += put_streams(t, p + n, room - n);
	/* with less room the last STREAM frame has no length: it would read
	   on */
	if (t->ping && (!n || t->pad) && room - n >= CV_FRAME_LEAST) {
		n += cv_frame_put(
			p + n, &(struct cv_frame){ .type = CV_FRAME_PING });
		if (t->pad) {
			memset(p + n, CV_FRAME_PADDING, room - n);
			n = room;
		}
	}
	if (n)
		t->ping = t->pad = false;
	return n;
}

static void took_off(
	struct cv_transport *t, uint64_t number, uint32_t size, cv_time now)
{
	uint64_t before = t->flights.inflight;
	struct cv_sent *x = cv_flights_sent(&t->flights, number, size, now);
	x->path = t->generation;
	cv_rate_sent(&t->rate, x, before, now);
	cv_cc_sent(&t->cc, size, t->flights.inflight, now);
	t->loss.asked = now;
	if (!t->waiting)
		t->waiting = now;
	/* a copy is not copied again, or there would be no end of it */
	if (x->parts && !t->copies)
		t->fresh = number;
	if (t->probes && !--t->probes)
		t->copies = false;
}

/* room to remember a packet: the last of it is for probes */
static int reserve(struct cv_transport *t, unsigned parts)
{
	struct cv_flights *f = &t->flights;
	if (cv_flights_full(f) && !t->probes)
		return CULVERT_EFULL;
	int err = cv_flights_skip(f, t->session->number);
	return err ? err : cv_flights_reserve(f, parts);
}

/*
 * One packet of up to @size bytes at @p; 0 if there is nothing to say.
 * @data: what asks for an acknowledgement may be in it.
 */
static size_t packet(
	struct cv_transport *t, uint8_t *p, size_t size, bool data, cv_time now)
{
	struct cv_session *s = t->session;
	uint8_t *frames = p + CV_DATA_HEAD;
	size_t room = size - CV_DATA_HEAD - tag(s), acks = 0, n;
	t->parts = CV_PACKET_PARTS;
	data = data && wants_more(t) && !reserve(t, CV_PACKET_PARTS);
	if (cv_acks_pending(&t->acks) && (data || cv_acks_due(&t->acks) <= now))
		acks = cv_acks_put(&t->acks, frames, room, now);
	n = data ? put_all(t, frames + acks, room - acks) : 0;
	if (!acks && !n)
		return 0;
	uint64_t number = s->number;
	size_t len = cv_session_seal(s, p, acks + n);
	if (!n)
		cv_flights_undo(&t->flights);
	else if (!len)
		cv_transport_spoilt(t, now);
	else
		took_off(t, number, (uint32_t)len + overhead(t->path), now);
	return len;
}

/* bytes that may leave at once */
static uint64_t allowed(const struct cv_transport *t, cv_time now)
{
	if (!window_open(t))
		return 0;
	uint64_t roam = cv_roam_allowance(t->path);
	if (t->probes)
		return cv_earlier(t->probes * (uint64_t)t->pmtud.mtu, roam);
	if (cv_pacer_when(&t->pacer) > now)
		return 0;
	uint64_t n = cv_pacer_quantum(pace(t), t->pmtud.mtu);
	uint64_t left = window(t) - t->flights.inflight;
	return cv_earlier(cv_earlier(n, left), roam);
}

/* the size to be tried now, or 0 */
static uint32_t size_due(struct cv_transport *t, cv_time now)
{
	if (cv_roam_allowance(t->path) < UINT64_MAX ||
		cv_flights_full(&t->flights))
		return 0;
	uint32_t mtu = cv_pmtud_want(&t->pmtud, now);
	return t->flights.inflight + mtu > t->cc.cwnd ? 0 : mtu;
}

cv_time cv_transport_size_at(struct cv_transport *t, cv_time now)
{
	cv_time at = cv_pmtud_deadline(&t->pmtud);
	return at > now || size_due(t, now) ? at : CV_NEVER;
}

static bool probe_size(
	struct cv_transport *t, struct cv_train *out, cv_time now)
{
	struct cv_session *s = t->session;
	uint32_t mtu = size_due(t, now);
	if (!mtu || reserve(t, 1))
		return false;
	uint8_t *p = cv_buf_data(out->buf);
	size_t n = mtu - overhead(t->path) - CV_DATA_HEAD - tag(s);
	memset(p + CV_DATA_HEAD, CV_FRAME_PADDING, n);
	cv_frame_put(
		p + CV_DATA_HEAD, &(struct cv_frame){ .type = CV_FRAME_PING });
	struct cv_part *part = cv_flights_part(&t->flights);
	part->type = CV_PART_PROBE;
	part->offset = mtu;
	uint64_t number = s->number;
	out->buf->len = (uint32_t)cv_session_seal(s, p, n);
	if (!out->buf->len) {
		cv_flights_undo(&t->flights);
		return false;
	}
	out->seg = out->buf->len;
	out->probe = true;
	took_off(t, number, mtu, now);
	cv_flights_at(&t->flights, number)->ignored = true;
	cv_pmtud_sent(&t->pmtud, mtu);
	return true;
}

/* after the second probe in vain it may be the size that does not pass */
static size_t packet_size(const struct cv_transport *t)
{
	uint32_t mtu = t->pmtud.mtu;
	if (t->loss.probes > 1 && mtu > CV_MTU_BASE)
		mtu = CV_MTU_BASE;
	return mtu - overhead(t->path);
}

/* packets of equal size, the last shorter */
static void fill(struct cv_transport *t, struct cv_train *out, cv_time now)
{
	uint8_t *p = cv_buf_data(out->buf);
	size_t size = cv_earlier(packet_size(t), cv_roam_allowance(t->path));
	uint64_t may = allowed(t, now);
	size_t n = 0, len;
	unsigned packets = 0;
	do {
		len = packet(t, p + n, size, n < may, now);
		n += len;
		if (!out->seg)
			out->seg = (uint32_t)len;
		size = out->seg;
		packets++;
	} while (len == out->seg && len && n < may && packets < SEGMENTS &&
		 n + size <= CV_TRAIN && !t->path->roam.pending);
	out->buf->len = (uint32_t)n;
	if (!n || !may)
		return;
	cv_pacer_sent(&t->pacer, n + packets * overhead(t->path), pace(t), now);
	next_turn(t);
}

/* what is said next is no copy, even if a probe had room for more of them */
static void all_said(struct cv_transport *t)
{
	t->probes = 0;
	t->copies = false;
	cv_rate_limited(&t->rate, t->flights.inflight);
}

/* what has begun to leave is not left behind as soon as what waits */
static bool stale(const struct cv_transport *t, cv_time now)
{
	const struct cv_slice *sl = &t->slice;
	if (sl->cut)
		return now - sl->begun > CV_PARTS_SEND;
	return now - sl->buf->time > t->session->node->max_age;
}

bool cv_transport_train(
	struct cv_transport *t, struct cv_train *out, cv_time now)
{
	struct cv_path *p = t->path;
	struct cv_session *s = t->session;
	cv_session_expire(s, now);
	t->slice.now = now;
	t->slice.most = s->cur->hello.largest;
	if (cv_slice_pending(&t->slice) && stale(t, now))
		cv_transport_drop_slice(t, CV_DROP_AGED);
	if (cv_roam_allowance(p))
		out->buf = cv_buf_large(&s->node->pool);
	if (out->buf && !probe_size(t, out, now))
		fill(t, out, now);
	if (!out->buf || !out->buf->len) {
		/* with memory, what may be sent now would have been */
		if (cv_roam_allowance(p) &&
			(cv_acks_due(&t->acks) <= now ||
				cv_transport_when(t, now) <= now ||
				cv_transport_size_at(t, now) <= now))
			t->retry = now + CV_RETRY;
		cv_buf_free(&s->node->pool, out->buf);
		out->buf = NULL;
		if (!wants_more(t))
			all_said(t);
		cv_transport_schedule(t, now);
		return false;
	}
	out->to = p->link->remote;
	out->from = p->link->local;
	cv_roam_gave(p, out->buf->len);
	return true;
}

void cv_transport_spoilt(struct cv_transport *t, cv_time now)
{
	uint64_t number = t->session->number++;
	cv_transport_give_up(
		t, cv_flights_sent(&t->flights, number, 0, now), now);
}

struct cv_buf *cv_transport_chunk(struct cv_transport *t)
{
	struct cv_pool *pool = &t->session->node->pool;
	if (!cv_transport_wants(t) || reserve(t, CV_PACKET_PARTS))
		return NULL;
	struct cv_buf *b = cv_buf_large(pool);
	if (!b)
		return NULL;
	t->parts = CV_PACKET_PARTS;
	size_t room = cv_buf_room(b) - CV_TIME_SIZE; /* it goes in front */
	size_t n = put_window(t, cv_buf_data(b), room);
	n += put_streams(t, cv_buf_data(b) + n, room - n);
	b->len = (uint32_t)n;
	next_turn(t);
	if (n)
		return b;
	cv_buf_free(pool, b);
	return NULL;
}

bool cv_transport_track(struct cv_transport *t, const struct cv_buf *b)
{
	struct cv_buf *copy =
		reserve(t, 1) ? NULL : cv_buf_small(&t->session->node->pool);
	if (!copy)
		return false;
	struct cv_part *part = cv_flights_part(&t->flights);
	memcpy(cv_buf_data(copy), b->data + b->off, b->len);
	copy->len = b->len;
	copy->frames = b->frames;
	part->type = CV_PART_CONTROL;
	part->ctl = copy;
	return true;
}

struct cv_buf *cv_transport_ack(struct cv_transport *t, cv_time now)
{
	if (cv_acks_due(&t->acks) > now)
		return NULL;
	struct cv_buf *b = cv_buf_small(&t->session->node->pool);
	if (b)
		b->len = (uint32_t)cv_acks_put(
			&t->acks, cv_buf_data(b), cv_buf_room(b), now);
	else
		t->retry = now + CV_RETRY;
	return b;
}

void cv_transport_left(struct cv_transport *t, uint64_t number, uint32_t size,
	unsigned place, cv_time now)
{
	struct cv_sent *x = cv_flights_sent(&t->flights, number, size, now);
	x->path = (uint8_t)place;
}
