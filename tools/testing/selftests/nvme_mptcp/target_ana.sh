#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# One subsystem on two ports with ANA groups, and what the target tells its hosts unasked (AEN).
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links 2
	target_module mptcp
	subsystem $NQN "$(backing nmtest data)"
}

# ana PORT STATE: of group 1.
ana() { echo "$2" >$NVMET/ports/$1/ana_groups/1/ana_state; }

# The host has one disk with two paths; the state of each is the target's to say.
test_two_ports() {
	local first
	# Each port is an MPTCP connection of its own, with one path.
	ip -n $TARGET_NS mptcp endpoint flush
	port 1 10.0.0.2 4420
	port 2 10.0.1.2 4420
	serve 1
	serve 2
	ana 2 inaccessible
	connect mptcp
	first=$CTRL
	on_host nvme connect -t mptcp -n $NQN -a 10.0.1.2 -s 4420 -o json | jq -r .device >$SCRATCH/second
	wait_for 20 path_state "$first" optimized
	wait_for 20 path_state "$(<$SCRATCH/second)" inaccessible
	goes_by 0
	fio_start --rw=randrw --verify=crc32c --bs=16k --iodepth=4 --size=8m --time_based --runtime=6
	ana 2 optimized
	ana 1 inaccessible
	wait_for 20 path_state "$(<$SCRATCH/second)" optimized
	wait_for 20 path_state "$first" inaccessible
	fio_finish
	goes_by 1
}

# path_state CTRL STATE
path_state() {
	local path
	path=$(find "/sys/class/nvme/$1/" -maxdepth 1 -name 'nvme*n1')
	[[ $(tee /dev/stderr <"$path/ana_state") == "$2" ]]
}

# goes_by NIC: I/O uses that NIC.
goes_by() {
	local before after
	before=$(bytes_sent host "$1")
	verify --bs=64k --size=4m
	after=$(bytes_sent host "$1")
	((after - before > 4 << 20)) || fail "only $((after - before)) bytes went by NIC $1"
}

# The host learns of a new and a removed namespace.
test_namespaces_come_and_go() {
	local dir=$NVMET/subsystems/$NQN/namespaces/2
	port 1
	serve 1
	connect mptcp
	mkdir "$dir"
	backing second data 64 >"$dir/device_path"
	show_namespace "$dir"
	wait_for 20 test -b "${DISK%1}2"
	[[ $(blockdev --getsize64 "${DISK%1}2") == $((64 << 20)) ]]
	echo 0 >"$dir/enable"
	wait_for 20 disk_is_gone "${DISK%1}2"
	verify --bs=64k --size=2m
}
disk_is_gone() { [[ ! -e $1 ]]; }

# The host hears that the discovery log has changed.
test_discovery_log_changes() {
	port 1
	serve 1
	_fabrics_device
	CTRL=$(on_host nvme connect -t mptcp -n nqn.2014-08.org.nvmexpress.discovery -a 10.0.0.2 -s $PORT \
		-o json --keep-alive-tmo=30 | jq -r .device)
	echo 1 >/sys/kernel/tracing/events/nvme/nvme_async_event/enable
	echo >/sys/kernel/tracing/trace
	subsystem $NQN-new
	serve 1 $NQN-new
	wait_for 20 grep "$CTRL: .*NVME_AEN" /sys/kernel/tracing/trace
	echo 0 >/sys/kernel/tracing/events/nvme/nvme_async_event/enable
}

run_tests "$@"
