#!/bin/sh
# SPDX-License-Identifier: MIT
# demo.sh CULVERT - the main job on this one machine, in under a minute:
# two network namespaces between which only TCP passes, and UDP carried over it
set -eu

culvert=$(realpath "$1")
near=culvert-near far=culvert-far
work=$(mktemp -d)

if [ "$(id -u)" -ne 0 ]; then
	echo "demo: network namespaces need root; type: sudo make demo" >&2
	exit 1
fi

say() {
	printf '\n\033[1m%s\033[0m\n' "$*"
}

run() {
	printf '\033[36m$ %s\033[0m\n' "$*"
	"$@"
}

in_near() { ip netns exec $near "$@"; }
in_far() { ip netns exec $far "$@"; }

cleanup() {
	trap - EXIT INT TERM
	for ns in $near $far; do
		pids=$(ip netns pids $ns 2>/dev/null) || pids=
		[ -z "$pids" ] || kill -9 $pids 2>/dev/null || true
		ip netns del $ns 2>/dev/null || true
	done
	rm -rf "$work"
}

# wait_for TEXT FILE - until the text stands in the file, at most 10 s
wait_for() {
	touch "$2" # who writes it may not have begun
	timeout 10 tail -n +1 -f "$2" 2>/dev/null | grep -q -m 1 -- "$1" || {
		echo "demo: \"$1\" did not come within 10 s; the log:" >&2
		cat "$2" >&2
		exit 1
	}
}

# ask NAME [TYPE] - one question through the tunnel, with the patience of dig

ask() {
	in_near dig +short +tries=1 +time=2 @127.0.0.1 -p 5300 "$@"
}

trap cleanup EXIT
trap 'exit 1' INT TERM
cleanup
work=$(mktemp -d)
trap cleanup EXIT
trap 'exit 1' INT TERM

say "1. Two hosts, and a network between them that passes only TCP"
ip netns add $near
ip netns add $far
ip -n $near link add eth0 type veth peer name eth0 netns $far
for ns in $near $far; do
	ip -n $ns link set lo up
	ip -n $ns link set eth0 up
done
ip -n $near addr add 10.99.0.1/24 dev eth0
ip -n $far addr add 10.99.0.2/24 dev eth0
in_far nft -f - <<-NFT
	table ip wall {
		chain in {
			type filter hook input priority 0
			iifname eth0 meta l4proto != tcp drop
		}
	}
NFT
# iperf3 speaks TCP and UDP to one address: its UDP goes into the tunnel
in_near nft -f - <<-NFT
	table ip demo {
		chain out {
			type nat hook output priority -100
			ip daddr 10.99.0.2 udp dport 5201 redirect to :5201
		}
	}
NFT
in_far dnsmasq --no-daemon --no-resolv --no-hosts --listen-address=127.0.0.1 \
	--bind-interfaces --address=/www.example/192.0.2.80 \
	--txt-record=hello.example,"answered over TCP" \
	>"$work/dnsmasq.log" 2>&1 &
in_far iperf3 -s --forceflush >"$work/iperf3.log" 2>&1 &
wait_for started "$work/dnsmasq.log"
wait_for listening "$work/iperf3.log"
echo "without culvert, a question to the far side's DNS server:"
in_near dig +short +tries=1 +time=1 @10.99.0.2 www.example || true

say "2. Fresh keys, a server, a client"
cd "$work"
client=$("$culvert" genkey c.key)
server=$("$culvert" genkey s.key)
serve() {
	ip netns exec $far "$culvert" serve tcp://10.99.0.2:3456 --key s.key \
		--peer "$client" --allow udp://127.0.0.1:53 \
		--allow udp://127.0.0.1:5201 --name demo-server \
		>"$1" 2>&1 &
	server_pid=$!
	wait_for listening "$1"
}
echo "far\$  culvert serve tcp://10.99.0.2:3456 --key s.key --peer $client" \
	"--allow udp://127.0.0.1:53 --allow udp://127.0.0.1:5201"
serve server.log
"$culvert" forward udp://127.0.0.1:5300 udp://127.0.0.1:53 \
	via tcp://10.99.0.2:3456 --key c.key --peer "$server" \
	--name demo-client --print-config >client.conf
cat >>client.conf <<-CONF

	[Forward iperf]
	From = udp://127.0.0.1:5201
	To = udp://127.0.0.1:5201
	Via = server
CONF
echo "near\$ culvert run -c client.conf    # two forwards; the file says:"
sed 's/^/    /' client.conf
ip netns exec $near "$culvert" run -c client.conf >client.log 2>&1 &
client_pid=$!
wait_for "peer up" client.log

say "3. A real DNS server, asked over TCP"
dig_line="dig +short @127.0.0.1 -p 5300"
printf '\033[36m$ %s\033[0m\n' "$dig_line www.example"
ask www.example
printf '\033[36m$ %s\033[0m\n' "$dig_line hello.example TXT"
ask hello.example TXT

say "4. 100 Mbit/s of UDP over TCP"
in_near iperf3 --forceflush -u -c 10.99.0.2 -b 100M -w 4M -l 1400 -t 3 \
	>load.log 2>&1 &
load_pid=$!
wait_for "0.00-1.0" load.log
echo "meanwhile, culvert show says:"
run "$culvert" show demo-client
run "$culvert" show demo-server
wait $load_pid
grep -E 'Interval|receiver|sender' load.log
echo "what the client dropped until now, by name:"
"$culvert" show demo-client | grep -m 1 dropped || echo "  nothing"

say "5. The server is killed, and comes back"
kill -9 "$server_pid"
wait "$server_pid" 2>/dev/null || true
serve server2.log
began=$(date +%s%3N)
answer=$(ask www.example)
echo "answered again: $answer, $(($(date +%s%3N) - began)) ms after its start"
[ "$answer" = 192.0.2.80 ]
grep -E 'link down|peer up' client.log | tail -n 3

say "6. A clean stop"
kill -TERM "$client_pid" "$server_pid"
wait "$client_pid" && echo "client: exit 0"
wait "$server_pid" && echo "server: exit 0"
tail -n 1 client.log
say "That was it. Next: README.md, culvert(1), make test"
