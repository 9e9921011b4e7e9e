/* SPDX-License-Identifier: MIT */
/* cc_table.c - what the models do on simulated paths, as a table */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/cc_path.h"

static const char *only;
static uint64_t seed = 1;

static const struct {
	const char *name;
	struct path_cfg cfg;
} paths[] = {
	{ "b 200M 20ms", { .rate = 200, .rtt = CV_MS(20) } },
	{ "c 100M 100ms 1%", { .rate = 100, .rtt = CV_MS(100), .loss = 0.01 } },
	{ "d 20M 200ms 5%", { .rate = 20, .rtt = CV_MS(200), .loss = 0.05 } },
	{ "e 50M 30ms 2% bursts", { .rate = 50,
					  .rtt = CV_MS(30),
					  .loss = 0.02,
					  .burst = 5,
					  .late = 0.01 } },
	{ "jitter 10ms",
		{ .rate = 50, .rtt = CV_MS(40), .jitter = CV_MS(10) } },
	{ "ack gaps 10ms",
		{ .rate = 50, .rtt = CV_MS(40), .ack_gap = CV_MS(10) } },
	{ "queue 10ms", { .rate = 50, .rtt = CV_MS(40), .queue_ms = 10 } },
	{ "policer 20M", { .rate = 200,
				 .rtt = CV_MS(40),
				 .police = 20,
				 .bucket_ms = 50 } },
	{ "policer + 2%", { .rate = 200,
				  .rtt = CV_MS(40),
				  .loss = 0.02,
				  .police = 20,
				  .bucket_ms = 50 } },
	{ "1M 50ms", { .rate = 1, .rtt = CV_MS(50), .queue_ms = 300 } },
	{ "1G 2ms", { .rate = 1000, .rtt = CV_MS(2), .queue_ms = 10 } },
};

static bool wanted(const char *name)
{
	return !only || strstr(name, only);
}

/* every so many ms, what goes on */
static void watch(struct path *p, unsigned f, unsigned step_ms, unsigned steps)
{
	static cv_time now;
	if (!p) {
		now = 0;
		return;
	}
	for (unsigned i = 0; i < steps; i++) {
		path_mark(p);
		now += CV_MS(step_ms);
		path_run(p, now);
		const struct cv_cc *cc = path_cc(p, f);
		printf("  %6.2f s %7.2f Mbit/s q %5.1f/%5.1f ms lost %4.1f%% "
		       "cwnd %6.0f K pace %6.1f",
			(double)now / 1e6, path_payload(p, f),
			path_delay(p, 0.5), path_delay(p, 0.95),
			100 * path_lost(p), (double)cc->cwnd / 1000,
			(double)cc->rate * 8e-6);
		if (cc->kind == CV_CC_RATE)
			printf(" %-8s bw %6.1f floor %4.1f%% min %5.1f",
				cv_cc_state(cc), (double)cc->model.bw * 8e-6,
				cc->model.floor / 1e4,
				(double)cc->model.min_rtt / 1000);
		printf("\n");
	}
}

static void alone(enum path_kind kind)
{
	static const char *const kinds[] = { "rate", "cubic", "bbr1" };
	for (unsigned i = 0; i < CV_COUNT(paths); i++) {
		struct path *p;
		double mean;
		if (!wanted(paths[i].name))
			continue;
		p = path_new(&paths[i].cfg, seed);
		path_flow(p, kind, 0);
		if (getenv("WATCH")) {
			watch(p, 0, 100, 60);
			path_free(p);
			continue;
		}
		path_run(p, CV_SEC(4));
		mean = path_payload(p, 0) * 4;
		printf("%-6s %-22s 4s %6.1f", kinds[kind], paths[i].name,
			mean / 4);
		path_mark(p);
		path_run(p, CV_SEC(13));
		mean += path_payload(p, 0) * 9;
		printf(" 13s %6.1f warm %6.1f", mean / 13, path_payload(p, 0));
		printf(" delay %5.1f %5.1f lost %4.1f%%\n", path_delay(p, 0.5),
			path_delay(p, 0.95), 100 * path_lost(p));
		path_free(p);
	}
}

static void bare(void)
{
	const cv_time noise[] = { 50, 300, 1000 };
	for (unsigned i = 0; i < 3 && wanted("a bare"); i++) {
		struct path_cfg cfg = { .rate = 6000,
			.rtt = 50,
			.queue_ms = 5,
			.noise = noise[i] };
		struct path *p = path_new(&cfg, 1);
		path_flow(p, PATH_RATE, 0);
		path_run(p, CV_SEC(1));
		printf("a bare noise %4u: 1s %6.0f", (unsigned)noise[i],
			path_payload(p, 0));
		path_mark(p);
		path_run(p, CV_SEC(2));
		printf(" warm %6.0f delay %5.1f %5.1f lost %4.1f%%\n",
			path_payload(p, 0), path_delay(p, 0.5),
			path_delay(p, 0.95), 100 * path_lost(p));
		path_free(p);
	}
}

/* several on one bottleneck, each beginning 2 s after the one before */
static void share(const char *name, const enum path_kind *kind, unsigned n)
{
	struct path_cfg cfg = { .rate = 50, .rtt = CV_MS(40) };
	struct path *p;
	if (!wanted(name))
		return;
	p = path_new(&cfg, 1);
	for (unsigned i = 0; i < n; i++)
		path_flow(p, kind[i], CV_SEC(2 * i));
	printf("%-22s", name);
	if (getenv("WATCH")) {
		printf("\n");
		watch(NULL, 0, 0, 0);
		watch(p, kind[0] == PATH_RATE ? 0 : 1, 200, 300);
		path_free(p);
		return;
	}
	for (unsigned t = 10; t <= 60; t = t == 10 ? 20 : t + 20) {
		path_run(p, CV_SEC(t));
		printf(" |");
		for (unsigned i = 0; i < n; i++)
			printf(" %5.1f", path_payload(p, i));
		printf(" q %3.0f", path_delay(p, 0.5));
		path_mark(p);
	}
	printf(" lost %4.1f%%\n", 100 * path_lost(p));
	path_free(p);
}

/* two on bottlenecks of several kinds, the second at several times: least and
 * mean share of both in the 20 s that begin 5 s after the second did */
static void sweep(const char *name, enum path_kind first, enum path_kind second)
{
	static const struct path_cfg cfg[] = {
		{ .rate = 50, .rtt = CV_MS(40) },
		{ .rate = 50, .rtt = CV_MS(40), .queue_ms = 20 },
		{ .rate = 50, .rtt = CV_MS(40), .queue_ms = 40 },
		{ .rate = 50, .rtt = CV_MS(40), .queue_ms = 300 },
		{ .rate = 20, .rtt = CV_MS(100) },
		{ .rate = 200, .rtt = CV_MS(10) },
		{ .rate = 50, .rtt = CV_MS(40), .jitter = CV_MS(5) },
		{ .rate = 50, .rtt = CV_MS(40), .loss = 0.005 },
	};
	if (!wanted(name))
		return;
	for (unsigned i = 0; i < CV_COUNT(cfg); i++) {
		double least[2] = { 100, 100 }, mean[2] = { 0, 0 }, q = 0;
		for (unsigned n = 0; n < 8; n++) {
			struct path *p = path_new(&cfg[i], seed + n);
			cv_time start = CV_MS(3000 + 137 * n + (seed - 1) * 61);
			double both;
			path_flow(p, first, 0);
			path_flow(p, second, start);
			path_run(p, start + CV_SEC(5));
			path_mark(p);
			path_run(p, CV_SEC(28));
			both = path_payload(p, 0) + path_payload(p, 1);
			for (unsigned k = 0; k < 2; k++) {
				double got = 100 * path_payload(p, k) / both;
				mean[k] += got / 8;
				if (got < least[k])
					least[k] = got;
			}
			q += path_delay(p, 0.5) / 8;
			path_free(p);
		}
		printf("%-18s %4.0f M %3.0f ms queue %3.0f: least %3.0f %3.0f "
		       "mean %3.0f %3.0f q %4.0f\n",
			name, cfg[i].rate, (double)cfg[i].rtt / 1000,
			cfg[i].queue_ms > 0 ? cfg[i].queue_ms : 100, least[0],
			least[1], mean[0], mean[1], q);
	}
}

static void change(const char *name)
{
	struct path_cfg cfg = { .rate = 60, .rtt = CV_MS(40) };
	struct path *p;
	if (!wanted(name))
		return;
	printf("%s\n", name);
	watch(NULL, 0, 0, 0);
	p = path_new(&cfg, 1);
	path_flow(p, PATH_RATE, 0);
	if (!strcmp(name, "app limited")) {
		path_run(p, CV_MS(50));
		path_talk(p, 0, 3000, CV_MS(100));
	}
	watch(p, 0, 1000, 6);
	if (!strcmp(name, "rate falls"))
		path_cfg(p)->rate /= 3;
	if (!strcmp(name, "rate rises"))
		path_cfg(p)->rate *= 3;
	if (!strcmp(name, "rtt rises"))
		path_cfg(p)->rtt += CV_MS(100);
	if (!strcmp(name, "blackout")) {
		path_cfg(p)->dark = true;
		watch(p, 0, 1000, 3);
		path_cfg(p)->dark = false;
	}
	if (!strcmp(name, "app limited"))
		path_talk(p, 0, 0, 0);
	watch(p, 0, 250, 20);
	watch(p, 0, 1000, 12);
	path_free(p);
}

int main(int argc, char **argv)
{
	static const enum path_kind r4[] = { PATH_RATE, PATH_RATE, PATH_RATE,
		PATH_RATE };
	static const enum path_kind rb[] = { PATH_RATE, PATH_BBR1 };
	static const enum path_kind br[] = { PATH_BBR1, PATH_RATE };
	static const enum path_kind rc[] = { PATH_RATE, PATH_CUBIC };
	static const enum path_kind cr[] = { PATH_CUBIC, PATH_RATE };
	static const enum path_kind bb[] = { PATH_BBR1, PATH_BBR1 };
	static const enum path_kind bc[] = { PATH_BBR1, PATH_CUBIC };
	static const enum path_kind rrrc[] = { PATH_RATE, PATH_CUBIC,
		PATH_CUBIC, PATH_BBR1 };
	only = argc > 1 ? argv[1] : NULL;
	if (getenv("SEED"))
		seed = strtoull(getenv("SEED"), NULL, 10);
	setvbuf(stdout, NULL, _IOLBF, 0);
	alone(PATH_RATE);
	if (argc > 2) {
		alone(PATH_CUBIC);
		alone(PATH_BBR1);
	}
	bare();
	share("share rate+rate", r4, 2);
	share("share rate x4", r4, 4);
	share("share rate+bbr1", rb, 2);
	share("share bbr1+rate", br, 2);
	share("share rate+cubic", rc, 2);
	share("share cubic+rate", cr, 2);
	share("share bbr1+bbr1", bb, 2);
	share("share bbr1+cubic", bc, 2);
	share("share r+c+c+bbr1", rrrc, 4);
	sweep("sweep rate+rate", PATH_RATE, PATH_RATE);
	sweep("sweep rate+bbr1", PATH_RATE, PATH_BBR1);
	sweep("sweep bbr1+rate", PATH_BBR1, PATH_RATE);
	sweep("sweep rate+cubic", PATH_RATE, PATH_CUBIC);
	sweep("sweep cubic+rate", PATH_CUBIC, PATH_RATE);
	sweep("sweep cubic+bbr1", PATH_CUBIC, PATH_BBR1);
	if (getenv("QUICK"))
		return 0;
	change("rate falls");
	change("rate rises");
	change("rtt rises");
	change("blackout");
	change("app limited");
	return 0;
}
