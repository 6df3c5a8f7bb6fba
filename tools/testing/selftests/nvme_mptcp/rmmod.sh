#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Removing a module that is in use: that of the host takes its controllers along, that of the target is refused.
# debug: target_after_its_port host_under_load
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links
	target
}

# As nvme-tcp: it goes, and takes its controllers along; but where there is lockdep, a socket keeps the module that its lock
# has a name of (sk_owner), also nvme-tcp's. There, it stays and works until its controllers have gone.
host_module_goes() {
	if [[ -e /proc/lockdep ]]; then
		! rmmod nvme_mptcp || fail "removed although its sockets keep it"
		[[ $(state) == live ]]
		disconnect
		wait_for 20 rmmod nvme_mptcp
	else
		rmmod nvme_mptcp
	fi
	[[ -z $(controllers) && ! -e $DISK ]]
	[[ ! -e /sys/module/nvme_mptcp ]]
}

test_host_with_a_controller() {
	connect mptcp
	host_module_goes
	connect mptcp
	verify --bs=64k --size=4m
}

test_host_under_load() {
	connect mptcp
	fio_start --rw=randrw --bs=16k --iodepth=16 --size=64m --time_based --runtime=60
	wait_for 20 io_runs
	host_module_goes
	# It has lost its disk, and ends by itself. If it is told to at that moment it may wait for itself (fio 3.39).
	! wait "$FIO" || fail "the I/O has not noticed that its disk is gone"
	connect mptcp
	verify --bs=64k --size=4m
}

# One that has lost its target, and waits for it.
test_host_that_reconnects() {
	connect mptcp --reconnect-delay=2
	unserve 1
	wait_for 20 in_state connecting
	rmmod nvme_mptcp
	[[ -z $(controllers) && ! -e $DISK ]]
	serve 1
	connect mptcp
	verify --bs=64k --size=4m
}

test_target_with_a_port() {
	! rmmod nvmet_mptcp || fail "removed although a port uses it"
	connect mptcp
	verify --bs=64k --size=4m
}

test_target_under_load() {
	connect mptcp
	fio_start --rw=randrw --bs=16k --iodepth=16 --size=64m --time_based --runtime=5
	wait_for 20 io_runs
	! rmmod nvmet_mptcp || fail "removed although a port uses it"
	fio_finish
}

# Right after the last port has gone, with connections still being torn down.
test_target_after_its_port() {
	local i
	for ((i = 0; i < 3; i++)); do
		connect mptcp
		wait_for 20 has_subflows 4
		unserve 1
		rmmod nvmet_mptcp
		disconnect
		modprobe nvmet_mptcp
		serve 1
	done
}

run_tests "$@"
