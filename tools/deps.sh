#!/bin/sh
# SPDX-License-Identifier: MIT
# deps.sh [PACKAGE...] - install what building and testing need on Debian 12,
# and the packages named, if they are missing
set -eu
want="gcc g++ meson ninja-build pkg-config libev-dev libssl-dev libc-ares-dev
	libseccomp-dev libcmocka-dev iproute2 iperf3 dnsmasq-base
	bind9-dnsutils nftables python3 python3-cryptography
	python3-prometheus-client mandoc zsh fish ethtool procps clang-format
	clang-tidy cppcheck shellcheck microsocks tinyproxy-bin udptunnel
	curl openssh-client dropbear-bin iputils-ping"
missing=
for p in $want "$@"; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null |
		grep -q '^install ok installed$' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
	echo "deps: missing packages:$missing; run as root:" \
		"apt-get install$missing" >&2
	exit 1
fi
echo "deps: installing$missing"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
