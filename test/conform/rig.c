/* SPDX-License-Identifier: MIT */
/**
 * rig.c - nodes, their loops, clock and names; see rig.h
 *
 * DOC: The nodes' clock is clock_gettime(), wrapped by the linker, so that a
 * test can skip the twenty seconds after which a peer counts as silent.
 * c-ares is wrapped likewise, to ask the name server below and no other.
 */
#include "conform/rig.h"

#include "loop/resolve.h"
#include "loop/sock.h"

#include <ares.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

int __real_clock_gettime(clockid_t, struct timespec *);
int __wrap_clock_gettime(clockid_t, struct timespec *);
int __real_ares_init_options(ares_channel *, struct ares_options *, int mask);
int __wrap_ares_init_options(ares_channel *, struct ares_options *, int mask);

static struct {
	struct ev_loop *ev;
	ev_timer tick;
	struct node *node[RIG_NODES];
	unsigned nodes;
	int fds;
	cv_time skew;
	struct {
		ev_io io;
		struct cv_addr at;
		enum rig_names mode;
		unsigned asked;
		uint8_t held[8][512];
		size_t len[8];
		struct sockaddr_storage from[8];
		unsigned n;
	} dns;
} rig;

bool rig_inside;

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	int r = __real_clock_gettime(id, t);
	if (id != CLOCK_MONOTONIC)
		return r;
	t->tv_sec += (time_t)(rig.skew / 1000000u);
	t->tv_nsec += (long)(rig.skew % 1000000u) * 1000;
	if (t->tv_nsec >= 1000000000) {
		t->tv_nsec -= 1000000000;
		t->tv_sec++;
	}
	return r;
}

int __wrap_ares_init_options(
	ares_channel *channel, struct ares_options *opt, int mask)
{
	char at[CV_ADDRTEXT];
	int r = __real_ares_init_options(channel, opt, mask);
	if (r == ARES_SUCCESS)
		r = ares_set_servers_ports_csv(
			*channel, cv_addr_format(&rig.dns.at, at));
	return r;
}

static void node_report(const struct node *n)
{
	const struct cv_stats *st = &n->loop.node.stats;
	print_message("# node %02x: sent %lu received %lu sink %lu", n->priv[1],
		(unsigned long)st->tx_dgrams, (unsigned long)st->rx_dgrams,
		(unsigned long)n->sink.dgrams);
	for (int i = 0; i < CV_DROP_N; i++) {
		if (st->drop[i])
			print_message(" %s %lu", cv_drop_name((enum cv_drop)i),
				(unsigned long)st->drop[i]);
	}
	print_message("\n");
}

void rig_report(void)
{
	for (unsigned i = 0; i < rig.nodes; i++)
		node_report(rig.node[i]);
}

double rig_clock(void)
{
	struct timespec t;
	__real_clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct cv_addr rig_address(uint8_t host)
{
	uint16_t pid = (uint16_t)getpid();
	return (struct cv_addr){
		.family = CV_AF_INET,
		.ip = { 127, (uint8_t)(pid >> 8 | 1), (uint8_t)pid, host },
	};
}

struct cv_addr rig_port(int type, const struct cv_addr *at)
{
	struct cv_addr a = at ? *at : rig_address(1);
	struct sockaddr_storage ss;
	socklen_t len = cv_sock_addr(&a, &ss);
	int fd = cv_sock_new(&a, type);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	cv_sock_from(&ss, &a);
	close(fd);
	return a;
}

int rig_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = -1; /* the directory itself */
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		n += *e->d_name != '.';
	closedir(d);
	return n;
}

/* one answer: the address for A, nothing for the rest */
static void answer(uint8_t *p, size_t len, const struct sockaddr_storage *to)
{
	uint8_t out[600];
	size_t q = 12;
	while (q < len && p[q])
		q += p[q] + 1u;
	if (q + 5 > len)
		return;
	bool known = rig.dns.mode == NAMES_ALL;
	bool has = known && p[q + 2] == 1;
	q += 5;
	memcpy(out, p, q);
	out[2] = 0x84;
	out[3] = known ? 0x80 : 0x83;
	memset(out + 6, 0, 6);
	out[7] = has;
	if (has) {
		static const uint8_t record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0,
			1, 0, 4 };
		struct cv_addr a = rig_address(1);
		memcpy(out + q, record, sizeof record);
		memcpy(out + q + sizeof record, a.ip, 4);
		q += sizeof record + 4;
	}
	sendto(rig.dns.io.fd, out, q, 0, (const struct sockaddr *)to,
		sizeof(struct sockaddr_in));
}

static void on_query(struct ev_loop *ev, ev_io *w, int events)
{
	unsigned i = rig.dns.n % 8;
	socklen_t n = sizeof rig.dns.from[i];
	(void)ev;
	(void)events;
	ssize_t len = recvfrom(w->fd, rig.dns.held[i], sizeof rig.dns.held[i],
		0, (struct sockaddr *)&rig.dns.from[i], &n);
	if (len < 12)
		return;
	rig.dns.asked++;
	rig.dns.len[i] = (size_t)len;
	if (rig.dns.mode == NAMES_HELD)
		rig.dns.n++;
	else
		answer(rig.dns.held[i], (size_t)len, &rig.dns.from[i]);
}

void rig_names(enum rig_names mode)
{
	rig.dns.mode = mode;
	if (mode == NAMES_HELD)
		return;
	for (unsigned i = 0; i < rig.dns.n && i < 8; i++)
		answer(rig.dns.held[i], rig.dns.len[i], &rig.dns.from[i]);
	rig.dns.n = 0;
}

unsigned rig_names_asked(void)
{
	return rig.dns.asked;
}

static void on_tick(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)w;
	(void)events;
}

void rig_start(char **argv)
{
	if (getenv("GLIBC_TUNABLES"))
		return;
	setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
	execv("/proc/self/exe", argv);
}

void rig_begin(void)
{
	struct sockaddr_storage ss;
	memset(&rig, 0, sizeof rig);
	rig.fds = rig_fds();
	rig.ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	ev_timer_init(&rig.tick, on_tick, 0.001, 0.001);
	ev_timer_start(rig.ev, &rig.tick);
	rig.dns.at = rig_port(SOCK_DGRAM, NULL);
	int fd = cv_sock_new(&rig.dns.at, SOCK_DGRAM);
	socklen_t len = cv_sock_addr(&rig.dns.at, &ss);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	ev_io_init(&rig.dns.io, on_query, fd, EV_READ);
	ev_io_start(rig.ev, &rig.dns.io);
}

int rig_end(void)
{
	int left = (int)rig.nodes;
	ev_io_stop(rig.ev, &rig.dns.io);
	close(rig.dns.io.fd);
	ev_loop_destroy(rig.ev);
	if (left)
		print_error("%d nodes are left over\n", left);
	if (rig_fds() != rig.fds) {
		print_error("%d descriptors before, %d after\n", rig.fds,
			rig_fds());
		left++;
	}
	return left;
}

struct ev_loop *rig_driver(void)
{
	return rig.ev;
}

void rig_turn(void)
{
	bool busy = false;
	for (unsigned i = 0; i < rig.nodes; i++) {
		struct cv_loop *l = &rig.node[i]->loop;
		ev_run(l->ev, EVRUN_NOWAIT);
		busy |= !cv_list_empty(&l->node.dirty_links);
	}
	ev_run(rig.ev, busy ? EVRUN_NOWAIT : EVRUN_ONCE);
}

void rig_skip(cv_time us)
{
	rig.skew += us;
	for (unsigned i = 0; i < rig.nodes; i++) {
		cv_node_tick(&rig.node[i]->loop.node, cv_now());
		cv_node_input_done(&rig.node[i]->loop.node);
	}
}

static void *env_alloc(void *user, size_t size)
{
	struct node *n = user;
	n->bytes += size;
	return calloc(1, size);
}

static void env_free(void *user, void *ptr, size_t size)
{
	struct node *n = user;
	if (ptr)
		n->bytes -= size;
	free(ptr);
}

static void env_random(void *user, void *out, size_t len)
{
	(void)user;
	assert_int_equal(getrandom(out, len, 0), len);
}

static void env_log(void *user, enum culvert_log_level level, const char *line)
{
	struct node *n = user;
	size_t len = strlen(line);
	(void)level;
	if (getenv("RIG_LOG"))
		fprintf(stderr, "# %p %s\n", user, line);
	if (n->nsaid + len + 2 > sizeof n->said)
		n->nsaid = 0;
	memcpy(n->said + n->nsaid, line, len);
	n->nsaid += len;
	n->said[n->nsaid++] = '\n';
	n->said[n->nsaid] = '\0';
}

bool node_said(const struct node *n, const char *text)
{
	return strstr(n->said, text) != NULL;
}

static void env_dial(void *user, struct cv_session *s)
{
	struct node *n = user;
	if (n->kick)
		n->kick(s);
}

static struct node *node_of(struct cv_edge *e)
{
	return CV_CONTAINER(e, struct node, edge);
}

static int sink_open(struct cv_edge *e, struct cv_end *end, const char *target,
	size_t len, cv_time now)
{
	struct node *n = node_of(e);
	(void)target;
	(void)len;
	(void)now;
	n->sink.opens++;
	n->sink.end = end;
	return 0;
}

static void take(struct sink *k, const uint8_t *p, uint32_t len)
{
	k->dgrams++;
	k->bytes += len;
	k->bad += !stamp_ok(p, len);
	if (len < RIG_STAMP)
		return;
	uint32_t age = (uint32_t)cv_now() - cv_get32(p + 8);
	uint64_t number = cv_get64(p);
	k->disorder += number <= k->number;
	k->number = number;
	if (!k->oldest)
		k->age = age;
	if (age >= k->oldest)
		k->oldest = age + 1;
}

static int sink_dgram(struct cv_edge *e, struct cv_end *end,
	const struct cv_frame *f, cv_time now)
{
	struct sink *k = &node_of(e)->sink;
	uint32_t off = 0;
	(void)now;
	k->trains++;
	k->seg = f->seg;
	k->len = f->len;
	k->bad += cv_end_flow(end)->kind != CV_KIND_DGRAM;
	do {
		uint32_t n = f->len - off < f->seg ? f->len - off : f->seg;
		take(k, f->data + off, n);
		off += n;
	} while (off < f->len);
	cv_node_edge_dirty(&node_of(e)->loop.node, e);
	return 0;
}

static void sink_flush(struct cv_edge *e)
{
	(void)e;
}

static void sink_close(struct cv_edge *e, struct cv_end *end, enum cv_reset why)
{
	(void)why;
	struct sink *k = &node_of(e)->sink;
	k->closes++;
	if (k->end == end)
		k->end = NULL;
}

static const struct cv_edge_ops sink_ops = {
	.name = "memory",
	.open = sink_open,
	.dgram = sink_dgram,
	.flush = sink_flush,
	.close = sink_close,
};

/* a node's loop may also turn from within the driver's */
static void invoke(struct ev_loop *ev)
{
	rig_inside = true;
	ev_invoke_pending(ev);
	rig_inside = false;
}

static void on_embed(struct ev_loop *ev, ev_embed *w, int events)
{
	(void)ev;
	(void)w;
	(void)events;
}

static void key_of(uint8_t priv[CV_KEY], uint8_t seed)
{
	memset(priv, seed, CV_KEY);
	priv[0] &= 248;
	priv[31] = (uint8_t)((priv[31] & 127) | 64);
}

void node_up(struct node *n, uint8_t seed)
{
	struct timespec t;
	memset(n, 0, sizeof *n);
	__real_clock_gettime(CLOCK_REALTIME, &t);
	n->env = (struct cv_env){
		.alloc = env_alloc,
		.free = env_free,
		.random = env_random,
		.log = env_log,
		.dial = env_dial,
		.wall = (uint64_t)t.tv_sec * 1000000u +
			(uint64_t)t.tv_nsec / 1000u + rig.skew - cv_now(),
		.user = n,
	};
	const struct cv_loop_size size = { CV_MEMORY, 4000 };
	assert_int_equal(cv_loop_init(&n->loop, &n->env, &size, NULL), 0);
	n->loop.node.accepts = true;
	n->loop.node.max_age = RIG_AGE;
	n->loop.node.plain = !seed;
	key_of(n->priv, seed);
	if (seed)
		assert_int_equal(cv_node_set_key(&n->loop.node, n->priv), 0);
	n->edge.ops = &sink_ops;
	n->edge.node = &n->loop.node;
	cv_list_init(&n->edge.dirty);
	n->loop.node.out[0] = &n->edge;
	ev_set_invoke_pending_cb(n->loop.ev, invoke);
	ev_embed_init(&n->embed, on_embed, n->loop.ev);
	ev_embed_start(rig.ev, &n->embed);
	rig.node[rig.nodes++] = n;
	n->up = true;
}

void node_quiet(struct node *n)
{
	struct cv_node *node = &n->loop.node;
	if (!n->up)
		return;
	node->draining = true;
	while (!cv_list_empty(&node->links)) {
		struct cv_link *l =
			CV_CONTAINER(node->links.next, struct cv_link, all);
		l->ops->close(l, "stopped");
	}
	while (!cv_list_empty(&node->sessions))
		cv_session_free(CV_CONTAINER(
			node->sessions.next, struct cv_session, all));
}

void node_down(struct node *n)
{
	if (!n->up)
		return;
	node_quiet(n);
	n->up = false;
	ev_embed_stop(rig.ev, &n->embed);
	for (unsigned i = 0; i < rig.nodes; i++) {
		if (rig.node[i] == n)
			rig.node[i] = rig.node[--rig.nodes];
	}
	cv_resolver_free(&n->loop);
	cv_loop_clear(&n->loop);
	assert_int_equal(n->bytes, 0);
}

struct cv_session *node_know(struct node *n, uint8_t seed)
{
	uint8_t priv[CV_KEY], pub[CV_KEY];
	key_of(priv, seed);
	assert_int_equal(cv_crypto_public(pub, priv), 0);
	struct cv_session *s =
		cv_session_new(&n->loop.node, pub, n->loop.node.plain);
	assert_non_null(s);
	snprintf(s->name, sizeof s->name, "peer%u", seed);
	return s;
}

struct cv_session *node_peer(struct node *n)
{
	struct cv_list *all = &n->loop.node.sessions;
	return cv_list_empty(all)
		       ? NULL
		       : CV_CONTAINER(all->next, struct cv_session, all);
}

bool node_is_up(struct node *n)
{
	struct cv_session *s = node_peer(n);
	return s && cv_session_up(s);
}

struct cv_flow *node_open(struct node *n, uint16_t port)
{
	struct cv_opening o = {
		.edge = &n->edge,
		.src = { .family = CV_AF_INET, .ip = { 10, 0, 0, 1 } },
		.session = node_peer(n),
		.target = "udp://127.0.0.1:9",
	};
	o.src.port = port;
	struct cv_flow *f = cv_node_open(&n->loop.node, &o, cv_now());
	assert_non_null(f);
	return f;
}

static uint8_t filler(size_t i, uint64_t number, size_t len)
{
	return (uint8_t)(i * 31 + number * 7 + len);
}

void stamp(uint8_t *p, size_t len, uint64_t number)
{
	size_t i = 0;
	if (len >= RIG_STAMP) {
		cv_put64(p, number);
		cv_put32(p + 8, (uint32_t)cv_now());
		i = RIG_STAMP;
	}
	for (; i < len; i++)
		p[i] = filler(i, len >= RIG_STAMP ? number : 0, len);
}

bool stamp_ok(const uint8_t *p, size_t len)
{
	uint64_t number = len >= RIG_STAMP ? cv_get64(p) : 0;
	for (size_t i = len >= RIG_STAMP ? RIG_STAMP : 0; i < len; i++) {
		if (p[i] != filler(i, number, len))
			return false;
	}
	return true;
}

int node_send(struct node *n, struct cv_end *end, uint32_t seg, uint32_t len)
{
	static uint8_t train[CV_DGRAM_MAX + 1];
	for (uint32_t off = 0; off < len; off += seg) {
		uint32_t one = len - off < seg ? len - off : seg;
		stamp(train + off, one, ++n->number);
	}
	return cv_flow_send(&n->loop.node, end,
		&(struct cv_frame){ .type = CV_FRAME_DGRAM,
			.seg = seg,
			.len = len,
			.data = train },
		cv_now());
}

uint64_t node_drops(const struct node *n)
{
	const uint64_t *d = n->loop.node.stats.drop;
	uint64_t sum = 0;
	for (int i = CV_DROP_AGED; i <= CV_DROP_FLOW_LIMIT; i++)
		sum += d[i];
	return sum;
}

uint64_t node_drops_in(const struct node *n)
{
	const uint64_t *d = n->loop.node.stats.drop;
	uint64_t sum = 0;
	for (int i = CV_DROP_LATE; i < CV_DROP_N; i++)
		sum += d[i];
	return sum;
}
