/* SPDX-License-Identifier: MIT */
/* test_known.c - the file of servers that were trusted */
#include "unit/check.h"

#include "known.h"

#include <sys/stat.h>
#include <unistd.h>

/* keys whose last byte is 1, 2 */
#define KEY1 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="
#define KEY2 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI="

static char dir[64], path[128];
static char key[CULVERT_KEYTEXT], why[KNOWN_WHY];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test_known.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/a/b/known", dir);
	strcpy(key, "untouched");
	*why = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	for (char *p; (p = strrchr(path, '/')) && p > path + 4; rmdir(path))
		*p = '\0';
	return 0;
}

static int add(uint32_t id, const char *k, const char *name)
{
	struct culvert_server s = { .id = id, .key = k, .name = name };
	return known_add(path, &s, why);
}

static void write_file(const char *text)
{
	assert_int_equal(add(1, KEY1, ""), 0); /* the directories */
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void no_file_knows_nobody(void **state)
{
	(void)state;
	assert_int_equal(known_find(path, 67, key, why), 0);
	assert_string_equal(key, "untouched");
}

static void what_was_added_is_found(void **state)
{
	struct stat st;
	(void)state;
	assert_int_equal(add(67, KEY1, "my nas"), 0);
	assert_int_equal(add(68, KEY2, ""), 0);
	assert_int_equal(known_find(path, 67, key, why), 1);
	assert_string_equal(key, KEY1);
	assert_int_equal(known_find(path, 68, key, why), 2);
	assert_string_equal(key, KEY2);
	assert_int_equal(known_find(path, 6, key, why), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void people_write_it_too(void **state)
{
	(void)state;
	write_file("# mine\n\n  4294967295   " KEY2 "  x y\n5 " KEY1);
	assert_int_equal(known_find(path, 4294967295, key, why), 3);
	assert_string_equal(key, KEY2);
	/* the last line has no end */
	assert_int_equal(add(6, KEY2, "six"), 0);
	assert_int_equal(known_find(path, 5, key, why), 4);
	assert_string_equal(key, KEY1);
	assert_int_equal(known_find(path, 6, key, why), 5);
}

static void nonsense_is_told(void **state)
{
	static const char *const bad[] = { "nas " KEY1, "0 " KEY1, "67",
		"67 short", "-67 " KEY1, "67x " KEY1, "67", "4294967296 " KEY1,
		"67 " KEY1 "x",
		"67 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA*=" };
	(void)state;
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		char text[300];
		snprintf(text, sizeof text, "66 " KEY1 "\n%s\n", bad[i]);
		write_file(text);
		strcpy(key, "untouched");
		assert_int_equal(known_find(path, 67, key, why), -1);
		assert_non_null(strstr(why, "known:2: "));
		assert_string_equal(key, "untouched");
	}
}

static void what_cannot_be_used_is_told(void **state)
{
	(void)state;
	struct culvert_server s = { .id = 1, .key = KEY1, .name = "" };
	assert_int_equal(known_add("/proc/none/known", &s, why), -1);
	assert_non_null(strstr(why, "cannot write /proc/none/known: "));
	assert_int_equal(known_find("/proc/self/status/x", 1, key, why), -1);
	assert_non_null(strstr(why, "cannot read "));
}

static void it_has_a_usual_place(void **state)
{
	char out[KNOWN_PATH], longer[KNOWN_PATH + 1];
	(void)state;
	setenv("STATE_DIRECTORY", "/var/lib/culvert", 1);
	setenv("XDG_CONFIG_HOME", "/etc/xdg", 1);
	setenv("HOME", "/home/me", 1);
	assert_int_equal(known_path(out), 0);
	assert_string_equal(out, "/var/lib/culvert/known_servers");
	unsetenv("STATE_DIRECTORY");
	assert_int_equal(known_path(out), 0);
	assert_string_equal(out, "/etc/xdg/culvert/known_servers");
	setenv("XDG_CONFIG_HOME", "", 1);
	assert_int_equal(known_path(out), 0);
	assert_string_equal(out, "/home/me/.config/culvert/known_servers");
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	setenv("HOME", longer, 1);
	assert_int_equal(known_path(out), -1);
	unsetenv("HOME");
	assert_int_equal(known_path(out), -1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(no_file_knows_nobody),
		T(what_was_added_is_found),
		T(people_write_it_too),
		T(nonsense_is_told),
		T(what_cannot_be_used_is_told),
		T(it_has_a_usual_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
