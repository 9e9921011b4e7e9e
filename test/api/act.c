/* SPDX-License-Identifier: MIT */
#include "act.h"

static void nothing(void *user, const char *piece, size_t len)
{
	(void)user;
	(void)piece;
	assert_true(len > 0);
}

/* what is refused from within, whatever the node is */
static void ask(struct side *s)
{
	assert_int_equal(culvert_run(s->node), CULVERT_ESTATE);
	assert_int_equal(culvert_start(s->node), CULVERT_ESTATE);
	assert_int_equal(culvert_show(s->node, "show", nothing, NULL), 0);
	assert_int_equal(culvert_note(s->node, "a: b"), 0);
	culvert_tick(s->node, 1);
	culvert_deadline(s->node);
}

static void reload(const struct deed *d, struct side *s)
{
	/* stopped: ESTATE */
	int err = culvert_reload(s->node, d->same, strlen(d->same), NULL);
	int again = culvert_reload(s->node, d->other, strlen(d->other), NULL);
	int broken = culvert_reload(s->node, "[Nod]", 5, NULL);
	assert_int_equal(err, again);
	assert_int_equal(broken, err ? err : CULVERT_ESYNTAX);
}

static void open_one(const struct deed *d, struct side *s)
{
	culvert_flow *f;
	int err = culvert_open(s->node, d->peer, "app://more", &f);
	if (err)
		return;
	culvert_send(f, "first", 5);
	if (d->done % 2)
		culvert_close(f);
}

bool act(struct deed *d, struct side *s, enum call call, culvert_flow *flow)
{
	if (call != d->call || d->done > 5)
		return false;
	d->done++;
	switch (d->act) {
	case ACT_OPEN:
		open_one(d, s);
		break;
	case ACT_SEND:
		culvert_send(flow ? flow : s->flow, "sent", 4);
		break;
	case ACT_CLOSE:
		culvert_close(flow);
		break;
	case ACT_RELOAD:
		reload(d, s);
		break;
	case ACT_WAKE:
		culvert_wake(s->node);
		break;
	case ACT_ASK:
		ask(s);
		break;
	case ACT_STOP:
		culvert_stop(s->node);
		break;
	case ACT_FREE:
		side_end(s);
		return true;
	case ACTS:
	default:
		break;
	}
	return false;
}
