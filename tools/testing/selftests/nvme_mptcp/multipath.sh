#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# NVMe's own multipath on top: two controllers to one subsystem, through two ports.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

TEST_TIMEOUT=180

setup() {
	local first
	links 2
	target
	port 2 0.0.0.0 4421
	serve 2
	connect mptcp --reconnect-delay=1
	first=$DISK
	FIRST=$CTRL
	connect mptcp -s 4421 --reconnect-delay=1
	SECOND=$CTRL
	[[ $DISK == "$first" ]]
}

# used: the ports of the target that have had writes, as "4420" or "4420 4421", by a write now.
used() {
	local port before=() after=() i=0
	for port in 4420 4421; do
		before+=("$(_received $port)")
	done
	fio_run --rw=randwrite --bs=64k --iodepth=8 --size=8m
	for port in 4420 4421; do
		after[i]=$(_received $port)
		((after[i] - before[i] < 1000000)) || echo $port
		i=$((i + 1))
	done
}
_received() {
	on_target ss -MHnOi state established src "10.0.0.2:$1" | sed -n 's/.*bytes_received:\([0-9]*\).*/\1/p' |
		paste -sd+ | sed 's/^$/0/' | bc
}

ana() { echo "$2" >$NVMET/ports/"$1"/ana_groups/1/ana_state; }
_ana_is() {
	CTRL=$1 path_device
	[[ $(cat "/sys/block/$(CTRL=$1 path_device)/ana_state") == "$2" ]]
}

# The host goes where the target wants it, during I/O.
test_ana_states() {
	[[ $(nvme list-subsys -o json | jq '[.. | .Paths? // empty | .[]] | length') == 2 ]]
	fio_start --rw=randrw --verify=crc32c --verify_fatal=1 --bs=16k --iodepth=8 --size=8m --offset=64m \
		--time_based --runtime=12
	ana 1 inaccessible
	wait_for 20 _ana_is "$FIRST" inaccessible
	[[ $(used) == 4421 ]]
	ana 1 optimized
	ana 2 non-optimized
	wait_for 20 _ana_is "$FIRST" optimized
	wait_for 20 _ana_is "$SECOND" non-optimized
	[[ $(used) == 4420 ]]
	ana 2 optimized
	ana 1 change
	wait_for 20 _ana_is "$FIRST" change
	[[ $(used) == 4421 ]]
	ana 1 optimized
	fio_finish
	[[ $(recoveries) == 0 ]]
}

test_round_robin() {
	echo round-robin >"$(echo /sys/class/nvme-subsystem/*/iopolicy)"
	[[ $(used) == 4420$'\n'4421 ]]
}

test_fail_over() {
	local port
	fio_start --rw=randrw --verify=crc32c --verify_fatal=1 --bs=16k --iodepth=8 --size=16m --time_based --runtime=14
	for port in 1 2; do
		[[ $port == 1 ]] && CTRL=$FIRST || CTRL=$SECOND
		unserve $port
		wait_for 20 in_state connecting
		wait_for 20 io_runs
		serve $port
		wait_for 30 in_state live
	done
	fio_finish
	verify --bs=64k --size=2m
}

run_tests "$@"
