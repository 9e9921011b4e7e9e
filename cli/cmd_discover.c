/* SPDX-License-Identifier: MIT */
/* cmd_discover.c - list the servers of a LAN */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct discover {
	const char *link;
	bool json, ways, watch;
	unsigned timeout; /* ms */
	unsigned found;
};

enum { SHORT = 16 }; /* characters of a key that tell it from others */

static uint64_t least_rtt(const struct culvert_server *s)
{
	uint64_t least = s->ways ? s->way[0].rtt : 0;
	for (size_t i = 1; i < s->ways; i++)
		least = s->way[i].rtt < least ? s->way[i].rtt : least;
	return least;
}

/* it is printable ASCII */
static void put_json(const char *name, const char *value)
{
	printf("\"%s\":\"", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			putchar('\\');
		putchar(*value);
	}
	printf("\"");
}

/* words as a list */
static void put_words(const char *name, const char *value)
{
	const char *comma = "";
	printf("\"%s\":[", name);
	while (*(value += strspn(value, " "))) {
		size_t n = strcspn(value, " ");
		printf("%s\"", comma);
		for (size_t i = 0; i < n; i++)
			printf("%s%c", strchr("\"\\", value[i]) ? "\\" : "",
				value[i]);
		printf("\"");
		value += n;
		comma = ",";
	}
	printf("]");
}

static void print_json(const struct culvert_server *s, bool watch)
{
	printf("{\"id\":%lu,", (unsigned long)s->id);
	put_json("name", s->name);
	printf(",");
	if (*s->key)
		put_json("key", s->key);
	else
		printf("\"key\":null");
	printf(",");
	put_json("version", s->version);
	printf(",");
	put_words("services", s->services);
	printf(",");
	put_json("interface", s->interface);
	printf(",");
	put_words("addresses", s->addresses);
	printf(",\"uptime_seconds\":%llu,\"boot\":\"%016llx\",\"rtt_us\":%llu,",
		(unsigned long long)s->uptime, (unsigned long long)s->boot,
		(unsigned long long)least_rtt(s));
	if (watch)
		printf("\"gone\":%s,", s->gone ? "true" : "false");
	printf("\"ways\":[");
	for (size_t i = 0; i < s->ways; i++) {
		const struct culvert_way *w = &s->way[i];
		printf("%s{", i ? "," : "");
		put_json("interface", w->interface);
		printf(",");
		put_json("from", w->from);
		printf(",");
		put_json("heard", w->heard);
		printf(",\"rtt_us\":%llu}", (unsigned long long)w->rtt);
	}
	puts("]}");
}

static void print_ways(const struct culvert_server *s)
{
	for (size_t i = 0; i < s->ways; i++)
		printf("      by %-15s %-11s %8.2f ms  %s\n",
			s->way[i].interface, s->way[i].heard,
			(double)s->way[i].rtt / 1e3, s->way[i].from);
}

static void print_head(bool watch)
{
	printf("%s%6s  %-16s %-16s %-10s %-8s %8s  %-28s %s\n",
		watch ? "  " : "", "id", "name", "key", "interface", "version",
		"rtt ms", "addresses", "services");
}

static void print_row(const struct culvert_server *s, bool watch)
{
	printf("%s%6lu  %-16s %-16.*s %-10s %-8s %8.2f  %-28s %s\n",
		!watch    ? ""
		: s->gone ? "- "
			  : "+ ",
		(unsigned long)s->id, *s->name ? s->name : "-", SHORT,
		*s->key ? s->key : "plain", s->ways ? s->way[0].interface : "-",
		*s->version ? s->version : "-", (double)least_rtt(s) / 1e3,
		*s->addresses ? s->addresses : "-",
		*s->services ? s->services : "-");
}

static int found(void *user, const struct culvert_server *s)
{
	struct discover *d = user;
	if (d->json) {
		print_json(s, d->watch);
	} else {
		if (!d->found)
			print_head(d->watch);
		print_row(s, d->watch);
		if (d->ways && !s->gone)
			print_ways(s);
	}
	d->found++;
	return d->watch && fflush(stdout);
}

static int parse(struct discover *d, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *end = NULL;
		if (!strcmp(argv[i], "-j")) {
			d->json = true;
		} else if (!strcmp(argv[i], "-l")) {
			d->ways = true;
		} else if (!strcmp(argv[i], "--watch")) {
			d->watch = true;
		} else if (!strcmp(argv[i], "--timeout") && i + 1 < argc) {
			double s = strtod(argv[++i], &end);
			if (*end || !(s >= 0.001 && s <= 86400)) {
				complain("discover: --timeout takes seconds, "
					 "0.001 to 86400");
				return EXIT_USAGE;
			}
			d->timeout = (unsigned)(s * 1e3);
		} else if (*argv[i] != '-' && !d->link) {
			d->link = argv[i];
		} else {
			complain("discover: unknown argument \"%s\"; type "
				 "\"culvert discover [lan://...] [-j] [-l] "
				 "[--watch] [--timeout SECONDS]\"",
				argv[i]);
			return EXIT_USAGE;
		}
	}
	return EXIT_OK;
}

static int nobody(void)
{
	complain("discover: no server answered; those that run \"culvert serve "
		 "lan://67@ --discoverable\" do, unless a firewall is in "
		 "between: here UDP port 17239 must be let in, there 17238 "
		 "(nft add rule inet filter input udp dport 17239 accept)");
	return EXIT_FAILED;
}

int cmd_discover(int argc, char **argv)
{
	struct discover d = { .link = NULL };
	struct culvert_search search = {
		.size = sizeof search, .user = &d, .found = found
	};
	struct culvert_diag diag;
	int err = parse(&d, argc, argv);
	if (err)
		return err;
	search.timeout = d.timeout;
	search.flags = d.watch ? CULVERT_WATCH : 0;
	const char *link = d.link ? d.link : "lan://";
	err = culvert_discover(link, &search, &diag);
	if (err) {
		complain("discover: %s: %s", link,
			*diag.text ? diag.text : culvert_strerror(err));
		return exit_code(err);
	}
	if (fflush(stdout)) {
		complain("standard output: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return d.found ? EXIT_OK : nobody();
}
