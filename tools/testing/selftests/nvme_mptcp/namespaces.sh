#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A controller lives in the network namespace of the process that has connected it.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links 2
	target
}

# All its connections are made there, later ones too, by whichever kernel worker.
test_reconnects_there() {
	connect mptcp --reconnect-delay=1
	unserve 1
	wait_for 20 in_state connecting
	serve 1
	wait_for 30 in_state live
	[[ $(connections host | wc -l) == "$(queues)" ]]
	[[ -z $(ss -tHn state established dport = $PORT) ]]
	verify --bs=64k --size=2m
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	[[ $(connections host | wc -l) == "$(queues)" ]]
	wait_for 20 has_subflows 2
	verify --bs=64k --size=2m
}

# It holds the namespace when nobody else does, and lets it go when it goes.
test_outlives_its_name() {
	connect mptcp
	ip netns del $HOST_NS
	verify --bs=64k --size=2m
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	verify --bs=64k --size=2m
	[[ -e /sys/class/net/canary-host ]]
	disconnect
	wait_for 20 _is_gone
}
_is_gone() { [[ ! -e /sys/class/net/canary-host ]]; }

# The same address in another namespace is another target.
test_same_address_elsewhere() {
	local first
	connect mptcp
	first=$CTRL
	ip netns add nvme-other
	ip link add other netns nvme-other type veth peer name tgt9 netns $TARGET_NS
	ip -n nvme-other addr add 10.7.0.1/24 dev other
	ip -n nvme-other link set other up
	ip -n $TARGET_NS addr add 10.7.0.2/24 dev tgt9
	ip -n $TARGET_NS link set tgt9 up
	ip -n nvme-other route add 10.0.0.2 via 10.7.0.2
	FROM=nvme-other connect_raw mptcp
	[[ $CTRL != "$first" && $(state) == live ]]
	[[ $(nsenter --net=/run/netns/nvme-other ss -tHn state established src 10.7.0.1 | wc -l) == "$(queues)" ]]
	verify --bs=64k --size=2m
	# There it is one.
	! FROM=nvme-other _fabrics mptcp || fail "connected twice"
	grep 'already in progress' $SCRATCH/fabrics
	disconnect
	ip netns del nvme-other
}

run_tests "$@"
