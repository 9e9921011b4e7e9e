/* SPDX-License-Identifier: MIT */
/**
 * udp_server.c - the far end of UDP over TCP, as a program of its own
 *
 *	udp_server ADDRESS:PORT TARGET...
 *
 * Takes connections of udp_local.c at a TCP address and hands their datagrams
 * to the targets named, such as udp://127.0.0.1:53, and to nobody else.
 *
 * Plain for brevity: with keys add PrivateKeyFile, and a [Peer] with its
 * PublicKey for each client.
 */
#include <culvert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static culvert *node;

static void on_signal(int number)
{
	(void)number;
	culvert_stop(node);
}

static void say(void *user, enum culvert_log_level level, const char *line)
{
	(void)user;
	(void)level;
	fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv)
{
	struct culvert_options options = { .size = sizeof options, .log = say };
	struct culvert_diag diag;
	char conf[4000];
	if (argc < 3) {
		fputs("udp_server ADDRESS:PORT TARGET...\n", stderr);
		return 2;
	}
	size_t n = (size_t)snprintf(conf, sizeof conf,
		"[Node]\nPlain = yes\n[Serve]\nListen = tcp://%s\n", argv[1]);
	for (int i = 2; i < argc && n < sizeof conf; i++)
		n += (size_t)snprintf(
			conf + n, sizeof conf - n, "Allow = %s\n", argv[i]);
	if (n >= sizeof conf || culvert_new(&node, conf, n, &options, &diag)) {
		fprintf(stderr, "udp_server: %s\n",
			n < sizeof conf ? diag.text : "too many targets");
		return 1;
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	int err = culvert_run(node);
	culvert_free(node);
	return err != 0;
}
