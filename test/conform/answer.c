/* SPDX-License-Identifier: MIT */
/* answer.c - clients that ask nodes: how many, how slow, how rude */
#include "conform/rig.h"

#include "loop/answer.h"
#include "loop/control.h"
#include "loop/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BIG = 4 << 20 };

static struct node node;
static struct cv_answer *server;
static char dir[] = "/tmp/cvt-answer-XXXXXX", path[64];
static int client[CV_ANSWER_CLIENTS + 2];
static unsigned asked;
static bool admits;

static bool admit(int fd)
{
	(void)fd;
	return admits;
}

static void compose(void *user, char *request, FILE *f)
{
	assert_ptr_equal(user, &node);
	asked++;
	if (request && !strcmp(request, "big"))
		for (unsigned i = 0; i < BIG / 8; i++)
			fprintf(f, "%07x\n", i);
	else
		fprintf(f, "you said %s\n", request ? request : "too much");
}

static const struct cv_answer_ops ops = { "\n", admit, compose };

static int setup(void **state)
{
	(void)state;
	rig_begin();
	node_up(&node, 0);
	strcpy(dir + sizeof dir - 7, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	setenv("XDG_RUNTIME_DIR", dir, 1);
	snprintf(path, sizeof path, "%s/s", dir);
	int fd = cv_unix_listen(path, 64);
	assert_true(fd >= 0);
	server = cv_answer_new(node.loop.ev, fd, &ops, &node);
	assert_non_null(server);
	admits = true;
	asked = 0;
	for (size_t i = 0; i < CV_COUNT(client); i++)
		client[i] = -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cv_answer_free(server);
	for (size_t i = 0; i < CV_COUNT(client); i++) {
		if (client[i] >= 0)
			close(client[i]);
	}
	unlink(path);
	rmdir(dir);
	node_down(&node);
	return rig_end();
}

static void dial(int i)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	strcpy(at.sun_path, path);
	if (client[i] < 0)
		client[i] = socket(
			AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(
		connect(client[i], (struct sockaddr *)&at, sizeof at), 0);
}

static void say(int i, const char *text)
{
	assert_int_equal(send(client[i], text, strlen(text), MSG_NOSIGNAL),
		strlen(text));
}

/* read to the end; false as long as there is more to come */
static bool heard(int i, char *text, size_t size, size_t *len)
{
	ssize_t n = 1;
	while (*len < size - 1 && n > 0) {
		n = recv(client[i], text + *len, size - 1 - *len, 0);
		*len += n > 0 ? (size_t)n : 0;
	}
	assert_true(n >= 0 || errno == EAGAIN);
	text[*len] = '\0';
	return !n;
}

static void expect(int i, const char *want)
{
	char text[128];
	size_t len = 0;
	RIG_WAIT(heard(i, text, sizeof text, &len));
	assert_string_equal(text, want);
}

/* whether the server has hung up, whatever it said before */
static bool is_over(int i)
{
	char c;
	return recv(client[i], &c, 1, MSG_PEEK) == 0;
}

static void test_pieces(void **state)
{
	(void)state;
	dial(0);
	for (const char *p = "piece by piece"; *p; p++) {
		say(0, (char[]){ *p, '\0' });
		rig_turn();
	}
	assert_int_equal(asked, 0);
	say(0, "\n");
	expect(0, "you said piece by piece\n");
	dial(1);
	say(1, "first\nsecond\n");
	expect(1, "you said first\n");
	say(1, "and what comes later is heard, not answered\n");
	assert_int_equal(asked, 2);
}

static void test_too_much(void **state)
{
	char text[CV_ANSWER_REQUEST + 1];
	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	dial(0);
	say(0, text);
	expect(0, "you said too much\n");
	/* one byte fewer, and an end */
	strcpy(text + CV_ANSWER_REQUEST - 2, "\n");
	dial(1);
	say(1, text);
	size_t len = 0;
	char answer[CV_ANSWER_REQUEST + 16];
	RIG_WAIT(heard(1, answer, sizeof answer, &len));
	assert_int_equal(len, 10 + CV_ANSWER_REQUEST - 2);
}

/* who asks half a question and goes is nobody */
static void test_half(void **state)
{
	int fds = rig_fds();
	(void)state;
	for (int i = 0; i < CV_ANSWER_CLIENTS + 2; i++) {
		dial(i);
		say(i, "ha");
		rig_turn();
		close(client[i]);
		client[i] = -1;
	}
	RIG_WAIT(rig_fds() == fds);
	assert_int_equal(asked, 0);
}

static void test_crowd(void **state)
{
	int fds = rig_fds();
	(void)state;
	for (int i = 0; i < CV_ANSWER_CLIENTS; i++) {
		dial(i);
		RIG_WAIT(rig_fds() == fds + 2 * (i + 1));
	}
	dial(CV_ANSWER_CLIENTS);
	say(CV_ANSWER_CLIENTS, "let me in\n");
	expect(CV_ANSWER_CLIENTS, "you said let me in\n");
	assert_true(is_over(0));
	for (int i = 1; i < CV_ANSWER_CLIENTS; i++)
		assert_false(is_over(i));
	/* the others have not been forgotten */
	say(1, "still here\n");
	expect(1, "you said still here\n");
}

static void test_slow_reader(void **state)
{
	static char text[BIG + 2];
	size_t len = 0;
	unsigned turns = 0;
	(void)state;
	dial(0);
	say(0, "big\n");
	while (!heard(
		0, text, len + 50000 < BIG ? len + 50000 : BIG + 2, &len)) {
		rig_turn();
		assert_true(++turns < 10000);
	}
	assert_int_equal(len, BIG);
	for (unsigned i = 0; i < BIG / 8; i++)
		assert_int_equal(strtoul(text + 8 * (size_t)i, NULL, 16), i);
}

static void test_nobody_reads(void **state)
{
	double began = rig_clock();
	int fds = rig_fds();
	(void)state;
	dial(0);
	say(0, "big\n");
	RIG_WAIT(asked == 1);
	dial(1);
	say(1, "me too\n");
	expect(1, "you said me too\n");
	RIG_WAIT(rig_fds() == fds + 3); /* client 1's place is kept for it */
	close(client[1]);
	client[1] = -1;
	RIG_WAIT(rig_fds() == fds + 1);
	assert_true(rig_clock() - began > CV_ANSWER_PATIENCE - 0.5);
}

static void test_not_admitted(void **state)
{
	(void)state;
	admits = false;
	dial(0);
	RIG_WAIT(is_over(0));
	assert_int_equal(asked, 0);
}

/* no descriptor is left: one is heard, the next waits, nothing spins */
static void test_descriptors(void **state)
{
	struct rlimit before, none;
	(void)state;
	for (int i = 0; i < 3; i++)
		client[i] = socket(
			AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	getrlimit(RLIMIT_NOFILE, &before);
	int top = dup(client[0]);
	close(top);
	none = (struct rlimit){ (rlim_t)top, before.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	dial(0);
	say(0, "hear me\n");
	expect(0, "you said hear me\n");
	dial(1);
	dial(2);
	say(2, "me too\n");
	RIG_WHILE(asked == 1, 0.05);
	close(client[0]);
	client[0] = -1;
	expect(2, "you said me too\n");
	setrlimit(RLIMIT_NOFILE, &before);
	say(1, "and me\n");
	expect(1, "you said and me\n");
}

/* whatever clients are doing when it ends */
static void test_end(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		dial(i);
	say(1, "ha");
	say(2, "big\n");
	say(3, "small\n");
	RIG_WAIT(asked == 2);
	cv_answer_free(server);
	server = NULL;
	assert_true(is_over(0));
}

static void test_path(void **state)
{
	struct stat st;
	char other[80], longer[200];
	mode_t mask = umask(0);
	(void)state;
	snprintf(other, sizeof other, "%s/o", dir);
	int fd = cv_unix_listen(other, 1);
	assert_true(fd >= 0);
	umask(mask);
	assert_int_equal(lstat(other, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	/* it answers, or is too busy to: its backlog is full */
	for (int i = 0; i < 4; i++) {
		assert_int_equal(cv_unix_listen(other, 1), -1);
		assert_int_equal(errno, EADDRINUSE);
	}
	close(fd);
	/* nobody answers any more */
	fd = cv_unix_listen(other, 1);
	assert_true(fd >= 0);
	close(fd);
	unlink(other);
	/* a file that is no socket */
	fd = open(other, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(cv_unix_listen(other, 1), -1);
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(lstat(other, &st), 0);
	unlink(other);
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	assert_int_equal(cv_unix_listen(longer, 1), -1);
	assert_int_equal(errno, ENAMETOOLONG);
}

/* --- two nodes of one name at one moment --- */

int __real_unlink(const char *);
int __wrap_unlink(const char *);
int __real_flock(int, int);
int __wrap_flock(int, int);

static struct {
	pthread_t thread;
	bool armed, begun;
	atomic_bool waits, done;
	struct node node;
	struct cv_control *control[2];
	int error;
} twin;

static void answer_nothing(void *user, const char *request, FILE *f)
{
	(void)user;
	(void)request;
	(void)f;
}

static struct cv_control *take(struct node *n)
{
	char name[32];
	snprintf(name, sizeof name, "cvt-twin-%ld", (long)getpid());
	return cv_control_new(&n->loop, name, true, answer_nothing, NULL);
}

static void *second(void *arg)
{
	(void)arg;
	twin.control[1] = take(&twin.node);
	twin.error = errno;
	twin.done = true;
	return NULL;
}

int __wrap_flock(int fd, int operation)
{
	if (twin.begun && pthread_equal(pthread_self(), twin.thread))
		twin.waits = true;
	return __real_flock(fd, operation);
}

/* the first has found the name deserted and is about to clear its path: the
   second gets all the time it wants, up to where it waits for the first */
int __wrap_unlink(const char *p)
{
	if (twin.armed) {
		twin.armed = false;
		twin.begun = true;
		pthread_create(&twin.thread, NULL, second, NULL);
		double end = rig_clock() + RIG_PATIENCE;
		while (!twin.waits && !twin.done && rig_clock() < end)
			sched_yield();
	}
	return __real_unlink(p);
}

static void test_twins(void **state)
{
	(void)state;
	node_up(&twin.node, 0);
	struct cv_control *k = take(&node);
	assert_non_null(k);
	char stale[128], name[96];
	struct stat st;
	/* one that was killed leaves its socket behind */
	snprintf(name, sizeof name, "%s/culvert/%s.sock",
		geteuid() ? dir : "/run", cv_control_name(k));
	snprintf(stale, sizeof stale, "%s-stale", name);
	assert_int_equal(rename(name, stale), 0);
	cv_control_free(k);
	assert_int_equal(rename(stale, name), 0);
	twin.armed = true;
	twin.control[0] = take(&node);
	pthread_join(twin.thread, NULL);
	assert_non_null(twin.control[0]);
	assert_null(twin.control[1]);
	assert_int_equal(twin.error, EADDRINUSE);
	assert_int_equal(lstat(name, &st), 0);
	cv_control_free(twin.control[0]);
	assert_int_equal(lstat(name, &st), -1);
	node_down(&twin.node);
	*strrchr(name, '/') = '\0';
	if (geteuid())
		assert_int_equal(rmdir(name), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pieces),
		TEST(test_too_much),
		TEST(test_half),
		TEST(test_crowd),
		TEST(test_slow_reader),
		TEST(test_nobody_reads),
		TEST(test_not_admitted),
		TEST(test_descriptors),
		TEST(test_end),
		TEST(test_path),
		TEST(test_twins),
	};
	(void)argc;
	rig_start(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
