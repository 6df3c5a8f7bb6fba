#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Without MPTCP: what the parameter require_mptcp makes of it, and that losing it later is noticed.
# debug: lost_later
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() { links 2; }

# The parameter holds for every connection that is made from then on, at a reconnect too.
test_require_mptcp() {
	target --module tcp
	modprobe nvme_mptcp
	host_parameter require_mptcp 1
	connect_fails 'Protocol not supported' mptcp
	says 'queue 0: require_mptcp is set, but there is no MPTCP with 10.0.0.2:4420: error -93'
	host_parameter require_mptcp 0
	connect mptcp --reconnect-delay=1
	says "$CTRL: 10.0.0.2:4420 does not speak MPTCP"
	host_parameter require_mptcp 1
	nvme reset /dev/$CTRL || true
	wait_for 20 in_state connecting
	host_parameter require_mptcp 0
	wait_for 20 in_state live
	verify --bs=64k --size=2m
	# Said once a controller, however often it connects.
	[[ $(dmesg_count 'does not speak MPTCP') == 1 ]]
}

test_require_mptcp_with_mptcp() {
	target
	modprobe nvme_mptcp
	host_parameter require_mptcp 1
	connect mptcp
	verify --bs=64k --size=2m
	[[ $(dmesg_count 'MPTCP: one path|lost MPTCP|does not speak MPTCP') == 0 ]]
}

# What a middlebox does that begins to remove MPTCP's options. With a second subflow the connection would lose
# this one; with a single one it goes on as plain TCP.
test_lost_later() {
	local end
	on_host ip mptcp limits set subflows 0 add_addr_accepted 0
	# MPTCP gives up a connection that it has already sent something on again, which it does when its acknowledgements (they are
	# removed as well) are missed for as long as TCP waits for its own: 0.2 s, too short for a slow kernel.
	for end in host target; do
		"on_$end" sysctl -qw net.ipv4.tcp_rto_min_us=5000000
	done
	target
	connect mptcp --nr-io-queues=1
	verify --bs=64k --size=2m
	on_host nft add table inet strip '{ chain output { type filter hook output priority 0;
		tcp dport 4420 tcp flags & syn == 0 reset tcp option mptcp; }; }'
	# One command and its answer first.
	dd if="$DISK" of=/dev/null bs=4k count=1 iflag=direct
	fio_start --rw=randrw --verify=crc32c --verify_fatal=1 --bs=16k --iodepth=4 --size=4m --time_based --runtime=4
	wait_for 10 says "$CTRL: a connection has lost MPTCP"
	wait_for 10 _lost 1
	[[ $(attr mptcp_fallback) == lost ]]
	fio_finish
	wait_for 20 _lost 0
	[[ $(dmesg_count 'has lost MPTCP') == 1 ]]
	[[ $(recoveries) == 0 ]]
	verify --bs=64k --size=2m
	# It comes back with a new connection.
	on_host nft flush ruleset
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	verify --bs=64k --size=2m
	[[ $(dmesg_count 'lost MPTCP|does not speak MPTCP') == 1 ]]
	[[ $(attr mptcp_fallback) == none ]]
}
_lost() {
	local file
	file=$(queue_file "$1")
	[[ $(value fallback "$file") == lost && $(value transport "$file") == tcp ]]
}

run_tests "$@"
