/* SPDX-License-Identifier: MIT */
/* test_thread.c - own loops in threads, and what a process keeps for itself */
#include "ports.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* a node with its own loop, and the thread that runs it */
struct runner {
	struct side side;
	pthread_t thread;
	int err;
	sem_t up, down, woken, got;
};

static struct runner server, client;
static struct ports p; /* for its texts */

static void within(struct side *s, enum call call, culvert_flow *flow)
{
	struct runner *r = (struct runner *)s;
	(void)flow;
	if (call == ON_STATE && s->up > s->down)
		sem_post(&r->up);
	if (call == ON_STATE && s->up == s->down)
		sem_post(&r->down);
	if (call == ON_WOKEN)
		sem_post(&r->woken);
	if (call == ON_DGRAM)
		sem_post(&r->got);
}

static void make(struct runner *r, const char *conf, unsigned flags)
{
	memset(r, 0, sizeof *r);
	sem_init(&r->up, 0, 0);
	sem_init(&r->down, 0, 0);
	sem_init(&r->woken, 0, 0);
	sem_init(&r->got, 0, 0);
	r->side.within = within;
	struct culvert_options o = side_options(&r->side);
	o.flags = flags;
	side_new(&r->side, &o, conf);
}

static void *main_of(void *user)
{
	struct runner *r = user;
	r->err = culvert_run(r->side.node);
	return NULL;
}

static void launch(struct runner *r)
{
	assert_int_equal(pthread_create(&r->thread, NULL, main_of, r), 0);
}

static void wait_for(sem_t *sem)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += 10;
	assert_int_equal(sem_timedwait(sem, &t), 0);
}

/* until its thread has ended; it must do so by itself */
static void join(struct runner *r)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += 10;
	assert_int_equal(pthread_timedjoin_np(r->thread, NULL, &t), 0);
	assert_int_equal(r->err, 0);
}

static int begin(void **state)
{
	(void)state;
	ports_begin(&p);
	return 0;
}

static int end(void **state)
{
	(void)state;
	side_end(&server.side);
	side_end(&client.side);
	ports_end(&p);
	return 0;
}

static void test_two_threads(void **state)
{
	culvert_flow *f;
	(void)state;
	make(&server, p.sconf, 0);
	make(&client, p.cconf, 0);
	server.side.echo = true;
	/* before it runs a node is anybody's */
	assert_int_equal(
		culvert_open(client.side.node, "server", "app://x", &f), 0);
	assert_int_equal(culvert_send(f, "x", 1), CULVERT_EFULL);
	launch(&server);
	launch(&client);
	wait_for(&server.up);
	wait_for(&client.up);
	wait_for(&client.got);
	for (int i = 0; i < 100; i++) {
		culvert_wake(server.side.node);
		wait_for(&server.woken);
	}
	culvert_stop(server.side.node);
	join(&server);
	assert_int_equal(server.side.stopped, 1);
	wait_for(&client.down);
	culvert_stop(client.side.node);
	join(&client);
	assert_int_equal(client.side.stopped, 1);
	assert_int_equal(client.side.down, 1);
	assert_int_equal(culvert_run(client.side.node), CULVERT_ESTATE);
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void send_when_woken(struct side *s, enum call call, culvert_flow *flow)
{
	within(s, call, flow);
	if (call == ON_WOKEN)
		culvert_send(s->flow, "woken", 5);
}

/* what is done when woken, or by a stop, is done at once: a loop that sleeps
   does not wait for what wakes it next */
static void test_at_once(void **state)
{
	culvert_flow *f;
	(void)state;
	make(&server, p.sconf, 0);
	make(&client, p.cconf, 0);
	server.side.within = send_when_woken;
	assert_int_equal(
		culvert_open(client.side.node, "server", "app://x", &f), 0);
	culvert_send(f, "x", 1);
	launch(&server);
	launch(&client);
	wait_for(&server.got);
	double from = seconds();
	for (int i = 0; i < 20; i++) {
		culvert_wake(server.side.node);
		wait_for(&client.got);
	}
	assert_true(seconds() - from < 5.);
	from = seconds();
	culvert_stop(server.side.node);
	join(&server);
	assert_true(seconds() - from < 0.5);
	culvert_stop(client.side.node);
	join(&client);
}

/* both at once, again and again: nothing is shared between them */
static void test_lives(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		if (i) {
			side_end(&server.side);
			side_end(&client.side);
		}
		make(&server, p.sconf, 0);
		make(&client, p.cconf, 0);
		launch(&server);
		launch(&client);
		if (i % 2)
			wait_for(&client.up);
		culvert_stop(server.side.node);
		culvert_stop(client.side.node);
		join(&server);
		join(&client);
	}
}

/* freed by its own callback while it runs */
static void free_when_woken(struct side *s, enum call call, culvert_flow *flow)
{
	(void)flow;
	if (call == ON_WOKEN)
		side_end(s);
}

static void test_free_running(void **state)
{
	(void)state;
	make(&server, p.sconf, 0);
	client.side.node = NULL;
	server.side.within = free_when_woken;
	launch(&server);
	culvert_wake(server.side.node);
	join(&server);
	assert_null(server.side.node);
	assert_int_equal(server.side.stopped, 0);
}

static void on_signal(int number)
{
	if (number == SIGUSR1)
		culvert_wake(server.side.node);
	else
		culvert_stop(server.side.node);
}

static void test_signals(void **state)
{
	struct sigaction now, ours = { .sa_handler = on_signal };
	struct sigaction was[NSIG];
	(void)state;
	for (int i = 1; i < NSIG; i++)
		sigaction(i, NULL, &was[i]);
	make(&server, p.sconf, CULVERT_CONTROL);
	client.side.node = NULL;
	launch(&server);
	culvert_wake(server.side.node);
	wait_for(&server.woken);
	for (int i = 1; i < NSIG; i++) {
		if (sigaction(i, NULL, &now))
			continue;
		assert_ptr_equal(now.sa_handler, was[i].sa_handler);
		assert_int_equal(now.sa_flags, was[i].sa_flags);
	}
	sigaction(SIGUSR1, &ours, NULL);
	sigaction(SIGUSR2, &ours, NULL);
	pthread_kill(server.thread, SIGUSR1);
	wait_for(&server.woken);
	kill(getpid(), SIGUSR1);
	wait_for(&server.woken);
	kill(getpid(), SIGUSR2);
	join(&server);
	assert_int_equal(server.side.stopped, 1);
}

static void collect(void *user, const char *piece, size_t len)
{
	char *text = user;
	strncat(text, piece, len);
}

static void test_ask(void **state)
{
	char conf[2 * CONF], name[32], text[8192] = "";
	(void)state;
	snprintf(name, sizeof name, "api-%d", (int)getpid());
	snprintf(conf, sizeof conf, "[Node]\nName = %.20s\n%.4000s", name,
		p.sconf + 7);
	make(&server, conf, CULVERT_CONTROL);
	client.side.node = NULL;
	launch(&server);
	assert_int_equal(culvert_ask(name, "show", collect, text), 0);
	assert_non_null(strstr(text, name));
	*text = '\0';
	assert_int_equal(culvert_ask(name, "hello", collect, text), 0);
	assert_string_equal(text, "you said hello");
	*text = '\0';
	assert_int_equal(culvert_ask(name, "no", collect, text), 0);
	assert_string_equal(text, "error: you said no\n");
	culvert_stop(server.side.node);
	join(&server);
	side_end(&server.side);
	assert_int_equal(
		culvert_ask(name, "show", collect, text), CULVERT_ENODAEMON);
}

/* what belongs to the process is as it was */
static void test_process(void **state)
{
	char before[4096], after[4096], said[64];
	int out[2], kept[3];
	(void)state;
	int fds = descriptors();
	assert_non_null(getcwd(before, sizeof before));
	mode_t mask = umask(027);
	assert_int_equal(pipe2(out, O_NONBLOCK | O_CLOEXEC), 0);
	fflush(NULL);
	for (int i = 0; i < 3; i++) {
		kept[i] = dup(i);
		dup2(i ? out[1] : out[0], i);
	}
	make(&server, p.sconf, CULVERT_CONTROL);
	make(&client, p.cconf, CULVERT_CONTROL);
	launch(&server);
	launch(&client);
	wait_for(&server.up);
	wait_for(&client.up);
	int n = threads();
	mode_t is = umask(027);
	culvert_stop(server.side.node);
	culvert_stop(client.side.node);
	join(&server);
	join(&client);
	side_end(&server.side);
	side_end(&client.side);
	for (int i = 0; i < 3; i++) {
		dup2(kept[i], i);
		close(kept[i]);
	}
	ssize_t written = read(out[0], said, sizeof said);
	close(out[0]);
	close(out[1]);
	umask(mask);
	assert_int_equal(written, -1);
	assert_int_equal(is, 027);
	assert_int_equal(n, 3); /* this one and two that run nodes */
	assert_non_null(getcwd(after, sizeof after));
	assert_string_equal(before, after);
	assert_int_equal(descriptors(), fds);
}

/* listening sockets that exist already */
static void test_given(void **state)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	int taken[2];
	(void)state;
	struct side *s = &p.server;
	struct culvert_options o = side_options(s);
	o.loop = p.ev;
	side_new(s, &o, p.sconf);
	/* a listener of somebody else's making, such as systemd's */
	for (int i = 3; i < 64; i++) {
		int listens = 0;
		socklen_t size = sizeof listens;
		if (!getsockopt(
			    i, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) &&
			listens)
			taken[0] = dup(i);
	}
	side_end(s);
	side_clear(s);
	assert_int_equal(getsockname(taken[0], (struct sockaddr *)&a, &len), 0);
	taken[1] = udp(0, 0);
	struct culvert_diag diag;
	assert_int_equal(
		culvert_new(&s->node, p.sconf, strlen(p.sconf), &o, &diag),
		CULVERT_ESYS); /* somebody has the port: we do */
	o.fds = taken;
	o.nfds = 2;
	int fds = descriptors();
	side_new(s, &o, p.sconf);
	culvert_start(s->node);
	close(taken[0]);
	close(taken[1]);
	o = side_options(&p.client);
	o.loop = p.ev;
	side_new(&p.client, &o, p.cconf);
	culvert_start(p.client.node);
	WAIT(&p, p.client.up && p.server.up);
	side_end(&p.client);
	side_end(s);
	assert_int_equal(descriptors(), fds - 2);
	server.side.node = client.side.node = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_process, begin, end),
		cmocka_unit_test_setup_teardown(test_two_threads, begin, end),
		cmocka_unit_test_setup_teardown(test_at_once, begin, end),
		cmocka_unit_test_setup_teardown(test_lives, begin, end),
		cmocka_unit_test_setup_teardown(test_free_running, begin, end),
		cmocka_unit_test_setup_teardown(test_signals, begin, end),
		cmocka_unit_test_setup_teardown(test_ask, begin, end),
		cmocka_unit_test_setup_teardown(test_given, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
