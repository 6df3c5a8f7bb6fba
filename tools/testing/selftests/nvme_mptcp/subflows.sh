#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Every connection of a controller has a subflow for each NIC, as both ends see it; on virtio NICs.
# vm: --nics 4
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links --virtio
	target
}

test_four_subflows_everywhere() {
	local nic end queues
	connect mptcp
	wait_for 20 has_subflows 4
	queues=$(queues)
	for end in host target; do
		for nic in 0 1 2 3; do
			[[ $(tcp_connections $end $nic) == "$queues" ]]
		done
	done
	# Three of each connection's subflows joined it.
	[[ $(mib host MPTcpExtMPCapableSYNACKRX) == "$queues" ]]
	[[ $(mib target MPTcpExtMPCapableACKRX) == "$queues" ]]
	[[ $(mib host MPTcpExtMPJoinSynAckRx) == $((3 * queues)) ]]
	[[ $(mib target MPTcpExtMPJoinAckRx) == $((3 * queues)) ]]
	[[ $(mib host MPTcpExtMPCapableFallbackSYNACK) == 0 ]]
	[[ $(mib target MPTcpExtMPCapableFallbackACK) == 0 ]]
}

# Both directions use every NIC, none of them for less than a tenth of the data.
test_data_on_every_nic() {
	local nic end before=()
	limit_rate 25
	connect mptcp
	wait_for 20 has_subflows 4
	for end in host target; do
		for nic in 0 1 2 3; do
			before+=("$(bytes_sent $end $nic)")
		done
	done
	verify --bs=128k --size=32m
	for end in host target; do
		for nic in 0 1 2 3; do
			sent=$(($(bytes_sent $end $nic) - before[0]))
			before=("${before[@]:1}")
			note "$end, NIC $nic: $(mib_s $((sent / 1024))) MiB of 32 sent"
			((sent > (32 << 20) / 10)) || fail "NIC $nic of $end sent $sent bytes only"
		done
	done
}

# The addresses of a port that listens on one of them only are reachable through listeners that
# the endpoints bring: "signal port".
test_port_with_one_address() {
	local nic
	unserve 1
	rmdir $NVMET/ports/1
	on_target ip mptcp endpoint flush
	for nic in 1 2 3; do
		on_target ip mptcp endpoint add "$(target_ip $nic)" dev tgt$nic signal port $PORT
	done
	port 1 "$(target_ip 0)"
	serve 1
	connect mptcp
	wait_for 20 has_subflows 4
	verify --bs=64k
}

test_reset_brings_all_back() {
	connect mptcp
	wait_for 20 has_subflows 4
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	wait_for 20 has_subflows 4
	verify --bs=64k
}

run_tests "$@"
