/* SPDX-License-Identifier: MIT */
/* ask.c - what a node can be asked: culvert_show(), culvert_ask() */
#include "instance.h"

#include "loop/metrics.h"
#include "loop/show.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *text;
	void (*compose)(FILE *, struct cv_node *, const char *name, cv_time);
} requests[] = {
	{ "show", cv_show_text },
	{ "show -j", cv_show_json },
	{ "show flows", cv_show_flows },
	{ "show flows -j", cv_show_flows_json },
	{ "metrics", cv_metrics_text },
};

static bool compose(struct culvert *c, const char *request, FILE *f)
{
	for (size_t i = 0; i < CV_COUNT(requests); i++) {
		if (strcmp(request, requests[i].text))
			continue;
		requests[i].compose(f, &c->loop.node, c->name, cv_now_of(c));
		return true;
	}
	return false;
}

void cv_asked(void *user, const char *request, FILE *f)
{
	struct culvert *c = user;
	const struct culvert_options *o = &c->options;
	char text[1024] = "unknown request";
	int err = CULVERT_EINVAL;
	if (compose(c, request, f))
		return;
	if (o->request && !c->doomed) {
		cv_app_enter(c->app);
		err = o->request(o->user, request, text, sizeof text);
		cv_app_leave(c->app);
	}
	fprintf(f, err ? "error: %s\n" : "%s", text);
}

int culvert_show(culvert *c, const char *request,
	void (*answer)(void *user, const char *piece, size_t len), void *user)
{
	char *text = NULL;
	size_t len = 0;
	if (!c || !request || !answer)
		return CULVERT_EINVAL;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return CULVERT_ENOMEM;
	bool known = compose(c, request, f);
	bool whole = !fclose(f) && text;
	if (known && whole)
		answer(user, text, len);
	free(text);
	return !known ? CULVERT_EINVAL : whole ? 0 : CULVERT_ENOMEM;
}

int culvert_note(culvert *c, const char *text)
{
	const char *colon = text ? strstr(text, ": ") : NULL;
	if (!c || !colon || colon == text || strchr(text, '\n'))
		return CULVERT_EINVAL;
	size_t used = strlen(c->notes), more = strlen(text);
	if (used + more + 2 > sizeof c->notes)
		return CULVERT_EFULL;
	memcpy(c->notes + used, text, more);
	strcpy(c->notes + used + more, "\n");
	c->loop.node.notes = c->notes;
	return 0;
}

int culvert_ask(const char *name, const char *request,
	void (*answer)(void *user, const char *piece, size_t len), void *user)
{
	if (!request || !answer)
		return CULVERT_EINVAL;
	return cv_control_ask(name, request, answer, user);
}

const char *culvert_socket(const culvert *c)
{
	return c && c->control ? cv_control_path(c->control) : NULL;
}
