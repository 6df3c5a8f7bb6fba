#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A port goes and comes back under load: I/O waits, resumes, and the data are right.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

TEST_TIMEOUT=240

setup() {
	links
	target
}

test_remove_and_restore_under_load() {
	connect mptcp --reconnect-delay=1 --ctrl-loss-tmo=120
	fio_start --rw=randrw --verify=crc32c --bs=16k --iodepth=16 --size=64m --verify_fatal=1 \
		--time_based --runtime=12
	wait_for 20 io_runs
	unserve 1
	wait_for 30 in_state connecting
	serve 1
	wait_for 60 in_state live
	wait_for 20 io_runs
	fio_finish
	wait_for 20 has_subflows 4
	verify --bs=64k
}

test_enable_and_disable_10_times() {
	local i
	for ((i = 0; i < 10; i++)); do
		unserve 1
		serve 1
	done
	connect mptcp
	verify --bs=64k --size=4m
}

run_tests "$@"
