#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Hosts vanish, subsystems, ports and modules go: the target keeps nothing of them, and the
# others do not notice.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links 1
	target
	BEFORE=$(target_residue)
}

# In the middle of reads, of writes whose data the target waits for, and of a PDU.
test_hosts_close() {
	peer hostile leave close
	target_gets_rid "$BEFORE"
}

test_hosts_reset() {
	peer hostile leave reset
	target_gets_rid "$BEFORE"
}

# Nothing more is heard of them, not even the end of their connections: their keep-alive time ends.
test_hosts_are_silent() {
	peer hostile leave silent >$SCRATCH/peer &
	wait_for 30 grep ready $SCRATCH/peer
	ip -n $HOST_NS link set host0 down
	wait_for 60 _target_is_as "$BEFORE"
	[[ $(dmesg_count 'ctrl [0-9]* keep-alive timer .* expired') == 4 ]]
	ip -n $HOST_NS link set host0 up
	target_gets_rid "$BEFORE"
}

# The controller whose host breaks the protocol ends, with all its connections; another does not notice.
test_fatal_error_ends_one_controller() {
	connect mptcp
	fio_start --rw=randrw --verify=crc32c --bs=16k --iodepth=4 --size=16m --time_based --runtime=5
	peer hostile leave fatal
	says 'nvmet: ctrl [0-9]* fatal error'
	fio_finish
	[[ $(state) == live ]]
	! says "$CTRL: starting error recovery" || fail "the other controller has noticed"
	disconnect
	target_gets_rid "$BEFORE"
}

# One of two subsystems of a port.
test_subsystem_unlinked_under_load() {
	local other=$NQN-other first fio
	subsystem $other "$(backing other data)"
	serve 1 $other
	connect mptcp
	first=$CTRL
	fio_start --rw=randrw --verify=crc32c --bs=16k --iodepth=4 --size=16m --time_based --runtime=10
	fio=$FIO
	CTRL=$(on_host nvme connect -t mptcp -n $other -a 10.0.0.2 -s $PORT -c $((5 * SLOW)) -o json | jq -r .device)
	wait_for_disk
	fio_start --rw=randrw --verify=crc32c --bs=16k --iodepth=4 --size=16m --time_based --runtime=4 \
		--output=$SCRATCH/other.json
	pause 1
	unserve 1 $other
	wait_for 20 in_state connecting
	CTRL=$first in_state live
	serve 1 $other
	wait_for 60 in_state live
	fio_finish
	FIO=$fio fio_finish
	! says "$first: starting error recovery" || fail "the other subsystem has noticed"
	disconnect
	disconnect "$first"
	unserve 1 $other
	target_gets_rid "$BEFORE"
}

test_module_goes_while_hosts_connect() {
	local i
	for ((i = 0; i < 3; i++)); do
		peer hostile storm 1000 >>$SCRATCH/storm 2>&1 &
		wait_for 20 _has_connections
		unserve 1
		rmmod nvmet_mptcp
		wait $!
		modprobe nvmet_mptcp
		serve 1
	done
	connect mptcp
	verify --bs=64k --size=2m
	disconnect
	target_gets_rid "$BEFORE"
}
_has_connections() { on_target ss -MHn state established | grep . >/dev/null; }

# Paths come and go during I/O: those that the target announces, and NICs that fail.
test_paths_come_and_go() {
	target_clean
	links_clean
	links 3
	ip -n $TARGET_NS mptcp endpoint flush
	target
	connect mptcp
	fio_start --rw=randrw --verify=crc32c --bs=16k --iodepth=8 --size=16m --time_based --runtime=12
	wait_for 20 has_subflows 1
	ip -n $TARGET_NS mptcp endpoint add 10.0.1.2 dev tgt1 signal id 11
	wait_for 20 has_subflows 2
	ip -n $TARGET_NS mptcp endpoint add 10.0.2.2 dev tgt2 signal id 12
	wait_for 20 has_subflows 3
	ip -n $TARGET_NS mptcp endpoint delete id 11
	wait_for 20 has_subflows 2
	# The NIC of the first subflow fails for a moment.
	ip -n $HOST_NS link set host0 down
	pause 1
	ip -n $HOST_NS link set host0 up
	fio_finish
	[[ $(state) == live ]]
	! says "starting error recovery" || fail "the controller has noticed"
}

run_tests "$@"
