/* SPDX-License-Identifier: MIT */
/**
 * metrics_http.c - as much of an HTTP server as a scraper needs (RFC 9112)
 *
 * DOC: GET or HEAD of / or /metrics, one request a connection.  What a client
 * accepts is looked at only for whether it knows OpenMetrics.
 */
#include "loop/metrics.h"

#include "core/url.h"
#include "loop/answer.h"
#include "loop/sock.h"
#include "loop/unix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 64 };

struct cv_metrics {
	struct cv_loop *loop;
	struct cv_answer *answer;
	char path[CV_URL_TEXT]; /* of a unix socket, or "" */
	char name[64];
};

struct reply {
	const char *status, *type, *more; /* more: header lines */
	bool head;                        /* without its body */
	bool metrics;
	bool open; /* OpenMetrics */
};

static void refuse(struct reply *r, const char *status)
{
	r->status = status;
	r->metrics = false;
}

/* the request line; what follows it is the rest of the request */
static void read_line(struct reply *r, char *line)
{
	char *save, *method = strtok_r(line, " ", &save);
	char *target = strtok_r(NULL, " ", &save);
	char *version = strtok_r(NULL, " ", &save);
	if (!version || strtok_r(NULL, " ", &save) ||
		strncmp(version, "HTTP/1.", 7)) {
		refuse(r, "400 Bad Request");
		return;
	}
	target[strcspn(target, "?")] = '\0';
	r->head = !strcmp(method, "HEAD");
	if (strcmp(target, "/") && strcmp(target, "/metrics")) {
		refuse(r, "404 Not Found");
	} else if (!r->head && strcmp(method, "GET")) {
		refuse(r, "405 Method Not Allowed");
		r->more = "Allow: GET, HEAD\r\n";
	}
}

static void understand(struct reply *r, char *request)
{
	if (!request) {
		refuse(r, "431 Request Header Fields Too Large");
		return;
	}
	char *line = request + strcspn(request, "\r\n");
	r->open = strcasestr(line, "application/openmetrics-text") != NULL;
	*line = '\0';
	read_line(r, request);
}

static void write_body(
	const struct cv_metrics *m, const struct reply *r, FILE *f)
{
	struct cv_node *n = &m->loop->node;
	if (!r->metrics)
		fprintf(f, "%s\n", r->status);
	else if (r->open)
		cv_metrics_open(f, n, m->name, cv_now());
	else
		cv_metrics_text(f, n, m->name, cv_now());
}

static const char *type_of(const struct reply *r)
{
	if (!r->metrics)
		return "text/plain; charset=utf-8";
	return r->open ? "application/openmetrics-text; version=1.0.0; "
			 "charset=utf-8"
		       : "text/plain; version=0.0.4; charset=utf-8";
}

static void compose(void *user, char *request, FILE *f)
{
	struct reply r = { .status = "200 OK", .more = "", .metrics = true };
	char *body = NULL;
	size_t len;
	understand(&r, request);
	FILE *b = open_memstream(&body, &len);
	if (!b)
		return;
	write_body(user, &r, b);
	if (!fclose(b)) {
		fprintf(f,
			"HTTP/1.1 %s\r\nContent-Type: %s\r\n"
			"Content-Length: %zu\r\n%sConnection: close\r\n\r\n",
			r.status, type_of(&r), len, r.more);
		fwrite(body, 1, r.head ? 0 : len, f);
	}
	free(body);
}

static const struct cv_answer_ops ops = {
	.end = "\r\n\r\n",
	.compose = compose,
};

static int listen_tcp(struct cv_loop *l, const struct cv_url *u)
{
	char why[CV_SOCK_WHY], at[CV_ADDRTEXT];
	struct cv_addr a;
	errno = EINVAL;
	int fd = cv_url_addr(u, &a) ? -1 : cv_sock_listen(l, &a, u, why);
	if (fd >= 0 && !cv_addr_loopback(&a))
		cv_log(&l->node, CULVERT_WARN,
			"msg=\"whoever reaches this address may read the "
			"metrics\" address=%s",
			cv_addr_format(&a, at));
	return fd;
}

static int listen_at(struct cv_metrics *m, const char *url)
{
	struct cv_url u;
	errno = EINVAL;
	if (cv_url_parse(&u, url, strlen(url), NULL))
		return -1;
	if (strcmp(u.scheme, "unix"))
		return listen_tcp(m->loop, &u);
	snprintf(m->path, sizeof m->path, "/%s", u.path ? u.path : "");
	return cv_unix_listen(m->path, BACKLOG);
}

struct cv_metrics *cv_metrics_listen(
	struct cv_loop *l, const char *url, const char *name)
{
	struct cv_metrics *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	m->loop = l;
	snprintf(m->name, sizeof m->name, "%s", name);
	int fd = listen_at(m, url);
	if (fd >= 0)
		m->answer = cv_answer_new(l->ev, fd, &ops, m);
	if (m->answer)
		return m;
	int e = errno;
	if (fd >= 0 && *m->path)
		unlink(m->path);
	free(m);
	errno = e;
	return NULL;
}

void cv_metrics_free(struct cv_metrics *m)
{
	if (!m)
		return;
	/* while it still answers: behind that it may be another node's */
	if (*m->path)
		unlink(m->path);
	cv_answer_free(m->answer);
	free(m);
}
