/* SPDX-License-Identifier: MIT */
#include "sim/seeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	GROUP = 1000,
	TWICE = 50,   /* seeds that are lived twice */
	SHOWN = 5,    /* failures of a group that are told */
	WHOLE = 1000, /* seeds from which on every fault must have happened */
};

void seeds_tap(struct seeds *r, bool ok, const char *name)
{
	printf("%sok %llu - %s\n", ok ? "" : "not ",
		(unsigned long long)++r->tests, name);
	r->bad += !ok;
	fflush(stdout);
}

static void tell(const struct seeds *r, uint64_t seed)
{
	printf("# seed %llu broke a rule %s\n# again: %s --seed %llu "
	       "--verbose\n",
		(unsigned long long)seed, r->why, r->program,
		(unsigned long long)seed);
}

static void run_group(struct seeds *r, uint64_t from, uint64_t to)
{
	char name[80];
	unsigned bad = 0;
	for (uint64_t s = from; s <= to; s++) {
		if (!r->live(r, s) && bad++ < SHOWN)
			tell(r, s);
	}
	snprintf(name, sizeof name, "seeds %llu to %llu",
		(unsigned long long)from, (unsigned long long)to);
	if (bad)
		printf("# %u seeds failed\n", bad);
	seeds_tap(r, !bad, name);
}

/* seeds that once failed, a line each: the number, then what it showed */
static void run_regress(struct seeds *r, const char *path)
{
	char line[200];
	FILE *f = fopen(path, "r");
	bool ok = f != NULL;
	if (!f)
		printf("# cannot read %s\n", path);
	while (f && fgets(line, sizeof line, f)) {
		char *end;
		uint64_t seed = strtoull(line, &end, 10);
		if (end == line)
			continue;
		if (!r->live(r, seed)) {
			tell(r, seed);
			ok = false;
		}
	}
	if (f)
		fclose(f);
	seeds_tap(r, ok, "seeds that failed once");
}

static void run_twice(struct seeds *r, uint64_t from, uint64_t to)
{
	bool ok = true;
	for (uint64_t s = from; s <= to && s < from + TWICE; s++) {
		r->live(r, s);
		uint64_t first = r->trace;
		r->live(r, s);
		if (first == r->trace)
			continue;
		printf("# seed %llu: %016llx, then %016llx\n",
			(unsigned long long)s, (unsigned long long)first,
			(unsigned long long)r->trace);
		ok = false;
	}
	seeds_tap(r, ok, "the same seed leaves the same trace");
}

struct options {
	uint64_t from, to;
	double budget;
	const char *regress;
};

static bool parse(
	const struct seeds *r, int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : "";
		char *end;
		if (!strcmp(a, "--verbose")) {
			*r->verbose = true;
			continue;
		}
		i++;
		if (!strcmp(a, "--seed") || !strcmp(a, "--seeds")) {
			o->from = o->to = strtoull(v, &end, 10);
			if (*end == '-')
				o->to = strtoull(end + 1, &end, 10);
			if (!*v || *end)
				return false;
		} else if (!strcmp(a, "--regress") && *v) {
			o->regress = v;
		} else if (!strcmp(a, "--budget") && *v) {
			o->budget = strtod(v, NULL);
		} else if (!r->option || !r->option(a, v)) {
			return false;
		}
	}
	return true;
}

int seeds_main(struct seeds *r, int argc, char **argv)
{
	struct options o = { .from = 1, .to = 10000 };
	clock_t began = clock();
	if (!parse(r, argc, argv, &o)) {
		fprintf(stderr,
			"usage: %s [--seeds FROM-TO | --seed N] "
			"[--regress FILE] [--budget SECONDS] "
			"%s[--verbose]\n",
			r->program, r->own);
		return 2;
	}
	if (o.regress)
		run_regress(r, o.regress);
	for (uint64_t s = o.from; s <= o.to; s += GROUP)
		run_group(r, s, o.to - s < GROUP ? o.to : s + GROUP - 1);
	if (!*r->verbose)
		run_twice(r, o.from, o.to);
	if (o.to - o.from + 1 >= WHOLE)
		r->whole(r);
	double used = (double)(clock() - began) / CLOCKS_PER_SEC;
	if (o.budget > 0)
		seeds_tap(r, used <= o.budget, "within the budget of time");
	printf("1..%llu\n", (unsigned long long)r->tests);
	printf("# %.1f s of processor time\n", used);
	r->tell();
	return r->bad != 0;
}
