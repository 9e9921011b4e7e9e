/* SPDX-License-Identifier: MIT */
/* node.c - run a node as a process: signals, reload, limits */
#include "cli.h"
#include "confine.h"
#include "systemd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DESCRIPTORS = 1 << 20 }; /* asked for; the kernel's own default bound */

/* the one node of this process: a signal handler is told nothing else */
static culvert *running;

struct daemon {
	const struct source *from;
	culvert *node;
	struct confine confine;
};

/* set by the signal handler, looked at when the node has woken */
static volatile sig_atomic_t stopping, again;

static void on_stop(int number)
{
	(void)number;
	stopping = 1;
	culvert_wake(running);
	culvert_stop(running);
}

static void on_reload(int number)
{
	(void)number;
	again = 1;
	culvert_wake(running);
}

static void watch(int number, void (*handler)(int))
{
	struct sigaction now, then = { .sa_handler = handler };
	/* what whoever started us wants ignored stays so: nohup(1) */
	if (!sigaction(number, NULL, &now) && now.sa_handler == SIG_IGN)
		return;
	then.sa_flags = SA_RESTART;
	sigaction(number, &then, NULL);
}

/* one for each flow: as many as we may have */
static void raise_limit(void)
{
	struct rlimit now, more = { DESCRIPTORS, DESCRIPTORS };
	if (getrlimit(RLIMIT_NOFILE, &now) || now.rlim_cur >= DESCRIPTORS ||
		!setrlimit(RLIMIT_NOFILE, &more)) /* root may */
		return;
	more.rlim_cur = more.rlim_max = now.rlim_max;
	setrlimit(RLIMIT_NOFILE, &more);
}

/* "PLACE: why", as an error is told */
static void explain(const struct source *from, const struct culvert_diag *diag,
	int err, char out[700])
{
	char buf[300];
	const char *at = from->place(from->user, diag->line, buf);
	snprintf(out, 700, "%s%s%s", at ? at : "", at ? ": " : "",
		*diag->text ? diag->text : culvert_strerror(err));
}

static void wipe(char *text, size_t len)
{
	explicit_bzero(text, len);
	free(text);
}

/* the file again; 0, or an error and why */
static int reload(struct daemon *d, char why[700])
{
	struct culvert_diag diag = { 0 };
	size_t len = 0;
	if (!d->from->path) {
		snprintf(why, 700,
			"this node was not started from a file: there is "
			"nothing to reload");
		return CULVERT_ESTATE;
	}
	char *text = read_conf(d->from->path, &len, why);
	if (!text)
		return CULVERT_ESYS;
	int err = culvert_reload(d->node, text, len, &diag);
	wipe(text, len);
	if (err)
		explain(d->from, &diag, err, why);
	return err;
}

static void log_refusal(const char *why)
{
	char line[800] = "msg=\"not reloaded\" error=\"";
	size_t n = strlen(line);
	for (; *why && n < sizeof line - 3; why++) {
		if (*why == '"')
			line[n++] = '\\';
		line[n++] = *why;
	}
	line[n++] = '"';
	line[n] = '\0';
	log_line(NULL, CULVERT_ERROR, line);
}

/* a signal came */
static void woken(void *user)
{
	char why[700];
	bool ends = stopping; /* and is not ready again, whatever comes */
	if (ends)
		systemd_notify("STOPPING=1");
	if (!again)
		return;
	again = 0;
	if (!ends)
		systemd_notify("RELOADING=1");
	if (reload(user, why))
		log_refusal(why);
	if (!ends)
		systemd_notify("READY=1");
}

static int request(void *user, const char *line, char *answer, size_t size)
{
	char why[700];
	if (strcmp(line, "reload")) {
		snprintf(answer, size, "unknown request");
		return CULVERT_EINVAL;
	}
	int err = reload(user, why);
	snprintf(answer, size, "%s", err ? why : "reloaded\n");
	return err;
}

/* ports are bound: what is not needed any more is given up */
static int begin(struct daemon *d)
{
	char note[SANDBOX_TEXT + 16], why[SANDBOX_TEXT];
	int err = confine(&d->confine, &d->from->process,
		culvert_socket(d->node), note, why);
	if (err) {
		complain("--user: %s", why);
		return err;
	}
	culvert_note(d->node, note);
	running = d->node;
	watch(SIGTERM, on_stop);
	watch(SIGINT, on_stop);
	watch(SIGHUP, d->from->path ? on_reload : on_stop);
	return culvert_start(d->node);
}

static int live(struct daemon *d)
{
	int err = begin(d);
	if (!err) {
		systemd_notify("READY=1");
		err = culvert_run(d->node);
	}
	signal(SIGTERM, SIG_IGN); /* it is stopping already */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	culvert_free(d->node);
	return exit_code(err);
}

/* sockets that a service manager opened; false: it was said what is wrong */
static bool inherit(struct culvert_options *o, int **fds)
{
	int n = systemd_listen_fds(fds);
	if (n < 0)
		complain("LISTEN_FDS: %s", strerror(errno));
	o->fds = n > 0 ? *fds : NULL;
	o->nfds = n > 0 ? (size_t)n : 0;
	return n >= 0;
}

int run_node(struct source *from)
{
	struct culvert_diag diag = { 0 };
	struct daemon d = { .from = from };
	struct culvert_options options = {
		.size = sizeof options,
		.flags = CULVERT_CONTROL,
		.user = &d,
		.log = log_line,
		.woken = woken,
		.request = request,
	};
	char why[700];
	int *fds = NULL, err = CULVERT_ESYS;
	raise_limit();
	if (from->process.trace) {
		options.trace = trace_line;
		if (trace_open(from->process.trace)) {
			complain("cannot write %s: %s", from->process.trace,
				strerror(errno));
			wipe(from->text, from->len);
			return 1;
		}
	}
	confine_plan(&d.confine, from);
	bool can = inherit(&options, &fds);
	if (can)
		err = culvert_new(
			&d.node, from->text, from->len, &options, &diag);
	/* what the node uses it has under names of its own */
	for (size_t i = 0; i < options.nfds; i++)
		close(fds[i]);
	free(fds);
	wipe(from->text, from->len);
	from->text = NULL;
	if (!err) {
		err = live(&d);
		trace_close();
		return err;
	}
	explain(from, &diag, err, why);
	if (can)
		complain("%s", why);
	return exit_code(err);
}
