/* SPDX-License-Identifier: MIT */
#include "side.h"

#include <dirent.h>
#include <inttypes.h>

static void within(struct side *s, enum call call, culvert_flow *flow)
{
	assert_false(s->deep); /* callbacks are not made from within one */
	s->deep = true;
	if (s->within)
		s->within(s, call, flow);
	s->deep = false;
}

static void on_log(void *user, enum culvert_log_level level, const char *line)
{
	struct side *s = user;
	assert_in_range(level, CULVERT_ERROR, CULVERT_DEBUG);
	assert_null(strchr(line, '\n'));
	int n = snprintf(s->said + s->nsaid, SAID - s->nsaid, "%s\n", line);
	if (s->nsaid + (size_t)n < SAID)
		s->nsaid += (size_t)n;
}

static void on_state(
	void *user, const char *peer, enum culvert_peer_state state)
{
	struct side *s = user;
	s->up += state == CULVERT_PEER_UP;
	s->down += state == CULVERT_PEER_DOWN;
	snprintf(s->peer, sizeof s->peer, "%s", peer);
	within(s, ON_STATE, NULL);
}

static int on_accept(
	void *user, culvert_flow *flow, const char *peer, const char *target)
{
	struct side *s = user;
	s->asked++;
	snprintf(s->peer, sizeof s->peer, "%s", peer);
	snprintf(s->target, sizeof s->target, "%s", target);
	s->flow = s->answer ? NULL : flow;
	within(s, ON_ACCEPT, flow);
	return s->answer;
}

static void on_opened(void *user, culvert_flow *flow)
{
	struct side *s = user;
	s->opened++;
	within(s, ON_OPENED, flow);
}

static void on_dgram(
	void *user, culvert_flow *flow, const void *data, size_t len)
{
	struct side *s = user;
	s->dgrams++;
	s->bytes += len;
	s->len = len;
	s->from = flow;
	assert_in_range(len, 0, CULVERT_DGRAM_MAX);
	if (len)
		memcpy(s->data, data, len);
	if (s->echo)
		culvert_send(flow, data, len);
	within(s, ON_DGRAM, flow);
}

static void on_closed(void *user, culvert_flow *flow, int why)
{
	struct side *s = user;
	s->closed++;
	s->why = why;
	s->gone = flow;
	assert_int_equal(culvert_send(flow, "", 0), CULVERT_ESTATE);
	within(s, ON_CLOSED, flow);
}

static void on_stopped(void *user)
{
	struct side *s = user;
	s->stopped++;
	within(s, ON_STOPPED, NULL);
}

static void on_woken(void *user)
{
	struct side *s = user;
	s->woken++;
	within(s, ON_WOKEN, NULL);
}

static int on_request(
	void *user, const char *request, char *answer, size_t size)
{
	struct side *s = user;
	snprintf(answer, size, "you said %s", request);
	within(s, ON_REQUEST, NULL);
	return strcmp(request, "no") ? 0 : CULVERT_EINVAL;
}

struct culvert_options side_options(struct side *s)
{
	return (struct culvert_options){
		.size = sizeof(struct culvert_options),
		.user = s,
		.log = on_log,
		.state = on_state,
		.accept = on_accept,
		.opened = on_opened,
		.dgram = on_dgram,
		.closed = on_closed,
		.stopped = on_stopped,
		.woken = on_woken,
		.request = on_request,
	};
}

void side_new(struct side *s, const struct culvert_options *o, const char *conf)
{
	struct culvert_diag diag;
	if (culvert_new(&s->node, conf, strlen(conf), o, &diag))
		fail_msg("%u: %s", diag.line, diag.text);
}

void side_end(struct side *s)
{
	culvert_free(s->node);
	s->node = NULL;
}

void side_clear(struct side *s)
{
	culvert *node = s->node;
	bool echo = s->echo;
	void (*hook)(struct side *, enum call, culvert_flow *) = s->within;
	*s = (struct side){ .node = node, .echo = echo, .within = hook };
}

struct keys keys_make(void)
{
	struct keys k;
	assert_int_equal(culvert_genkey(k.priv, 0), 0);
	assert_int_equal(culvert_pubkey(k.pub, k.priv), 0);
	return k;
}

struct text {
	char *bytes;
	size_t len;
};

static void collect(void *user, const char *piece, size_t len)
{
	struct text *t = user;
	t->bytes = realloc(t->bytes, t->len + len + 1);
	memcpy(t->bytes + t->len, piece, len);
	t->len += len;
	t->bytes[t->len] = '\0';
}

static char *show(struct side *s, const char *request)
{
	struct text t = { 0 };
	assert_int_equal(culvert_show(s->node, request, collect, &t), 0);
	assert_non_null(t.bytes);
	return t.bytes;
}

bool side_shows(struct side *s, const char *request, const char *text)
{
	char *all = show(s, request);
	bool has = strstr(all, text) != NULL;
	free(all);
	return has;
}

uint64_t side_count(struct side *s, const char *name)
{
	char key[64], *all = show(s, "show -j");
	snprintf(key, sizeof key, "\"%s\":", name);
	const char *at = strstr(all, key);
	assert_non_null(at);
	uint64_t n = strtoull(at + strlen(key), NULL, 10);
	free(all);
	return n;
}

void fill(uint8_t *data, size_t len, unsigned number)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)((number + i) * 167 + (i >> 8));
}

bool filled(const uint8_t *data, size_t len, unsigned number)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != (uint8_t)((number + i) * 167 + (i >> 8)))
			return false;
	return true;
}

static int entries(const char *path)
{
	int n = 0;
	DIR *d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3; /* ., .. and the one that reads */
}

int descriptors(void)
{
	return entries("/proc/self/fd");
}

int threads(void)
{
	return entries("/proc/self/task") + 1;
}
