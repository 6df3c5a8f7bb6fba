#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Four equal NICs carry at least 3.4 times what nvme-tcp gets out of one, in the same run. They are slow,
# so that the processor is not what is measured (on the debug kernel it would be); and on a clock of their own, however busy the machine is.
# vm: --counted
# kernel: stock
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

TEST_TIMEOUT=180
readonly WANTED=3.4

setup() {
	links
	limit_rate 25
	target void
}

compare() {
	local one four
	connect tcp
	one=$(bandwidth "$1")
	disconnect
	connect mptcp
	wait_for 20 has_subflows 4
	four=$(bandwidth "$1")
	note "$1: $(mib_s "$one") MiB/s by nvme-tcp on one NIC," \
		"$(mib_s "$four") by mptcp on four: $(ratio "$four" "$one")"
	at_least "$(ratio "$four" "$one")" $WANTED || fail "less than $WANTED times"
}

test_read() {
	compare read
}

test_write() {
	compare write
}

run_tests "$@"
