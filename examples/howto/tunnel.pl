#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# tunnel.pl - one end of a UDP tunnel in TCP, as short as it gets
#
#   tunnel.pl listen  TCPHOST:PORT UDPHOST:PORT APPHOST:PORT
#   tunnel.pl connect TCPHOST:PORT UDPHOST:PORT APPHOST:PORT
#
# A datagram is two bytes of length and itself. Those of the application at
# APPHOST:PORT are taken at UDPHOST:PORT, and sent to it from there. Neither
# encrypted nor authenticated; late if TCP is.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);

$SIG{PIPE} = 'IGNORE';
my ($mode, $tcp, $near, $app) = @ARGV;
die "usage: $0 listen|connect TCP UDP APP\n"
	unless $app && $mode =~ /^(listen|connect)$/;
my ($app_host, $app_port) = split /:/, $app;
my $to = pack_sockaddr_in($app_port, inet_aton($app_host));
my $udp = IO::Socket::INET->new(Proto => 'udp', LocalAddr => $near)
	or die "$near: $!\n";
my $listener = $mode eq 'listen' && (IO::Socket::INET->new(
	Listen => 8, LocalAddr => $tcp, ReuseAddr => 1) or die "$tcp: $!\n");
my ($stream, $bytes);
$| = 1;
print "ready\n";

sub lose {
	close $stream if $stream;
	$stream = undef;
}

sub gain {
	lose();
	$stream = shift or return;
	setsockopt $stream, IPPROTO_TCP, TCP_NODELAY, 1;
	$bytes = '';
	print "connected\n";
}

sub from_app {
	recv $udp, my $data, 65535, 0;
	return unless defined $data && $stream;
	my $frame = pack 'n/a*', $data;
	while (length $frame) {
		my $n = syswrite $stream, $frame or return lose();
		substr $frame, 0, $n, '';
	}
}

sub from_stream {
	sysread $stream, $bytes, 65536, length $bytes or return lose();
	while (length $bytes > 1) {
		my $n = unpack 'n', $bytes;
		last if length $bytes < 2 + $n;
		send $udp, substr($bytes, 2, $n), 0, $to;
		substr $bytes, 0, 2 + $n, '';
	}
}

while (1) {
	gain(IO::Socket::INET->new(PeerAddr => $tcp, Timeout => 2))
		unless $listener || $stream;
	my $wait = $listener || $stream ? undef : 0.1;
	for my $ready (IO::Select->new(grep { $_ } $udp, $listener, $stream)
			->can_read($wait)) {
		if ($ready == $udp) { from_app() }
		elsif ($listener && $ready == $listener) {
			gain($listener->accept)
		}
		elsif ($stream && $ready == $stream) { from_stream() }
	}
}
