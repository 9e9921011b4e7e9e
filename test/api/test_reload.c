/* SPDX-License-Identifier: MIT */
/* test_reload.c - another text for a living node; what stands in both goes on
 */
#include "ports.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

static struct ports p;

static int begin(void **state)
{
	(void)state;
	ports_begin(&p);
	return 0;
}

static int end(void **state)
{
	(void)state;
	ports_end(&p);
	return 0;
}

static void reloads(struct side *s, const char *conf)
{
	struct culvert_diag diag;
	if (ports_reload(s, conf, &diag))
		fail_msg("%u: %s", diag.line, diag.text);
}

/* refused, in these words, at this line; and nothing is different */
static void refuses(
	struct side *s, const char *conf, unsigned line, const char *words)
{
	struct culvert_diag diag;
	assert_int_not_equal(ports_reload(s, conf, &diag), 0);
	if (!strstr(diag.text, words) || diag.line != line)
		fail_msg("%u: %s", diag.line, diag.text);
}

static void flows(culvert_flow *f)
{
	unsigned had = p.server.dgrams;
	assert_int_equal(culvert_send(f, "x", 1), 0);
	WAIT(&p, p.server.dgrams > had);
	assert_int_equal(p.client.down + p.server.down, 0);
	assert_int_equal(p.client.closed + p.server.closed, 0);
}

static void test_nothing(void **state)
{
	(void)state;
	ports_up(&p);
	culvert_flow *f = ports_open(&p);
	for (int i = 0; i < 20; i++) {
		reloads(&p.server, p.sconf);
		flows(f);
		reloads(&p.client, p.cconf);
		flows(f);
	}
	assert_int_equal(p.server.dgrams, 41);
}

/* From is a port of the client's, To the server's end of it */
static const char *forward(int from, int to, char out[200])
{
	snprintf(out, 200,
		"[Forward f%d]\nFrom = udp://127.0.0.1:%d\nTo = "
		"udp://127.0.0.1:%d\nVia = server\n",
		from, from, to);
	return out;
}

static int bound(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof a;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	return ntohs(a.sin_port);
}

static void test_forward(void **state)
{
	char one[200], two[401];
	int far = udp(0, 0), other = udp(0, 0);
	int from = port(SOCK_DGRAM), more = port(SOCK_DGRAM);
	(void)state;
	ports_conf(&p, "", forward(from, bound(far), one));
	ports_up(&p);
	culvert_flow *f = ports_open(&p);
	int near = udp(0, from);
	send(near, "1", 1, 0);
	assert_true(arrives(&p, far, "1"));

	/* one more: the first goes on, from the same far port */
	snprintf(two, sizeof two, "%s", one);
	forward(more, bound(other), two + strlen(two));
	ports_conf(&p, "", two);
	reloads(&p.client, p.cconf);
	int second = udp(0, more);
	send(second, "2", 1, 0);
	assert_true(arrives(&p, other, "2"));
	send(near, "3", 1, 0);
	assert_true(arrives(&p, far, "3"));

	/* its To changed: the next datagram goes there */
	ports_conf(&p, "", forward(from, bound(other), one));
	reloads(&p.client, p.cconf);
	send(near, "4", 1, 0);
	assert_true(arrives(&p, other, "4"));

	/* the second is gone, and its port free */
	close(udp(more, 0));
	ports_conf(&p, "", "");
	reloads(&p.client, p.cconf);
	close(udp(from, 0));
	flows(f);
	close(near);
	close(second);
	close(far);
	close(other);
}

static void test_peers(void **state)
{
	char more[300];
	(void)state;
	ports_up(&p);
	culvert_flow *f = ports_open(&p);
	struct keys k = keys_make(), old = p.ckey;

	/* another peer comes and goes */
	snprintf(more, sizeof more, "[Peer more]\nPublicKey = %s\n", k.pub);
	ports_conf(&p, more, "");
	reloads(&p.server, p.sconf);
	flows(f);
	ports_conf(&p, "", "");
	reloads(&p.server, p.sconf);
	flows(f);

	/* the client's key is another: that one is a stranger now */
	p.ckey = k;
	ports_conf(&p, "", "");
	reloads(&p.server, p.sconf);
	WAIT(&p, p.server.down && p.server.closed && p.client.down);
	p.ckey = old;
	ports_conf(&p, "", "");
	reloads(&p.server, p.sconf);
	WAIT(&p, p.server.up == 2 && p.client.up == 2);
	f = ports_open(&p);
	assert_int_equal(culvert_send(f, "x", 1), 0);
}

static void test_psk(void **state)
{
	char psk[CULVERT_KEYTEXT], line[100];
	(void)state;
	ports_up(&p);
	culvert_flow *f = ports_open(&p);
	culvert_genkey(psk, 1);
	/* in the last section, which is the peer's */
	snprintf(line, sizeof line, "PresharedKey = %s\n", psk);
	strcat(p.sconf, line);
	strcat(p.cconf, line);
	reloads(&p.server, p.sconf);
	WAIT(&p, p.server.down && p.client.down);
	assert_int_equal(p.server.up, 1);
	reloads(&p.client, p.cconf);
	WAIT(&p, p.server.up == 2 && p.client.up == 2);
	unsigned had = p.server.dgrams;
	assert_int_equal(culvert_send(f, "x", 1), 0);
	WAIT(&p, p.server.dgrams > had);
	assert_int_equal(p.client.closed + p.server.closed, 0);
}

/* the same server at another address: the session moves, flows live on */
static void test_endpoint_and_listen(void **state)
{
	char more[100];
	int old = p.tcp, next = port(SOCK_STREAM);
	(void)state;
	ports_up(&p);
	culvert_flow *f = ports_open(&p);
	snprintf(more, sizeof more, "Listen = tcp://127.0.0.1:%d\n", next);
	ports_conf(&p, more, "");
	reloads(&p.server, p.sconf);
	flows(f);
	p.tcp = next;
	ports_conf(&p, "", "");
	reloads(&p.client, p.cconf);
	WAIT(&p, p.client.up == 2 && p.server.up >= 1);
	/* the first port closes; who came through it stays */
	reloads(&p.server, p.sconf);
	unsigned had = p.server.dgrams;
	assert_int_equal(culvert_send(f, "x", 1), 0);
	WAIT(&p, p.server.dgrams > had);
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)old),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), -1);
	close(fd);
}

static void test_allow(void **state)
{
	char allow[200], one[200], two[401];
	int a = udp(0, 0), b = udp(0, 0);
	int from[2] = { port(SOCK_DGRAM), port(SOCK_DGRAM) };
	(void)state;
	snprintf(two, sizeof two, "%s", forward(from[0], bound(a), one));
	forward(from[1], bound(b), two + strlen(two));
	ports_conf(&p, "", two);
	ports_up(&p);
	int near[2] = { udp(0, from[0]), udp(0, from[1]) };
	for (int i = 0; i < 2; i++) {
		send(near[i], "1", 1, 0);
		assert_true(arrives(&p, i ? b : a, "1"));
	}
	assert_int_equal(side_count(&p.server, "flows"), 2);
	snprintf(allow, sizeof allow, "Allow = udp://127.0.0.1:%d\n", bound(b));
	ports_conf(&p, allow, two);
	reloads(&p.server, p.sconf);
	assert_int_equal(side_count(&p.server, "flows"), 1);
	send(near[1], "2", 1, 0);
	assert_true(arrives(&p, b, "2"));
	/* and what is not allowed stays out */
	send(near[0], "2", 1, 0);
	WAIT(&p, strstr(p.server.said, "target refused"));
	assert_int_equal(recv(a, one, sizeof one, MSG_DONTWAIT), -1);
	for (int i = 0; i < 2; i++)
		close(near[i]);
	close(a);
	close(b);
}

/* what can be refused comes before anything is changed */
static void test_refused(void **state)
{
	char more[300], text[2 * CONF];
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	(void)state;
	ports_up(&p);
	culvert_flow *f = ports_open(&p);
	int free_port = port(SOCK_DGRAM), fds = descriptors();
	int taken = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(taken, (struct sockaddr *)&a, sizeof a), 0);

	/* the second of two new ports is taken */
	forward(free_port, 1, more);
	snprintf(text, sizeof text, "%s%s", p.cconf, more);
	forward(bound(taken), 1, more);
	strcat(text, more);
	refuses(&p.client, text, 12, "another program has it");
	close(udp(free_port, 0));
	flows(f);

	/* the same twice, of which it has one */
	forward(free_port, 1, more);
	snprintf(text, sizeof text, "%s%s", p.cconf, more);
	reloads(&p.client, text);
	more[9] = 'g';
	strcat(text, more);
	refuses(&p.client, text, 12, "twice");
	reloads(&p.client, p.cconf);
	snprintf(text, sizeof text, "%s[Serve]\nListen = tcp://127.0.0.1:%d\n",
		p.sconf, p.tcp);
	refuses(&p.server, text, 8, "twice");
	snprintf(more, sizeof more, "Listen = tcp://127.0.0.1:%d\n", p.tcp);
	ports_conf(&p, more, "");
	refuses(&p.server, p.sconf, 5, "twice");
	close(taken);
	assert_int_equal(descriptors(), fds);
	flows(f);
}

static void test_restart_needed(void **state)
{
	char text[2 * CONF];
	(void)state;
	ports_up(&p);
	culvert_flow *f = ports_open(&p);
	struct keys k = p.ckey;
	p.ckey = keys_make();
	ports_conf(&p, "", "");
	refuses(&p.client, p.cconf, 0, "the private key cannot change");
	p.ckey = k;
	ports_conf(&p, "", "");
	snprintf(text, sizeof text, "[Node]\nName = other\n%s", p.cconf + 7);
	refuses(&p.client, text, 0, "Name cannot change");
	snprintf(
		text, sizeof text, "[Node]\nServerNumber = 7\n%s", p.cconf + 7);
	refuses(&p.client, text, 0, "ServerNumber cannot change");
	refuses(&p.client,
		"[Node]\nPlain = yes\n[Peer server]\nEndpoint = "
		"tcp://127.0.0.1:1\n",
		0, "Plain cannot change");
	snprintf(text, sizeof text, "%sBadKey = 1\n", p.cconf);
	refuses(&p.client, text, 7, "BadKey");
	snprintf(
		text, sizeof text, "%s[Forward x]\nFrom = nonsense\n", p.cconf);
	refuses(&p.client, text, 7, "needs \"Via\"");
	snprintf(text, sizeof text, "%s[Peer own]\nPublicKey = %s\n", p.cconf,
		p.ckey.pub);
	refuses(&p.client, text, 7, "our own public key");
	flows(f);
}

/* mallinfo2() counts what is in use */
static size_t in_use(void)
{
	return mallinfo2().uordblks;
}

static void test_thousand(void **state)
{
	char more[300], one[200], text[2][CONF], stext[2][CONF];
	(void)state;
	strcpy(text[0], p.cconf);
	strcpy(stext[0], p.sconf);
	ports_up(&p);
	culvert_flow *f = ports_open(&p);
	struct keys k = keys_make();
	snprintf(more, sizeof more, "[Peer more]\nPublicKey = %s\n", k.pub);
	snprintf(one, sizeof one,
		"Allow = udp://127.0.0.1:7\nListen = tcp://127.0.0.1:%d\n",
		port(SOCK_STREAM));
	strcat(one, more);
	strcat(more, "Endpoint = tcp://127.0.0.1:1\n");
	forward(port(SOCK_DGRAM), 7, more + strlen(more));
	ports_conf(&p, one, more);
	strcpy(text[1], p.cconf);
	strcpy(stext[1], p.sconf);
	size_t used = 0;
	int fds = descriptors();
	for (int i = 0; i < 1000; i++) {
		reloads(&p.client, text[(i + 1) % 2]);
		reloads(&p.server, stext[(i + 1) % 2]);
		if (i % 100 == 1)
			flows(f);
		p.client.nsaid = p.server.nsaid = 0;
		if (i == 501)
			used = in_use();
		if (i > 501 && i % 100 == 1)
			assert_in_range(in_use(), 0, used + 4096);
	}
	flows(f);
	assert_int_equal(descriptors(), fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing, begin, end),
		cmocka_unit_test_setup_teardown(test_forward, begin, end),
		cmocka_unit_test_setup_teardown(test_peers, begin, end),
		cmocka_unit_test_setup_teardown(test_psk, begin, end),
		cmocka_unit_test_setup_teardown(
			test_endpoint_and_listen, begin, end),
		cmocka_unit_test_setup_teardown(test_allow, begin, end),
		cmocka_unit_test_setup_teardown(test_refused, begin, end),
		cmocka_unit_test_setup_teardown(
			test_restart_needed, begin, end),
		cmocka_unit_test_setup_teardown(test_thousand, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
