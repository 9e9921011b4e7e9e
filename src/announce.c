/* SPDX-License-Identifier: MIT */
/* announce.c - what a node that is to be found says of itself on its LANs */
#include "instance.h"

#include "core/lanurl.h"
#include "link/beacon.h"
#include "loop/lan_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* who has no rule lets peers reach this machine itself */
static void services(const struct cv_conf *f, char *out, size_t size)
{
	size_t n = 0;
	snprintf(out, size, "%s", f->allows ? "" : "loopback");
	for (unsigned i = 0; i < f->allows; i++) {
		size_t len = strlen(f->allow[i].text);
		if (n + len + 2 > size)
			continue;
		n += (size_t)snprintf(out + n, size - n, "%s%s", n ? " " : "",
			f->allow[i].text);
	}
}

static struct cv_answer words(const struct culvert *c)
{
	const struct cv_conf *f = &c->conf;
	struct cv_answer a = { .boot = c->loop.node.instance,
		.keyed = f->keyed };
	char host[sizeof a.name] = "";
	a.uptime = (uint32_t)((cv_now_of(c) - c->born) / CV_SEC(1));
	gethostname(host, sizeof host - 1);
	snprintf(a.name, sizeof a.name, "%s", *f->name ? f->name : host);
	snprintf(a.version, sizeof a.version, "%s", culvert_version());
	services(f, a.services, sizeof a.services);
	if (f->keyed)
		cv_crypto_public(a.key, f->priv);
	return a;
}

static void announce(struct culvert *c, const struct cv_conf_text *t,
	const struct cv_answer *says)
{
	struct cv_lanurl l;
	struct cv_url u;
	char why[CV_SOCK_WHY];
	const char *no;
	if (!cv_lanurl_is(t->text) ||
		cv_url_parse(&u, t->text, strlen(t->text), &no) ||
		cv_lanurl_parse(&l, &u, &no))
		return;
	struct cv_answer a = *says;
	struct cv_lan_options o = cv_lan_options_of(&l, true);
	a.id = l.id ? l.id : c->conf.server_id;
	struct cv_beacon *b = cv_beacon_new(&c->loop, &o, &a, why);
	if (b) {
		c->beacon[c->beacons++] = b;
		cv_log(&c->loop.node, CULVERT_INFO,
			"msg=\"can be discovered\" link=%s id=%lu name=%s",
			t->text, (unsigned long)a.id, a.name);
	} else {
		cv_log(&c->loop.node, CULVERT_WARN,
			"msg=\"cannot be discovered\" link=%s error=\"%s\"",
			t->text, why);
	}
}

void cv_announce(struct culvert *c)
{
	cv_unannounce(c);
	if (!c->born)
		c->born = cv_now_of(c);
	if (!c->conf.discoverable)
		return;
	c->beacon = calloc(c->conf.listens, sizeof(struct cv_beacon *));
	struct cv_answer says = words(c);
	for (unsigned i = 0; i < c->conf.listens && c->beacon; i++)
		announce(c, &c->conf.listen[i], &says);
}

void cv_unannounce(struct culvert *c)
{
	for (unsigned i = 0; i < c->beacons; i++)
		cv_beacon_free(c->beacon[i]);
	free(c->beacon);
	c->beacon = NULL;
	c->beacons = 0;
}
