/* SPDX-License-Identifier: MIT */
/* test_conf_check.c - what must fit together in a configuration */
#include "unit/conf_fix.h"

static int setup(void **state)
{
	(void)state;
	conf_env = mem_env(&conf_mem, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cv_conf_clear(&conf);
	return conf_mem.blocks || conf_mem.bytes ? -1 : 0;
}

#define NODE "[Node]\nPrivateKey = " KEY1 "\n"
#define HOME "[Peer home]\nPublicKey = " KEY2 "\nEndpoint = tcp://h:1\n"
#define DNS "[Forward dns]\nFrom = udp://:53\nVia = home\n"

static void test_keys_or_plain(void **state)
{
	(void)state;
	refuse("[Serve]\nListen = tcp://:1", 0, "culvert genkey");
	refuse("[Node]\nPrivateKey = " KEY1 "\nPrivateKeyFile = f\n", 3,
		"exclude each other");
	refuse("[Node]\nPlain = yes\nPrivateKey = " KEY1, 0, "without keys");
	refuse("[Node]\nPlain = yes\nPrivateKeyFile = f", 3, "without keys");
	refuse(NODE "[Serve]\nListen = tcp://:1", 0, "no peer");
	refuse(NODE "[Peer x]", 3, "no public key of the peer \"x\"");
	refuse("[Node]\nPlain = yes\n" HOME, 3, "remove PublicKey");
	take("[Node]\nPlain = yes\n[Serve]\nListen = tcp://:1");
	cv_conf_clear(&conf);
	take("[Node]\nPlain = yes\n[Peer home]\nEndpoint = tcp://h:1\n" DNS);
	cv_conf_clear(&conf);
	take("[Node]\nPrivateKeyFile = k\nPeersFile = p\n"
	     "[Serve]\nListen = tcp://:1");
}

static void test_peers(void **state)
{
	(void)state;
	refuse(NODE "[Peer a]\nPublicKey = " KEY2
		    "\n[Peer b]\nPublicKey = " KEY2,
		5, "the same public key");
	refuse(NODE "[Peer a]\nPublicKey = " KEY2
		    "\n[Peer a]\nPublicKey = " KEY3,
		5, "two peers are called \"a\"");
	refuse("[Node]\nPlain = yes\n[Peer]\n[Peer]\n", 4,
		"two peers are called \"peer\"");
}

static void test_forwards(void **state)
{
	(void)state;
	refuse(NODE HOME "[Forward x]\nVia = home", 6,
		"[Forward x] needs \"From\"");
	refuse(NODE HOME "[Forward x]\nFrom = udp://:1", 6,
		"[Forward x] needs \"Via\"");
	refuse(NODE HOME "[Forward x]\nFrom = udp://:1\nVia = work", 8,
		"there is no [Peer work]");
	refuse(NODE "[Peer home]\nPublicKey = " KEY2 "\n" DNS, 7,
		"no Endpoint to dial");
}

static void test_urls(void **state)
{
	static const struct {
		const char *url, *want;
	} c[] = {
		{ "udp://h", "the port (1 to 65535) is missing" },
		{ "udp://h:0", "the port (1 to 65535) is missing" },
		{ "udp://:5", "the host is missing" },
		{ "udp://*:5", "* is no host to reach" },
		{ "lan://h:5", "udp://host:port is expected here; known "
			       "schemes: udp tcp" },
		{ "h:5", "no scheme" },
		{ "udp://u@h:5", "takes no user and no path" },
		{ "udp://h:5/p", "takes no user and no path" },
		{ "udp://h:5?x=1", "unknown option \"x\"; known here: bind" },
		{ "udp://h:5?bin=1", "unknown option \"bin\"" },
		{ "udp://h:5?bind=name:1", "?bind= is an address and a port" },
		{ "udp://h:5?bind=1.2.3.4:x", "?bind=" },
	};
	char text[1024];
	(void)state;
	for (size_t i = 0; i < CV_COUNT(c); i++) {
		snprintf(text, sizeof text, NODE HOME DNS "To = %s", c[i].url);
		refuse(text, 9, c[i].want);
		snprintf(text, sizeof text, NODE HOME DNS "[Serve]\nTo = %s",
			c[i].url);
		refuse(text, 10, c[i].want);
	}
	refuse(NODE HOME DNS "[Serve]\nTo = tcp://h:5?bind=1.2.3.4", 10,
		"unknown option \"bind\"");
	take(NODE HOME DNS "[Serve]\nTo = tcp://h:5");
	cv_conf_clear(&conf);
	take(NODE HOME DNS "To = udp://h:5?bind=1.2.3.4:1");
	cv_conf_clear(&conf);
	take(NODE HOME DNS "To = udp://h:5?bind=1.2.3.4");
}

#define FORWARD(from) NODE HOME "[Forward x]\nVia = home\nFrom = " from "\n"

static void test_streams(void **state)
{
	(void)state;
	refuse(FORWARD("tcp://:1") "To = udp://h:5", 9,
		"From is tcp://, and a flow is of one kind from end to end: "
		"write tcp:// here too");
	refuse(FORWARD("udp://:1") "To = tcp://h:5", 9,
		"write udp:// here too");
	refuse(FORWARD("tcp://:1?peer=1.2.3.4:5"), 8,
		"unknown option \"peer\"");
	refuse(NODE "[Forward x]\nFrom = tcp://:1\nVia = frames+tcp://h:1", 4,
		"carry datagrams: write udp:// here");
	refuse(FORWARD("tcp://:1?proxy=v1"), 8, "?proxy= is v2");
	refuse(FORWARD("tcp://:1") "To = tcp://h:1?client=1.2.3.4:5", 9,
		"unknown option \"client\"; known here: proxy");
	take(FORWARD("tcp://:1?proxy=v2") "To = tcp://h:5?proxy=v2");
	cv_conf_clear(&conf);
	take(FORWARD(
		"tcp://:1?mark=7&interface=eth0&cc=bbr&mptcp=yes") "To = "
								   "tcp://h:5");
	cv_conf_clear(&conf);
	take(FORWARD("tcp://[::1]:1"));
}

static void test_other_urls(void **state)
{
	(void)state;
	refuse(NODE HOME "[Serve]\nListen = ftp://:1", 7,
		"tcp://host:port is expected");
	refuse(NODE HOME "[Serve]\nListen = tcp://:1?x", 7,
		"unknown option \"x\"");
	refuse(NODE "[Peer a]\nEndpoint = tcp://:1", 4, "the host is missing");
	refuse(NODE HOME "[Serve]\nListen = tcp://:1\nAllow = udp://h/x", 8,
		"Allow = \"udp://h/x\": ");
	refuse(NODE HOME "[Forward]\nVia = home\nFrom = udp://:1?peer=:0", 8,
		"?peer= is an address and a port");
	refuse(NODE HOME "[Forward]\nVia = home\nFrom = udp://:1?bind=:1", 8,
		"unknown option \"bind\"; known here: peer");
	take(NODE HOME "[Forward]\nVia = home\n"
		       "From = udp://127.0.0.1:1?peer=127.0.0.1:2");
}

#define FRAMES "[Serve]\nListen = frames+tcp://:1\n"
#define OUT "[Forward]\nFrom = udp://127.0.0.1:5\nVia = frames+tcp://h:1\n"

static void test_foreign_framings(void **state)
{
	(void)state;
	/* no keys, and plain without being asked */
	take(FRAMES "To = udp://h:5");
	assert_true(conf.plain);
	cv_conf_clear(&conf);
	take(OUT);
	assert_true(conf.plain);
	cv_conf_clear(&conf);
	take("[Node]\nPlain = yes\n" OUT);
	cv_conf_clear(&conf);
	/* beside culvert's own protocol it keeps its keys */
	take(NODE HOME DNS FRAMES "To = udp://h:5");
	assert_false(conf.plain);
	cv_conf_clear(&conf);
	refuse(FRAMES "To = udp://h:5\nListen = tcp://:2\n", 0,
		"culvert genkey");

	refuse(FRAMES, 2, "its clients name no target: add \"--to");
	refuse(OUT "To = udp://h:5\n", 4, "TO is the far end's choice");
	refuse("[Forward]\nFrom = udp://:5\nVia = tcp://h:1", 3,
		"frames+tcp://host:port is expected");
	refuse("[Forward]\nFrom = udp://:5\nVia = frames+tcp://:1", 3,
		"the host is missing");
	refuse("[Forward]\nFrom = udp://:5\nVia = udptunnel+tcp://h:1?x", 3,
		"unknown option \"x\"");
	refuse(NODE OUT, 0, "frames+tcp:// has no keys: remove --key");
	refuse("[Node]\nPrivateKeyFile = f\n" OUT, 2, "remove --key");
	refuse("[Node]\nPeersFile = f\n" OUT, 2, "remove --peers");
	refuse(FRAMES "To = udp://h:5\n[Peer a]\nPublicKey = " KEY2, 4,
		"remove --peer");
}

/* a port that forwards to a port of our own whose target is that port */
static void test_circle(void **state)
{
	static const char *const round[][3] = {
		{ "127.0.0.1:5", "127.0.0.1:5", "127.0.0.1:1" },
		{ "localhost:5", "*:5", "127.1.2.3:1" },
		{ "[::1]:5", "[::1]:5", "localhost:1" },
	}, *const straight[][3] = {
		{ "127.0.0.1:6", "127.0.0.1:5", "127.0.0.1:1" },
		{ "127.0.0.2:5", "127.0.0.1:5", "127.0.0.1:1" },
		{ "127.0.0.1:5", "127.0.0.1:5", "127.0.0.1:2" },
		/* a chain: the next one may listen at the same port */
		{ "127.0.0.1:5", "127.0.0.1:5", "10.1.2.3:1" },
		{ "10.1.2.3:5", "*:5", "127.0.0.1:1" },
		{ "name:5", "*:5", "127.0.0.1:1" },
	};
	static const char form[] =
		FRAMES "To = udp://%s\n[Forward]\n"
		       "From = udp://%s\nVia = frames+tcp://%s\n";
	char text[1024];
	(void)state;
	for (size_t i = 0; i < CV_COUNT(round); i++) {
		snprintf(text, sizeof text, form, round[i][0], round[i][1],
			round[i][2]);
		refuse(text, 3, "datagrams would go in circles");
	}
	for (size_t i = 0; i < CV_COUNT(straight); i++) {
		snprintf(text, sizeof text, form, straight[i][0],
			straight[i][1], straight[i][2]);
		take(text);
		cv_conf_clear(&conf);
	}
}

#define ENDPOINT NODE "[Peer home]\nPublicKey = " KEY2 "\nEndpoint = tcp://h:1?"
#define LISTEN NODE HOME "[Serve]\nListen = tcp://:1?"

static void test_link_options(void **state)
{
	static const struct {
		const char *option, *want; /* NULL: taken */
	} c[] = {
		{ "mark=7&interface=eth0&cc=bbr&mptcp=yes", NULL },
		{ "mark=0xffffffff&mptcp=no", NULL },
		{ "mark=", "?mark= is a number below 2^32" },
		{ "mark=0x100000000", "?mark= is a number below 2^32" },
		{ "mark=1&mark=x", "?mark= is a number" },
		{ "interface=", "?interface= is a name of 1 to 15" },
		{ "interface=abcdefghijklmno", NULL },
		{ "interface=abcdefghijklmnop", "?interface= is a name" },
		{ "cc=abcdefghijklmnop", "?cc= is a name of 1 to 15" },
		{ "mptcp", "?mptcp= is yes or no" },
		{ "mptcp=maybe", "?mptcp= is yes or no" },
	};
	char text[1024];
	(void)state;
	for (size_t i = 0; i < 2 * CV_COUNT(c); i++) {
		bool listen = i % 2;
		snprintf(text, sizeof text, "%s%s\n%s",
			listen ? LISTEN : ENDPOINT, c[i / 2].option,
			listen ? "" : DNS);
		if (c[i / 2].want)
			refuse(text, listen ? 7 : 5, c[i / 2].want);
		else
			take(text);
		cv_conf_clear(&conf);
	}
}

static void test_endpoint_options(void **state)
{
	static const struct {
		const char *option, *want; /* NULL: taken */
	} c[] = {
		{ "connections=1", NULL },
		{ "connections=16", NULL },
		{ "connections=0", "?connections= is a number from 1 to 16" },
		{ "connections=17", "?connections= is a number" },
		{ "via=socks5://p:1080&connections=2", NULL },
		{ "via=http://u:p%26%25@[::1]:3128", NULL },
		{ "via=p:1080", "?via= no scheme" },
		{ "via=ftp://p:1080", "?via= a proxy is socks5:// or http://" },
		{ "via=socks5://p", "?via= the proxy's port" },
		{ "x=1", "unknown option \"x\"; known here: mark interface cc "
			 "mptcp connections via" },
	};
	char text[1024];
	(void)state;
	for (size_t i = 0; i < CV_COUNT(c); i++) {
		snprintf(text, sizeof text, ENDPOINT "%s\n" DNS, c[i].option);
		if (c[i].want)
			refuse(text, 5, c[i].want);
		else
			take(text);
		cv_conf_clear(&conf);
	}
	refuse(LISTEN "via=socks5://p:1", 7, "unknown option \"via\"");
	refuse(LISTEN "connections=2", 7, "unknown option \"connections\"");
}

#define UDP NODE "[Peer home]\nPublicKey = " KEY2 "\nEndpoint = udp://h:1?"
#define UDP_LISTEN                                                             \
	NODE "[Peer x]\nPublicKey = " KEY2 "\n[Serve]\nListen = udp://:1?"

static void test_datagram_links(void **state)
{
	static const struct {
		const char *option, *want; /* NULL: taken */
		const char *listen;        /* likewise */
	} c[] = {
		{ "mark=7&interface=eth0", NULL, NULL },
		{ "cc=rate", NULL, NULL },
		{ "cc=cubic", NULL, NULL },
		{ "cc=bbr", "?cc= is rate or cubic", "?cc= is rate or cubic" },
		{ "connections=2", "?connections= is for tcp://",
			"unknown option" },
		{ "mptcp=yes", "known here: mark interface cc",
			"unknown option" },
		{ "via=socks5://p:1", "unknown option", "unknown option" },
		{ "mark=x", "?mark= is a number", "?mark= is a number" },
	};
	char text[1024];
	(void)state;
	for (size_t i = 0; i < 2 * CV_COUNT(c); i++) {
		bool listen = i % 2;
		const char *want = listen ? c[i / 2].listen : c[i / 2].want;
		snprintf(text, sizeof text, "%s%s\n%s",
			listen ? UDP_LISTEN : UDP, c[i / 2].option,
			listen ? "" : DNS);
		if (want)
			refuse(text, listen ? 6 : 5, want);
		else
			take(text);
		cv_conf_clear(&conf);
	}
	refuse(NODE "[Peer home]\nPublicKey = " KEY2 "\nEndpoint = udp://*:1",
		5, "* is no host to reach");
	take(NODE "[Peer x]\nPublicKey = " KEY2
		  "\n[Serve]\nListen = udp://:1\nListen = udp://[::1]:1\n"
		  "Listen = tcp://:1");
}

/* what is wrong is said without the password */
static void test_password_is_not_shown(void **state)
{
	static const char *const option[] = {
		"via=socks5://u:secret@p",
		"via=socks5://u:secret@p:x",
		"via=socks5://u:secret@p:1&x=1",
		"via=socks5://u:12&secret@p:1",
		"via=socks5://u:%zsecret@p:1",
		"via=socks5://u:&secret=4@p:1",
		"&via=socks5://u:secret@p:1",
	};
	char text[1024];
	(void)state;
	for (size_t i = 0; i < CV_COUNT(option); i++) {
		struct culvert_diag d = { 0 };
		snprintf(text, sizeof text, ENDPOINT "%s", option[i]);
		assert_true(cv_conf_parse(&conf, &conf_env, text, strlen(text),
				    &d) < 0);
		said(&d, 5, "Endpoint = \"tcp://h:1\": ");
		assert_null(strstr(d.text, "secret"));
	}
	memset(text, 'x', sizeof text);
	size_t n =
		(size_t)sprintf(text, ENDPOINT "via=socks5://u:secret@p:1&cc=");
	text[n] = 'x';
	struct culvert_diag d = { 0 };
	assert_true(cv_conf_parse(&conf, &conf_env, text, sizeof text, &d) < 0);
	said(&d, 5, "too long");
	assert_null(strstr(d.text, "secret"));
}

static void test_metrics(void **state)
{
	static const struct {
		const char *url, *want;
	} c[] = {
		{ "127.0.0.1:9100", "no scheme" },
		{ "udp://:9100", "tcp://host:port is expected" },
		{ "tcp://127.0.0.1", "the port (1 to 65535) is missing" },
		{ "tcp://:9100/metrics", "no user and no path" },
		{ "unix://", "unix:///path is expected" },
		{ "unix:///", "unix:///path is expected" },
		{ "unix://run/x", "unix:///path is expected" },
		{ "unix://u@/x", "unix:///path is expected" },
		{ "unix://:1/x", "unix:///path is expected" },
		{ "unix:///x?mode=0666", "unix:///path is expected" },
	};
	char text[1024];
	(void)state;
	for (size_t i = 0; i < CV_COUNT(c); i++) {
		snprintf(text, sizeof text, NODE "Metrics = %s\n" HOME DNS,
			c[i].url);
		refuse(text, 3, c[i].want);
	}
	take(NODE "Metrics = tcp://[::1]:9100\n" HOME DNS);
	cv_conf_clear(&conf);
	take(NODE "Metrics = unix:///run/x.sock\n" HOME DNS);
}

#define SERVE                                                                  \
	"[Node]\nPrivateKey = " KEY1 "\n[Peer]\nPublicKey = " KEY2 "\n[Serve]" \
	"\n"

static void test_discoverable(void **state)
{
	(void)state;
	take(SERVE "Listen = tcp://:1\nListen = lan://67@\nDiscoverable = yes");
	assert_true(conf.discoverable);
	cv_conf_clear(&conf);
	take(SERVE "Listen = bcast://eth0\nDiscoverable = yes\nServerId = 6");
	assert_int_equal(conf.server_id, 6);
	cv_conf_clear(&conf);
	take(SERVE "Listen = lan://6@\nServerId = 6\nDiscoverable = yes");
	cv_conf_clear(&conf);
	/* no id is needed for who is not found */
	take(SERVE "Listen = lan://\nDiscoverable = no");
	assert_false(conf.discoverable);
	cv_conf_clear(&conf);
	take(SERVE "Listen = tcp://:1\nServerId = 6");
	cv_conf_clear(&conf);
	refuse(SERVE "Listen = tcp://:1\nDiscoverable = yes", 7,
		"servers are found on lan://");
	refuse(SERVE "Listen = lan://1@\nListen = mcast://[ff12::1]\n"
		     "Discoverable = yes",
		7, "write mcast://67@ or the like");
	refuse(SERVE "Listen = lan://6@\nServerId = 7", 6,
		"ServerId (--id) says 7");
}

#define V1 "[Node]\nPlain = yes\n[Serve]\nTo = tcp://127.0.0.1:80\nListen = "
#define V1_OUT "[Node]\nPlain = yes\n[Forward]\nFrom = tcp://:7\nVia = "

static void test_iproxy(void **state)
{
	static const char no_id[] = "the server's id belongs in front";
	(void)state;
	take(V1 "iproxy+bcast://67@");
	cv_conf_clear(&conf);
	take(V1 "iproxy+bcast://4294967294@eth0:5\nListen = lan://67@");
	cv_conf_clear(&conf);
	take(V1_OUT "iproxy+mcast://67@239.1.2.3%eth0:5?ttl=3");
	cv_conf_clear(&conf);
	take(V1_OUT "iproxy+udp://67@nas");
	cv_conf_clear(&conf);
	refuse(V1 "iproxy+bcast://", 5, no_id);
	refuse(V1 "iproxy+bcast://0@", 5, "a server's id is a number");
	refuse(V1 "iproxy+bcast://4294967295@", 5, no_id);
	refuse(V1 "iproxy+udp://x@nas:1", 5, no_id);
	refuse(V1 "iproxy+udp://67@", 5, "iproxy+udp://ID@HOST[:PORT] is");
	refuse(V1 "iproxy+udp://67@nas:0", 5, "iproxy+udp://ID@HOST");
	refuse(V1 "iproxy+udp://67@nas/x", 5, "iproxy+udp://ID@HOST");
	refuse(V1 "iproxy+bcast://67@?cc=rate", 5, "unknown option \"cc\"");
	refuse(V1 "iproxy+mcast://67@10.0.0.1", 5, "a multicast group");
	refuse(V1_OUT "iproxy+bcast://", 5, no_id);
	refuse(V1_OUT "iproxy+lan://67@?cc=rate", 5, "Via = ");
}

static void test_what_iproxy_carries(void **state)
{
	static const char plain[] = "add \"--plain\" (Plain = yes)";
	(void)state;
	refuse("[Serve]\nTo = tcp://h:1\nListen = iproxy+bcast://67@", 0,
		plain);
	refuse("[Forward]\nFrom = tcp://:7\nVia = iproxy+bcast://67@", 0,
		plain);
	refuse(NODE "[Peer]\nPublicKey = " KEY2
		    "\n[Serve]\nTo = tcp://h:1\nListen = lan://\n"
		    "Listen = iproxy+bcast://67@",
		0, plain);
	/* beside keys Plain is of iproxy alone */
	take(NODE "Plain = yes\n[Peer]\nPublicKey = " KEY2
		  "\n[Serve]\nTo = tcp://h:1\nListen = lan://\n"
		  "Listen = iproxy+bcast://67@");
	assert_false(conf.plain);
	cv_conf_clear(&conf);
	refuse(NODE "Plain = yes\n[Peer]\nPublicKey = " KEY2
		    "\n[Serve]\nListen = lan://",
		0, "Plain = yes goes without keys");
	refuse("[Node]\nPlain = yes\n[Serve]\nListen = iproxy+bcast://67@", 4,
		"add \"--to tcp://HOST:PORT\"");
	refuse("[Node]\nPlain = yes\n[Serve]\nTo = udp://h:1\n"
	       "Listen = iproxy+bcast://67@",
		5, "add \"--to tcp://HOST:PORT\"");
	refuse("[Node]\nPlain = yes\n[Forward]\nFrom = udp://:7\n"
	       "Via = iproxy+bcast://67@",
		4, "iproxy carries TCP");
	refuse(V1_OUT "iproxy+bcast://67@\nTo = tcp://h:1", 6,
		"the server's choice");
	refuse("[Node]\nPlain = yes\n[Peer]\nEndpoint = iproxy+bcast://67@", 4,
		"tcp://");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_keys_or_plain),
		T(test_peers),
		T(test_forwards),
		T(test_urls),
		T(test_streams),
		T(test_other_urls),
		T(test_metrics),
		T(test_foreign_framings),
		T(test_circle),
		T(test_link_options),
		T(test_endpoint_options),
		T(test_datagram_links),
		T(test_password_is_not_shown),
		T(test_discoverable),
		T(test_iproxy),
		T(test_what_iproxy_carries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
