/* SPDX-License-Identifier: MIT */
/* test_systemd.c - both protocols, against real sockets */
#include "cli/child.h"

#include "systemd.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

/* a manager that listens at @path, which begins with @ if it is abstract */
static int manager(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_in_range(n, 1, sizeof a.sun_path - 1);
	memcpy(a.sun_path, path, n);
	if (*path == '@')
		*a.sun_path = '\0';
	n += offsetof(struct sockaddr_un, sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, (socklen_t)n), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	return fd;
}

/* a datagram that has come, as text; "" if there is none */
static const char *heard(int fd)
{
	static char text[2048];
	ssize_t n = recv(fd, text, sizeof text - 1, 0);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void test_notify(void **state)
{
	char path[] = "/tmp/cv-notify-XXXXXX";
	(void)state;
	assert_non_null(mkdtemp(path));
	char name[64];
	snprintf(name, sizeof name, "%s/socket", path);
	int fd = manager(name);
	systemd_notify("READY=1");
	assert_string_equal(heard(fd), "READY=1");
	systemd_notify("STATUS=two peers\nWATCHDOG=1");
	assert_string_equal(heard(fd), "STATUS=two peers\nWATCHDOG=1");
	assert_string_equal(heard(fd), "");
	close(fd);
	systemd_notify("STOPPING=1"); /* to nobody */
	unlink(name);
	systemd_notify("STOPPING=1"); /* to nowhere */
	assert_int_equal(rmdir(path), 0);
}

static void test_abstract(void **state)
{
	char name[64];
	(void)state;
	snprintf(name, sizeof name, "@cv-notify-%ld", (long)getpid());
	int fd = manager(name);
	systemd_notify("READY=1");
	assert_string_equal(heard(fd), "READY=1");
	close(fd);
}

static unsigned long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long long)t.tv_sec * 1000000u +
	       (unsigned long long)t.tv_nsec / 1000u;
}

static void test_reloading(void **state)
{
	char name[64];
	unsigned long long at;
	int end = 0;
	(void)state;
	snprintf(name, sizeof name, "@cv-reload-%ld", (long)getpid());
	int fd = manager(name);
	unsigned long long before = now();
	systemd_notify("RELOADING=1");
	const char *text = heard(fd);
	assert_int_equal(
		sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%llu%n", &at, &end),
		1);
	assert_int_equal(text[end], '\0');
	assert_in_range(at, before, now());
	close(fd);
}

/* nothing is sent to what is no address, and a state is never cut */
static void test_notify_nowhere(void **state)
{
	char name[64], path[300], text[2000];
	(void)state;
	snprintf(name, sizeof name, "@cv-none-%ld", (long)getpid());
	int fd = manager(name);
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	systemd_notify(text);
	unsetenv("NOTIFY_SOCKET");
	systemd_notify("READY=1");
	memset(path, 'p', sizeof path);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	const char *const wrong[] = { "", "@", "/", "relative", "vsock:2:1",
		path };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		setenv("NOTIFY_SOCKET", wrong[i], 1);
		systemd_notify("READY=1");
	}
	assert_string_equal(heard(fd), "");
	close(fd);
}

/* in a child: 3 and 4 are sockets, 5 is nothing */
static void pass_sockets(const char *count)
{
	char pid[24];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	must(fd >= 0);
	int high = fcntl(fd, F_DUPFD, 100);
	must(dup2(high, 3) == 3 && dup2(high, 4) == 4);
	close(5);
	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", count, 1);
	setenv("LISTEN_FDNAMES", "one:two", 1);
}

static bool unset(void)
{
	return !getenv("LISTEN_PID") && !getenv("LISTEN_FDS") &&
	       !getenv("LISTEN_FDNAMES");
}

static void take_two(void)
{
	int *fds = NULL;
	pass_sockets("2");
	must(!(fcntl(3, F_GETFD) & FD_CLOEXEC));
	must(systemd_listen_fds(&fds) == 2 && fds[0] == 3 && fds[1] == 4);
	must(fcntl(3, F_GETFD) & FD_CLOEXEC && fcntl(4, F_GETFD) & FD_CLOEXEC);
	must(unset());
	free(fds);
	must(!systemd_listen_fds(&fds));
}

static void take_none(void)
{
	int *fds = NULL;
	pass_sockets("0");
	must(!systemd_listen_fds(&fds) && !fds && unset());
}

/* they are for whoever started us */
static void take_of_another(void)
{
	const char *const pids[] = { "1", "", "x", "-3", "0" };
	int *fds = NULL;
	for (size_t i = 0; i < sizeof pids / sizeof *pids; i++) {
		pass_sockets("2");
		setenv("LISTEN_PID", pids[i], 1);
		must(!systemd_listen_fds(&fds) && !fds && unset());
		must(!(fcntl(3, F_GETFD) & FD_CLOEXEC));
	}
	pass_sockets("2");
	unsetenv("LISTEN_PID");
	must(!systemd_listen_fds(&fds) && unset());
}

static void take_wrong(void)
{
	const char *const counts[] = { "3", "x", "", "2x", "-1", "2147483647",
		"4294967298", "99999999999999999999999" };
	int *fds = NULL;
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		pass_sockets(counts[i]);
		errno = 0;
		must(systemd_listen_fds(&fds) == -1 && errno && !fds);
		must(unset());
	}
}

static void test_listen_fds(void **state)
{
	(void)state;
	in_child(take_two);
	in_child(take_none);
	in_child(take_of_another);
	in_child(take_wrong);
}

static void test_watchdog(void **state)
{
	char pid[24];
	(void)state;
	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	assert_int_equal(systemd_watchdog(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(systemd_watchdog(), 30000000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(systemd_watchdog(), 0);
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(systemd_watchdog(), 30000000);
	setenv("WATCHDOG_USEC", "soon", 1);
	assert_int_equal(systemd_watchdog(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_abstract),
		cmocka_unit_test(test_reloading),
		cmocka_unit_test(test_notify_nowhere),
		cmocka_unit_test(test_listen_fds),
		cmocka_unit_test(test_watchdog),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
