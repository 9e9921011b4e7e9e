/* SPDX-License-Identifier: MIT */
/* discover.c - culvert_discover(): a loop of its own that asks a LAN */
#include "instance.h"

#include "core/asker.h"
#include "core/keytext.h"
#include "core/lanurl.h"
#include "core/wire.h"
#include "loop/lan_options.h"
#include "loop/ifaces.h"
#include "loop/udp_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WAYS = 6 * CV_IFACES,
	TEXT = CV_ANSWER_ADDRS * (CV_ADDRTEXT + 4),
};

struct search {
	struct culvert_search options;
	struct cv_lanurl url;
	struct cv_loop loop;
	struct cv_udp_io *udp;
	struct cv_lan *lan;
	struct cv_lan_user user;
	unsigned kinds;
	struct cv_asker asker;
	cv_time end; /* CV_NEVER: the asker's choice */
	ev_timer clock;
	bool over; /* the caller has had enough */
};

/* --- telling --- */

static void write_addrs(const struct cv_answer *a, char out[TEXT])
{
	size_t n = 0;
	char text[CV_ADDRTEXT];
	*out = '\0';
	for (unsigned i = 0; i < a->addrs; i++) {
		/* "[fe80::1]:0" without what stands around the address */
		const char *at = cv_addr_format(&a->addr[i].addr, text);
		bool v6 = *at == '[';
		size_t len = v6 ? strcspn(at, "]") - 1 : strcspn(at, ":");
		n += (size_t)snprintf(out + n, TEXT - n, "%s%.*s/%u",
			n ? " " : "", (int)len, at + v6, a->addr[i].bits);
	}
}

static void tell(struct search *s, const struct cv_found *f, bool gone)
{
	char key[CULVERT_KEYTEXT] = "", addrs[TEXT];
	char from[CV_ASKER_WAYS][CV_ADDRTEXT];
	struct culvert_way way[CV_ASKER_WAYS];
	const struct cv_answer *a = &f->says;
	if (a->keyed)
		cv_keytext_format(a->key, key);
	write_addrs(a, addrs);
	for (unsigned i = 0; i < f->ways; i++) {
		const struct cv_found_way *w = &f->way[i];
		way[i] = (struct culvert_way){
			.interface = cv_lan_ifname(s->lan, w->ifindex),
			.from = cv_addr_format(&w->from, from[i]),
			.heard = cv_heard_name(w->heard),
			.rtt = w->rtt,
		};
	}
	struct culvert_server out = {
		.size = sizeof out,
		.id = a->id,
		.gone = gone,
		.name = a->name,
		.key = key,
		.version = a->version,
		.services = a->services,
		.interface = a->ifname,
		.addresses = addrs,
		.uptime = a->uptime,
		.boot = a->boot,
		.way = way,
		.ways = f->ways,
	};
	if (!s->over && s->options.found(s->options.user, &out))
		s->over = true;
}

static int by_id(const void *a, const void *b)
{
	const struct cv_found *const *x = a, *const *y = b;
	uint32_t i = (*x)->says.id, k = (*y)->says.id;
	if (i != k)
		return i < k ? -1 : 1;
	return memcmp((*x)->says.key, (*y)->says.key, CV_KEY);
}

static bool watches(const struct search *s)
{
	return s->options.flags & CULVERT_WATCH;
}

static void tell_all(struct search *s)
{
	struct cv_asker *a = &s->asker;
	if (watches(s) || !a->n)
		return;
	qsort(a->found, a->n, sizeof(struct cv_found *), by_id);
	for (unsigned i = 0; i < a->n; i++)
		tell(s, a->found[i], false);
}

/* --- answers --- */

static void answer(struct search *s, const struct cv_lan_msg *m,
	const uint8_t *p, size_t len)
{
	struct cv_answer a;
	struct cv_found *f;
	if (cv_answer_get(&a, p, len))
		return;
	struct cv_found_way way = {
		.ifindex = m->way.ifindex,
		.heard = a.heard,
		.frame = m->way.kind == CV_LAN_FRAME,
		.from = m->way.addr,
	};
	if (cv_asker_heard(&s->asker, &a, &way, cv_now(), &f) == 2 &&
		watches(s))
		tell(s, f, false);
	ev_feed_event(s->loop.ev, &s->clock, EV_TIMER);
}

static bool input(struct cv_lan_user *user, const struct cv_lan_msg *m)
{
	struct search *s = CV_CONTAINER(user, struct search, user);
	const struct cv_frame *f = &m->train;
	if (!f->len || *f->data != CV_PACKET_ANSWER)
		return false;
	for (uint32_t off = 0; off < f->len; off += f->seg) {
		uint32_t left = f->len - off;
		answer(s, m, f->data + off, left < f->seg ? left : f->seg);
	}
	return true;
}

/* --- questions --- */

static void ask(struct search *s, uint8_t packet[CV_QUESTION], bool again)
{
	struct cv_lan_way way[WAYS];
	uint16_t to = s->url.port ? s->url.port : CV_LAN_PORT;
	unsigned kinds = s->kinds | (again ? CV_LAN_HOSTS : 0);
	unsigned n = cv_lan_casts(s->lan, kinds, to, way, WAYS);
	for (unsigned i = 0; i < n; i++) {
		struct cv_frame f = {
			.data = packet, .len = CV_QUESTION, .seg = CV_QUESTION
		};
		/* what does not leave may leave the next time */
		cv_lan_send(s->lan, &way[i], &f);
	}
}

static void on_clock(struct ev_loop *ev, ev_timer *t, int events)
{
	struct search *s = t->data;
	uint8_t packet[CV_QUESTION];
	struct cv_found *gone;
	cv_time now = cv_now();
	(void)events;
	if (cv_asker_next(&s->asker, now, packet))
		ask(s, packet, s->asker.asked > 1);
	while ((gone = cv_asker_gone(&s->asker, now))) {
		tell(s, gone, true);
		cv_asker_free(&s->asker, gone);
	}
	if (s->over || now >= s->end || cv_asker_done(&s->asker, now)) {
		ev_break(ev, EVBREAK_ALL);
		return;
	}
	cv_time at = cv_earlier(s->end, cv_asker_deadline(&s->asker));
	ev_now_update(ev);
	ev_timer_stop(ev, t);
	ev_timer_set(t, at > now ? (double)(at - now) / 1e6 : 0., 0.);
	ev_timer_start(ev, t);
}

/* what is plugged in is asked too */
static void changed(struct cv_lan_user *user)
{
	struct search *s = CV_CONTAINER(user, struct search, user);
	cv_asker_again(&s->asker, cv_now());
	ev_feed_event(s->loop.ev, &s->clock, EV_TIMER);
}

/* --- one search --- */

static int open_port(struct search *s, struct culvert_diag *diag)
{
	const struct cv_loop_size size = { 1 << 20, 16 };
	struct cv_lan_options o = cv_lan_options_of(&s->url, false);
	char why[CV_SOCK_WHY];
	s->kinds = o.kinds;
	s->user.input = input;
	s->user.changed = changed;
	if (cv_loop_init(&s->loop, &cv_env_plain, &size, NULL))
		return cv_conf_fail(diag, CULVERT_ENOMEM, 0, "out of memory");
	s->udp = cv_udp_io_new(&s->loop);
	s->lan = cv_lan_open(&s->loop, &o, &s->user, why);
	return s->lan ? 0
		      : cv_conf_fail(diag, CULVERT_ESYS, 0,
				"cannot ask from port %d: %s", o.port, why);
}

static void run(struct search *s)
{
	cv_time now = cv_now();
	unsigned ms = s->options.timeout;
	enum cv_search kind = watches(s) ? CV_SEARCH_WATCH
			      : ms       ? CV_SEARCH_LONG
					 : CV_SEARCH_QUICK;
	s->end = ms ? now + CV_MS(ms) : CV_NEVER;
	cv_asker_init(&s->asker, &cv_env_plain, kind, s->url.id, now);
	ev_timer_init(&s->clock, on_clock, 0., 0.);
	s->clock.data = s;
	ev_timer_start(s->loop.ev, &s->clock);
	ev_run(s->loop.ev, 0);
	ev_timer_stop(s->loop.ev, &s->clock);
	tell_all(s);
	cv_asker_clear(&s->asker);
}

static void close_port(struct search *s)
{
	if (s->lan)
		cv_lan_close(s->lan, &s->user);
	cv_udp_io_free(s->udp);
	cv_loop_clear(&s->loop);
}

static int understand(
	struct search *s, const char *text, struct culvert_diag *diag)
{
	struct cv_url u;
	const char *why = "lan://, bcast:// or mcast:// is expected";
	int err = cv_lanurl_is(text)
			  ? cv_url_parse(&u, text, strlen(text), &why)
			  : CULVERT_EINVAL;
	if (!err)
		err = cv_lanurl_parse(&s->url, &u, &why);
	return err ? cv_conf_fail(diag, err, 0, "%s", why) : 0;
}

int culvert_discover(const char *url, const struct culvert_search *search,
	struct culvert_diag *diag)
{
	if (diag)
		*diag = (struct culvert_diag){ 0 };
	if (!url || !search || search->size < sizeof *search ||
		!search->found || search->flags & ~(unsigned)CULVERT_WATCH)
		return cv_conf_fail(
			diag, CULVERT_EINVAL, 0, "the options make no sense");
	if (cv_lanurl_iproxy(url))
		return cv_hello_discover(url, search, diag);
	struct search *s = calloc(1, sizeof *s);
	if (!s)
		return cv_conf_fail(diag, CULVERT_ENOMEM, 0, "out of memory");
	s->options = *search;
	int err = understand(s, url, diag);
	if (!err)
		err = open_port(s, diag);
	if (!err)
		run(s);
	close_port(s);
	free(s);
	return err;
}
