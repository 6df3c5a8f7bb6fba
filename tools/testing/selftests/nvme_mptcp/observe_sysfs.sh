#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What a controller tells in its attributes, and in the kernel's log when its paths come and go.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

is() { [[ $(attr "$1") == "$2" ]] || { echo "$1 is $(attr "$1")" && return 1; }; }

_attributes() { (cd "/sys/class/nvme/$CTRL" && find . -type f | grep -v '/nvme\|power/' | sort); }

# Everything that a controller of nvme-tcp has but for TLS, and ours.
test_beside_those_of_the_core() {
	local ours
	links
	target
	connect tcp
	_attributes >$SCRATCH/tcp
	disconnect
	connect mptcp
	_attributes >$SCRATCH/mptcp
	ours=$(comm -13 $SCRATCH/tcp $SCRATCH/mptcp | xargs)
	[[ $ours == './mptcp_congestion ./mptcp_fallback ./mptcp_policy ./mptcp_subflows' ]] || fail "ours: $ours"
	[[ -z $(comm -23 $SCRATCH/tcp $SCRATCH/mptcp | grep -v /tls) ]] ||
		fail "missing: $(comm -23 $SCRATCH/tcp $SCRATCH/mptcp)"
	[[ $(attr transport) == mptcp ]]
}

test_paths() {
	local lost id
	links
	target
	connect mptcp
	wait_for 20 is mptcp_subflows 4
	is mptcp_fallback none
	is mptcp_policy prefer
	is mptcp_congestion "$(</proc/sys/net/ipv4/tcp_congestion_control)"
	wait_for 20 says "$CTRL: connected: $(queues) queues over 4 paths"

	id=$(ip -n $TARGET_NS -j mptcp endpoint show | jq ".[] | select(.address == \"$(target_ip 3)\").id")
	ip -n $TARGET_NS mptcp endpoint delete id "$id"
	lost="path $(host_ip 3) - $(target_ip 3)"
	wait_for 20 is mptcp_subflows 3
	wait_for 20 says "$CTRL: $lost lost, 3 paths left"
	ip -n $TARGET_NS mptcp endpoint add "$(target_ip 3)" dev tgt3 signal
	wait_for 20 is mptcp_subflows 4
	wait_for 20 says "$CTRL: $lost back, 4 paths now"

	# Once each, though each queue has lost it and has it again.
	[[ $(messages '^path|^connected' | wc -l) == 3 ]] || fail "$(messages .)"
}

# One more than before is new, not back; and a reset begins anew.
test_new_path() {
	links
	target
	ip -n $TARGET_NS mptcp endpoint flush
	connect mptcp
	wait_for 20 says "$CTRL: connected: $(queues) queues over 1 path\$"
	is mptcp_subflows 1
	is mptcp_fallback none
	ip -n $TARGET_NS mptcp endpoint add "$(target_ip 2)" dev tgt2 signal
	wait_for 20 says "$CTRL: path $(host_ip 2) - $(target_ip 2) new, 2 paths now"
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	wait_for 20 says "$CTRL: connected: $(queues) queues over 2 paths"
	[[ $(messages '^path|^connected' | wc -l) == 3 ]] || fail "$(messages .)"
}

# A cable is pulled: the subflows are still there, but the path does not deliver.
test_dead_path() {
	links
	target
	connect mptcp
	wait_for 20 says "$CTRL: connected: .* 4 paths"
	fio_start --rw=randrw --bs=16k --iodepth=16 --size=32m --time_based --runtime=60
	wait_for 20 io_runs
	tc -n $HOST_NS qdisc add dev host1 root netem loss 100%
	tc -n $TARGET_NS qdisc add dev tgt1 root netem loss 100%
	wait_for 60 says "$CTRL: path $(host_ip 1) - $(target_ip 1) lost, 3 paths left"
	is mptcp_subflows 3
	tc -n $HOST_NS qdisc del dev host1 root
	tc -n $TARGET_NS qdisc del dev tgt1 root
	wait_for 60 says "$CTRL: path $(host_ip 1) - $(target_ip 1) back, 4 paths now"
	fio_stop
	[[ $(recoveries) == 0 ]]
}

test_without_mptcp() {
	links 2
	target --module tcp
	modprobe nvme_mptcp congestion=reno
	connect mptcp
	is mptcp_fallback peer
	is mptcp_subflows 1
	is mptcp_congestion reno
	wait_for 20 says "$CTRL: connected: $(queues) queues over 1 path\$"
	[[ $(messages 'does not speak MPTCP|lost|^connected' | wc -l) == 2 ]] || fail "$(messages .)"
}

# The policy is that of the connections that there are.
test_policy() {
	links 2
	target
	modprobe nvme_mptcp require_mptcp=1
	connect mptcp
	is mptcp_policy require
	host_parameter require_mptcp 0
	is mptcp_policy require
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	is mptcp_policy prefer
}

# Something drops every SYN that asks for MPTCP: the first connection finds out, the next do not try.
test_dropped() {
	links 2
	target
	on_host nft add table inet hole '{ chain output { type filter hook output priority 0;
		tcp option mptcp exists tcp flags & syn != 0 drop; }; }'
	connect mptcp --nr-io-queues=1
	[[ $(value fallback "$(queue_file 0)") == dropped ]]
	[[ $(value fallback "$(queue_file 1)") == blackhole ]]
	is mptcp_fallback blackhole
	is mptcp_subflows 1
}

run_tests "$@"
