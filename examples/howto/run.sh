#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh [CULVERT] - the scene of README.md on this machine: four hosts, which
# are namespaces, and a datagram each way, with phantom ports and without
set -eu
culvert=${1:-culvert}
cd "$(dirname "$0")"
pre=howto$$-
work=$(mktemp -d)

host() { # NAME COMMAND... - there
	name=$pre$1
	shift
	ip netns exec "$name" "$@"
}

clean() {
	for h in near router1 router2 far; do
		ip netns pids $pre$h 2>/dev/null | xargs -r kill || :
		ip netns del $pre$h 2>/dev/null || :
	done
	rm -rf "$work"
}

cable() { # HOST DEVICE ADDRESS HOST DEVICE ADDRESS
	ip -n "$pre$1" link add "$2" type veth peer name "$5" netns "$pre$4"
	ip -n "$pre$1" addr add "$3" dev "$2"
	ip -n "$pre$4" addr add "$6" dev "$5"
	ip -n "$pre$1" link set "$2" up
	ip -n "$pre$4" link set "$5" up
}

wait_for() { # WORD FILE - at most 10 s
	timeout 10 tail -n +1 -f "$2" | grep -q -m 1 -- "$1" || {
		cat "$2" >&2
		exit 1
	}
}

start() { # HOST NAME WORD - that line of README.md, until it says WORD
	line=$(sed -n "s/^$2\\\$ //p" README.md)
	echo "$1\$ $line"
	case $line in
	culvert*) line="$culvert${line#culvert} --name $pre$2" ;;
	esac
	set -f
	# shellcheck disable=SC2086
	host "$1" $line >"$work/$2" 2>&1 &
	set +f
	: >>"$work/$2"
	wait_for "$3" "$work/$2"
}

# the application: one asks, or waits for a question and answers it
cat >"$work/app.pl" <<'PERL'
use IO::Socket::INET;
my ($how, $at, $to) = @ARGV;
my ($host, $port) = split /:/, $to;
my $u = IO::Socket::INET->new(Proto => 'udp', LocalAddr => $at)
	or die "$at: $!\n";
$| = 1;
print "bound\n" if $how eq 'answer';
$u->send("from $at", 0, pack_sockaddr_in($port, inet_aton($host)))
	if $how eq 'ask';
my $from = $u->recv(my $text, 100);
die "$at heard " . $u->peerhost . ':' . $u->peerport . ", not $to\n"
	if $u->peerhost . ':' . $u->peerport ne $to;
$u->send("$text, and back", 0, $from) if $how eq 'answer';
print "  $at heard from $to: $text\n";
PERL

ask() { # HOST PORT PORT HOST PORT PORT - of the asking and the other one
	: >"$work/app"
	host "$4" timeout 10 perl "$work/app.pl" answer "$5" "$6" \
		>"$work/app" &
	answering=$!
	wait_for bound "$work/app"
	host "$1" timeout 10 perl "$work/app.pl" ask "$2" "$3"
	wait $answering
	sed 1d "$work/app"
}

near_first() {
	ask near 192.168.1.2:5000 192.168.1.2:7000 far \
		10.0.0.2:7000 10.0.0.2:5000
}

far_first() {
	ask far 10.0.0.2:7000 10.0.0.2:5000 near \
		192.168.1.2:5000 192.168.1.2:7000
}

trap clean EXIT
trap 'exit 1' INT TERM
for h in near router1 router2 far; do
	ip netns add $pre$h
	ip -n $pre$h link set lo up
done
cable near eth0 192.168.1.2/24 router1 lan 192.168.1.1/24
cable router1 wan 198.51.100.1/24 router2 wan 198.51.100.2/24
cable router2 lan 10.0.0.1/24 far eth0 10.0.0.2/24
ip -n ${pre}near route add default via 192.168.1.1
ip -n ${pre}far route add default via 10.0.0.1
for h in router1 router2; do
	host $h sysctl -qw net.ipv4.ip_forward=1
	host $h nft -f $h.nft
done

echo "# phantom ports, the far end in Perl"
host near nft -f near.nft
host far nft -f far.nft
start far far-perl ready
start near near-nat msg=forwarding
wait_for connected "$work/far-perl"
far_first
near_first

echo "# no rule"
for h in near far; do
	ip netns pids $pre$h | xargs kill
done
wait
host near nft delete table ip phantom
host far nft delete table ip phantom
start far far msg=listening
start near near msg=forwarding
near_first
far_first
