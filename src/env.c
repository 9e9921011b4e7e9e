/* SPDX-License-Identifier: MIT */
/* env.c - what the core needs from outside: memory and random numbers */
#include "instance.h"

#include <stdlib.h>
#include <sys/random.h>

static void *env_alloc(void *user, size_t size)
{
	(void)user;
	return calloc(1, size);
}

static void env_free(void *user, void *ptr, size_t size)
{
	(void)user;
	(void)size;
	free(ptr);
}

static void env_random(void *user, void *out, size_t len)
{
	(void)user;
	/* never short up to 256 bytes, nor interrupted: getrandom(2) */
	for (uint8_t *p = out; len;) {
		ssize_t n = getrandom(p, len < 256 ? len : 256, 0);
		if (n < 0) /* culvert_new() has seen it work */
			abort();
		p += n;
		len -= (size_t)n;
	}
}

static void env_log(void *user, enum culvert_log_level level, const char *line)
{
	(void)user;
	(void)level;
	(void)line;
}

const struct cv_env cv_env_plain = {
	.alloc = env_alloc,
	.free = env_free,
	.random = env_random,
	.log = env_log,
};
