/* SPDX-License-Identifier: MIT */
/*
 * cmd_top.c - running nodes, every second
 *
 * DOC: Numbers come from the metrics; what grows is shown by how much it grew
 * a second since the last time.  On a terminal it is a table, elsewhere a
 * line in logfmt for each node and peer.
 */
#include "top.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct top {
	const char *name;
	long count; /* of pictures, 0: no end */
	double delay;
	double next; /* when the next picture is due */
	struct rows now, before;
};

/* what a row says of the last interval; NAN: nothing yet */
struct speed {
	double value[FIELDS];
	double drops; /* of all reasons */
	char reasons[256];
};

static double clock_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 0, or what gather() says; then nothing is known */
static int refresh(struct top *t)
{
	char *text;
	rows_free(&t->before);
	t->before = t->now;
	t->now = (struct rows){ 0 };
	int err = gather(t->name, "metrics", &text);
	if (err)
		return err;
	err = rows_read(&t->now, text, clock_now());
	free(text);
	return err;
}

static void advance(struct top *t)
{
	/* what was slept through is not made up for */
	t->next = fmax(t->next, clock_now()) + t->delay;
	refresh(t);
}

static const char *state(const struct row *r)
{
	if (!*r->peer || r->value[UP] > 0)
		return "up";
	return r->value[LINKS] > 0 ? "handshake" : "down";
}

/* 1234567 is 1.23M */
static const char *human(double v, char out[16])
{
	static const char units[] = " kMGTP";
	int i = 0;
	if (isnan(v))
		return "-";
	for (; v >= 999.5 && units[i + 1]; i++)
		v /= 1000;
	int digits = v >= 99.95 || (!i && v == floor(v)) ? 0
		     : v < 9.995                         ? 2
							 : 1;
	snprintf(out, 16, "%.*f%.*s", digits, v, i > 0, units + i);
	return out;
}

static double count_of(const struct row *r, const char *reason)
{
	for (int i = 0; i < r->drops; i++) {
		if (!strcmp(r->drop[i].reason, reason))
			return r->drop[i].count;
	}
	return 0;
}

static void measure_drops(const struct row *r, const struct row *was,
	double seconds, struct speed *s)
{
	char number[16];
	size_t n = 0;
	for (int i = 0; i < r->drops && n < sizeof s->reasons; i++) {
		const char *reason = r->drop[i].reason;
		double d =
			rate(r->drop[i].count, count_of(was, reason), seconds);
		s->drops += d;
		if (d > 0)
			n += (size_t)snprintf(s->reasons + n,
				sizeof s->reasons - n, "%s%s:%s", n ? "," : "",
				reason, human(d, number));
	}
}

static void measure(const struct top *t, const struct row *r, struct speed *s)
{
	const struct row *was = rows_find(&t->before, r);
	double seconds = t->now.at - t->before.at;
	*s = (struct speed){ .drops = was ? 0 : NAN };
	for (int i = 0; i < FIELDS; i++)
		s->value[i] =
			was ? rate(r->value[i], was->value[i], seconds) : NAN;
	if (was)
		measure_drops(r, was, seconds, s);
}

static void print_row(const struct top *t, const struct row *r)
{
	struct speed s;
	measure(t, r, &s);
	printf("node=%s%s%s state=%s flows=%.0f", r->node,
		*r->peer ? " peer=" : "", r->peer, state(r), r->value[FLOWS]);
	if (!isnan(r->value[RTT]))
		printf(" rtt_ms=%.1f", r->value[RTT] * 1e3);
	if (!isnan(s.value[SENT]))
		printf(" sent_datagrams=%.1f sent_bits=%.0f "
		       "received_datagrams=%.1f received_bits=%.0f "
		       "dropped=%.1f",
			s.value[SENT], s.value[SENT_BYTES] * 8,
			s.value[RECEIVED], s.value[RECEIVED_BYTES] * 8,
			s.drops);
	if (*s.reasons)
		printf(" reasons=%s", s.reasons);
	putchar('\n');
}

static int print_lines(struct top *t)
{
	for (size_t i = 0; i < t->now.count; i++)
		print_row(t, &t->now.row[i]);
	if (!t->now.count)
		puts("state=gone");
	if (!fflush(stdout))
		return EXIT_OK;
	complain("standard output: %s", strerror(errno));
	return EXIT_FAILED;
}

static void draw_row(struct screen *s, const struct top *t, const struct row *r)
{
	char name[WORD + 4], rtt[16], flows[16], number[4][16], drops[16];
	struct speed v;
	measure(t, r, &v);
	snprintf(name, sizeof name, "%s%s", *r->peer ? "  " : "",
		*r->peer ? r->peer : r->node);
	snprintf(rtt, sizeof rtt, isnan(r->value[RTT]) ? "-" : "%.1f",
		r->value[RTT] * 1e3);
	const char *style = !strcmp(state(r), "down") ? "31m"
			    : v.drops > 0             ? "33m"
			    : *r->peer                ? ""
						      : "1m";
	screen_line(s, style, "%-20.20s %-9s %6s %5s %6s %6s %6s %6s %7s %s",
		name, state(r), rtt, human(r->value[FLOWS], flows),
		human(v.value[SENT], number[0]),
		human(v.value[SENT_BYTES] * 8, number[1]),
		human(v.value[RECEIVED], number[2]),
		human(v.value[RECEIVED_BYTES] * 8, number[3]),
		human(v.drops, drops), v.reasons);
}

static bool draw(struct screen *s, const struct top *t)
{
	if (!screen_begin(s))
		return false;
	screen_line(s, "7m", "%-20s %-9s %6s %5s %6s %6s %6s %6s %7s %s",
		"node, its peers", "state", "rtt ms", "flows", "sent/s",
		"bit/s", "recv/s", "bit/s", "drops/s", "by reason");
	for (size_t i = 0; i < t->now.count; i++) {
		size_t more = t->now.count - i;
		if (screen_room(s) == 1 && more > 1) {
			screen_line(s, "", "and %zu more", more);
			break;
		}
		draw_row(s, t, &t->now.row[i]);
	}
	if (!t->now.count)
		screen_line(s, "", "waiting for %s%s",
			t->name ? "a node called " : "any node",
			t->name ? t->name : "");
	return screen_end(s);
}

/* until the next picture is due; false: it was told to end */
static bool wait_on(struct screen *s, const struct top *t)
{
	enum event e = EVENT_SIZE;
	while (e == EVENT_SIZE) {
		if (!draw(s, t))
			return false;
		e = screen_wait(s, t->next - clock_now());
	}
	return e == EVENT_TIME;
}

static int run_screen(struct top *t)
{
	struct screen s;
	if (screen_open(&s)) {
		complain("top: %s", strerror(errno));
		return EXIT_FAILED;
	}
	long shown = 1;
	while (wait_on(&s, t) && shown++ != t->count) {
		advance(t);
	}
	screen_close(&s);
	return EXIT_OK;
}

static int run_lines(struct top *t)
{
	int code = EXIT_OK;
	for (long n = 0; !code && (!t->count || n < t->count); n++) {
		double left = t->next - clock_now();
		struct timespec rest = { .tv_sec = (time_t)fmax(left, 0) };
		rest.tv_nsec =
			(long)(fmax(left - (double)rest.tv_sec, 0) * 1e9);
		nanosleep(&rest, NULL);
		advance(t);
		code = print_lines(t);
	}
	return code;
}

static bool number(const char *text, double min, double max, double *out)
{
	char *end;
	*out = text ? strtod(text, &end) : NAN;
	return text && *text && !*end && *out >= min && *out <= max;
}

static int usage(const char *wrong)
{
	complain("top: %s; type \"culvert top [-n COUNT] [-d SECONDS] "
		 "[NAME]\"",
		wrong);
	return EXIT_USAGE;
}

static int read_options(struct top *t, int argc, char **argv)
{
	double count;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-n")) {
			if (!number(argv[++i], 1, 1e9, &count))
				return usage("-n needs a number from 1");
			t->count = (long)count;
		} else if (!strcmp(argv[i], "-d")) {
			if (!number(argv[++i], 0.1, 3600, &t->delay))
				return usage("-d needs seconds, 0.1 to 3600");
		} else if (*argv[i] != '-' && !t->name) {
			t->name = argv[i];
		} else {
			return usage("unknown argument");
		}
	}
	return EXIT_OK;
}

int cmd_top(int argc, char **argv)
{
	struct top t = { .delay = 1 };
	int code = read_options(&t, argc, argv);
	if (code)
		return code;
	int err = refresh(&t);
	if (err)
		return not_found("top", t.name, err);
	t.next = clock_now() + t.delay;
	code = isatty(STDOUT_FILENO) ? run_screen(&t) : run_lines(&t);
	rows_free(&t.now);
	rows_free(&t.before);
	return code;
}
