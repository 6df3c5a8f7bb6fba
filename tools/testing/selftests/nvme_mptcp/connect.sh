#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A controller from connect to disconnect, with the tools that administrators use.
# debug: all
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links 1
	target
}

test_identify() {
	connect mptcp
	[[ $(state) == live ]]
	[[ $(nvme id-ctrl /dev/$CTRL -o json | jq -r .subnqn) == "$NQN" ]]
	[[ $(nvme id-ns $DISK -o json | jq .nsze) == $(cat /sys/block/nmtest/size) ]]
}

test_list() {
	connect mptcp
	nvme list -o json >$SCRATCH/list
	grep -F "$DISK" $SCRATCH/list
	nvme list-subsys -o json >$SCRATCH/subsys
	jq -e --arg ctrl "$CTRL" '[.. | objects | select(.Name? == $ctrl)][0] |
		.Transport == "mptcp" and .State == "live"' $SCRATCH/subsys
	jq -r '.. | .Address? // empty' $SCRATCH/subsys |
		grep -x "traddr=10.0.0.2,trsvcid=4420,src_addr=10.0.0.1"
}

test_disconnect() {
	connect mptcp
	nvme disconnect -n $NQN
	[[ -z $(controllers) ]]
	[[ ! -e $DISK ]]
	wait_for 10 _no_connections
}
_no_connections() { ! on_host ss -tHn state established | grep .; }

test_connect_again_and_again() {
	local i
	for ((i = 0; i < 10; i++)); do
		connect mptcp
		disconnect
	done
}

test_connect_twice_is_refused() {
	connect mptcp
	! on_host nvme connect -t mptcp -n $NQN -a 10.0.0.2 -s $PORT || fail "connected twice"
	[[ $(controllers) == "$CTRL" ]]
}

test_reset() {
	connect mptcp
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	verify --bs=64k --size=4m
}

test_ipv6() {
	local FAMILY=6
	unserve 1
	rmdir $NVMET/ports/1
	port 1 ::
	serve 1
	connect mptcp
	verify --bs=64k --size=4m
}

test_nobody_there() {
	unserve 1
	connect_fails refused mptcp
}

run_tests "$@"
