#!/bin/sh
# SPDX-License-Identifier: MIT
# demo-lan.sh CULVERT - a box without an address, on this one machine, in half a
# minute: found, browsed, logged into, given an address, gone on with
set -eu

culvert=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
nas=culvert-nas ws=culvert-ws lan=culvert-lan
work=$(mktemp -d)

if [ "$(id -u)" -ne 0 ]; then
	echo "demo: network namespaces need root; type: sudo make demo-lan" >&2
	exit 1
fi

say() {
	printf '\n\033[1m%s\033[0m\n' "$*"
}

type_in() {
	printf '\033[36m%s\033[0m\n' "$*"
}

on_nas() { ip netns exec $nas "$@"; }
on_ws() { ip netns exec $ws "$@"; }

cleanup() {
	trap - EXIT INT TERM
	for ns in $nas $ws $lan; do
		pids=$(ip netns pids "$ns" 2>/dev/null) || pids=
		# shellcheck disable=SC2086
		[ -z "$pids" ] || kill -9 $pids 2>/dev/null || true
		ip netns del "$ns" 2>/dev/null || true
	done
	rm -rf "$work" /etc/netns/$nas
}

# wait_for TEXT FILE - until the text stands in the file, at most 10 s
wait_for() {
	for _ in $(seq 200); do
		! grep -q -- "$1" "$2" 2>/dev/null || return 0
		sleep 0.05
	done
	echo "demo: \"$1\" did not come within 10 s; the log:" >&2
	cat "$2" >&2
	exit 1
}

# plug NAMESPACE DEVICE PORT - a cable from there to the switch
plug() {
	ip -n $lan link add "$3" type veth peer name "$2" netns "$1"
	ip -n $lan link set "$3" master br0 up
	ip -n "$1" link set "$2" up
}

# the open ssh session reads its lines from a pipe
in_shell() {
	type_in "nas\$ $*"
	echo "{ $*; } 2>&1; echo over" >&3
	wait_for over shell.out
	grep -v over shell.out | sed 's/^/    /'
	: >shell.out
}

web() { on_ws curl -sS --max-time 5 "$@" http://127.0.0.1:7777/; }

trap cleanup EXIT
trap 'exit 1' INT TERM
cleanup
work=$(mktemp -d)
trap cleanup EXIT
trap 'exit 1' INT TERM
cd "$work"

say "1. A NAS that nobody gave an address, and a workstation with three interfaces"
for ns in $nas $ws $lan; do
	ip netns add "$ns"
	ip -n "$ns" link set lo up
done
ip -n $lan link add br0 type bridge
ip -n $lan link set br0 up
plug $nas eth0 nas
plug $ws eth1 ws
on_nas sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1 \
	net.ipv4.conf.eth0.rp_filter=1
ip -n $ws link add eth0 type veth peer name office
ip -n $ws link add eth2 type veth peer name nothing
for dev in eth0 office eth2; do ip -n $ws link set $dev up; done
ip -n $ws addr add 10.0.0.2/24 dev eth0
ip -n $ws addr add 192.168.7.2/24 dev eth1
ip -n $ws route add default via 10.0.0.1
for host in nas ws; do
	type_in "$host\$ ip -brief addr"
	ip -n culvert-$host -brief addr | grep '^eth' |
		sed 's/^/    /'
done
mkdir -p home/.ssh /etc/netns/$nas
chmod 700 home home/.ssh
ssh-keygen -qt ed25519 -N "" -f user
cp user.pub home/.ssh/authorized_keys
dropbearkey -t ed25519 -f host >/dev/null 2>&1
echo "root:x:0:0:root:$work/home:/bin/sh" >/etc/netns/$nas/passwd
on_nas dropbear -FEs -r host -P pid -p 127.0.0.1:22 >sshd.log 2>&1 &
on_nas python3 "$here/../test/netns/nas.py" eth0 >web.log 2>&1 &
echo "eth0 leads to the office and the world, eth2 nowhere, eth1 to the NAS."
echo "The NAS's web interface and its sshd listen on 127.0.0.1 alone."

say "2. culvert on the NAS; the workstation looks who is there"
client=$("$culvert" genkey c.key)
server=$("$culvert" genkey s.key)
type_in "nas\$ culvert serve lan://67@ --key s.key --peer CLIENTPUB" \
	"--allow tcp://127.0.0.1:80 --allow tcp://127.0.0.1:22 --discoverable"
ip netns exec $nas "$culvert" serve lan://67@ --key s.key --peer "$client" \
	--allow tcp://127.0.0.1:80 --allow tcp://127.0.0.1:22 --discoverable \
	--name demo-nas >server.log 2>&1 &
server_pid=$!
wait_for msg=listening server.log
type_in "ws\$ culvert discover"
on_ws "$culvert" discover

say "3. Its web interface, in the browser of the workstation"
type_in "ws\$ culvert forward tcp://127.0.0.1:7777 tcp://127.0.0.1:80" \
	"via lan://67@ --key c.key --peer SERVERPUB"
"$culvert" forward tcp://127.0.0.1:7777 tcp://127.0.0.1:80 via lan://67@ \
	--key c.key --peer "$server" --name demo-ws --print-config >client.conf
cat >>client.conf <<-CONF

	[Forward ssh]
	From = tcp://127.0.0.1:2222
	To = tcp://127.0.0.1:22
	Via = server
CONF
echo "(and port 2222 for ssh, by a second [Forward] in the same node's file)"
# without CAP_NET_RAW: no privilege is needed here
ip netns exec $ws setpriv --bounding-set=-net_raw --inh-caps=-net_raw \
	"$culvert" run -c client.conf >client.log 2>&1 &
client_pid=$!
wait_for "peer up" client.log
type_in "ws\$ curl http://127.0.0.1:7777/"
web | sed 's/^/    /'
type_in "ws\$ curl -o disk http://127.0.0.1:7777/disk"
on_ws curl -sS -o disk -w '    %{size_download} bytes in %{time_total} s\n' \
	http://127.0.0.1:7777/disk
type_in "ws\$ culvert show"
"$culvert" show demo-ws | grep -A 1 state:

say "4. A shell on it"
type_in "ws\$ ssh -p 2222 root@127.0.0.1"
mkfifo pipe
ip netns exec $ws ssh -T -p 2222 -i user -o BatchMode=yes -o LogLevel=ERROR \
	-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
	root@127.0.0.1 sh <pipe >>shell.out 2>&1 &
ssh_pid=$!
exec 3>pipe
# shellcheck disable=SC2016 # for the shell over there
in_shell 'SINCE=$(date +%T); echo "shell $$ since $SINCE"'

say "5. Its own page gives it an address, and everything goes on"
type_in "ws\$ curl -d address=192.168.7.67/24 http://127.0.0.1:7777/"
web -d address=192.168.7.67/24 | grep address:
type_in "ws\$ ping -c 1 192.168.7.67"
on_ws ping -c 1 -W 2 192.168.7.67 | sed -n 2p
# shellcheck disable=SC2016
in_shell 'echo "still shell $$ since $SINCE"; ip -brief addr show dev eth0'
wait_for "way=unicast interface=eth1" client.log
type_in "ws\$ culvert show"
"$culvert" show demo-ws | grep -A 1 state:

say "6. The cable is pulled out, and put into an interface that was not there"
ip -n $lan link del ws
plug $ws usb0 usb
ip -n $ws addr add 192.168.7.3/24 dev usb0
# shellcheck disable=SC2016
in_shell 'echo "still shell $$ since $SINCE"'
wait_for "interface=usb0" client.log
grep "way chosen" client.log | sed 's/.*way=/    way=/'

say "7. A clean stop"
exec 3>&-
wait "$ssh_pid"
echo "ssh: exit 0"
kill -TERM "$client_pid"
wait "$client_pid"
echo "client: exit 0"
kill -TERM "$server_pid"
wait "$server_pid"
echo "server: exit 0"
say "That was it. Next: doc/lan.md"
