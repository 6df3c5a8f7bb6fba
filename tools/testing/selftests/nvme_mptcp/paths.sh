#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Paths come and go while I/O runs: no error, no recovery, and the bandwidth follows.
# vm: --nics 4
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

TEST_TIMEOUT=180

setup() {
	links --virtio
	# However the test ends.
	set-link 0 1 2 3 on
	target
}

# Until fio_stop: however long what is looked at meanwhile takes.
load() {
	fio_start --rw=randrw --verify=crc32c --verify_fatal=1 --bs=32k --iodepth=16 --size=32m --time_based --runtime=3600
}

# In whichever direction: what is verified is only read.
_moves() {
	local nic=$1 before
	before=$(_moved "$nic")
	pause 1
	echo "NIC $nic moved $(($(_moved "$nic") - before))"
	(($(_moved "$nic") - before > 50000))
}
_moved() { echo $(($(bytes_sent host "$1") + $(bytes_sent target "$1"))); }

# undisturbed: the controller has not noticed.
undisturbed() {
	[[ $(state) == live && $(recoveries) == 0 ]]
	[[ $(dmesg_count "$CTRL: .*(timed out|[Rr]econnect|error)") == 0 ]]
}

# So slow that the processor is not what is measured.
test_endpoints_come_and_go() {
	local i one four
	limit_rate 10
	ip -n $TARGET_NS mptcp endpoint flush
	connect mptcp
	wait_for 10 has_subflows 1
	one=$(_quick)
	load
	for i in 1 2 3; do
		ip -n $TARGET_NS mptcp endpoint add "$(target_ip $i)" dev tgt$i signal
	done
	wait_for 20 has_subflows 4
	for i in 1 2 3; do
		wait_for 10 _moves $i
	done
	fio_stop
	four=$(_quick)
	note "one path $(mib_s "$one"), four $(mib_s "$four") MiB/s: factor $(ratio "$four" "$one")"
	at_least "$(ratio "$four" "$one")" 2
	load
	for i in $(ip -n $TARGET_NS -j mptcp endpoint show | jq '.[].id'); do
		ip -n $TARGET_NS mptcp endpoint delete id "$i"
	done
	wait_for 20 has_subflows 1
	fio_stop
	undisturbed
}
_quick() {
	fio_run --rw=randwrite --bs=32k --iodepth=32 --norandommap --time_based --ramp_time=2 --runtime=4
	jq '.jobs[0].write.bw' $SCRATCH/fio.json
}

# The NIC of the first subflow, then another, and both come back. They are so slow that all are needed, however slow the machine.
test_pulled_and_put_back() {
	local nic
	limit_rate 10
	connect mptcp
	wait_for 20 has_subflows 4
	load
	for nic in 0 2; do
		wait_for 10 _moves $nic
		set-link $nic off
		wait_for 10 _moves 1
		wait_for 10 _moves 3
		set-link $nic on
		wait_for 30 _moves $nic
	done
	fio_stop
	undisturbed
	verify --bs=64k --size=4m
}

# For less than the time-outs: I/O waits, that is all.
test_all_gone_for_a_moment() {
	connect mptcp --keep-alive-tmo=60
	wait_for 20 has_subflows 4
	load
	wait_for 10 _moves 0
	set-link 0 1 2 3 off
	pause 3
	undisturbed
	set-link 0 1 2 3 on
	wait_for 30 io_runs
	fio_stop
	undisturbed
}

# For longer: it reconnects until they are back; then all is as before, with every path.
test_all_gone_for_longer() {
	connect mptcp --keep-alive-tmo=4 --reconnect-delay=1
	wait_for 20 has_subflows 4
	load
	wait_for 10 _moves 0
	set-link 0 1 2 3 off
	wait_for 40 in_state connecting
	wait_for 20 says "$CTRL: Failed reconnect attempt"
	set-link 0 1 2 3 on
	wait_for 40 in_state live
	wait_for 20 has_subflows 4
	fio_stop
	[[ $(recoveries) == 1 ]]
	verify --bs=64k --size=4m
}

run_tests "$@"
