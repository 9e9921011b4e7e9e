/* SPDX-License-Identifier: MIT */
/* conf_fix.h - texts of configurations taken and refused */
#ifndef CONF_FIX_H
#define CONF_FIX_H

#include "unit/check.h"

#include "core/conf.h"
#include "core/keytext.h"
#include "unit/env.h"

/* keys whose last byte is 1, 2, ... */
#define KEY(x) "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" x "="
#define KEY1 KEY("E")
#define KEY2 KEY("I")
#define KEY3 KEY("M")
#define KEY4 KEY("Q")
#define KEY5 KEY("U")

#define MINIMAL                                                                \
	"[Node]\nPrivateKey = " KEY1 "\n[Serve]\nListen = tcp://:1\n"          \
	"[Peer peer]\nPublicKey = " KEY2 "\n"

static struct mem conf_mem;
static struct cv_env conf_env;
static struct cv_conf conf;

/** take() - parse @text into conf, which must be good */
static inline void take(const char *text)
{
	struct culvert_diag d = { 0 };
	int err = cv_conf_parse(&conf, &conf_env, text, strlen(text), &d);
	if (err)
		print_error("line %u: %s\n", d.line, d.text);
	assert_int_equal(err, 0);
}

/** said() - a diagnosis names the line (0: any) and contains @want */
static inline void said(
	const struct culvert_diag *d, unsigned line, const char *want)
{
	if (!strstr(d->text, want))
		print_error("said: %s\n", d->text);
	assert_non_null(strstr(d->text, want));
	if (line)
		assert_int_equal(d->line, line);
}

/** refuse() - parse @text, which is refused, and leaves nothing behind */
static inline void refuse(const char *text, unsigned line, const char *want)
{
	struct culvert_diag d = { 0 };
	int err = cv_conf_parse(&conf, &conf_env, text, strlen(text), &d);
	if (!err)
		print_error("taken: %s\n", text);
	assert_true(err < 0);
	said(&d, line, want);
	assert_int_equal(conf_mem.blocks, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
