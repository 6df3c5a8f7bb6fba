#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Peers whose PDUs are mutated at random (peer/fuzz_*.py), beside a good one that must not notice.
#
#	FUZZ_COUNT	mutated PDUs a side, 3000 unless told
#	FUZZ_SEED	decides what is sent; 1 unless told
#	FUZZ_CASE	begin with that case, in one process: what was found is found again so
#
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

FUZZ_COUNT=${FUZZ_COUNT:-3000}
FUZZ_SEED=${FUZZ_SEED:-1}
TEST_TIMEOUT=$((200 + FUZZ_COUNT / 20))

setup() {
	links 1
	target
	connect mptcp --keep-alive-tmo=60
	GOOD=$CTRL
	good_peer &
	GOOD_PEER=$!
	# The kernel's log is too short for what is said meanwhile, and too long to be read again and again.
	grep -aE --line-buffered -A 30 -- "$COMPLAINTS|$GOOD: starting error recovery" < <(dmesg --follow-new) \
		>"$SCRATCH/complaints" &
	dmesg -n 2
}

good_peer() {
	until [[ -e $SCRATCH/stop ]]; do
		fio_run --rw=randrw --verify=crc32c --verify_fatal=1 --bs=16k --iodepth=4 --size=2m --rate_iops=40
	done
}

# fuzz PROGRAM NQN PORT...: until the mutated PDUs have been sent, by a process for each PORT.
fuzz() {
	local program=$1 nqn=$2 worker pids=() pid line
	shift 2
	[[ -z ${FUZZ_CASE:-} ]] || set -- "$1"
	PROGRAM=${program#fuzz_}
	progress "$program: seed $FUZZ_SEED, $FUZZ_COUNT mutated PDUs, $# processes"
	for ((worker = 0; worker < $#; worker++)); do
		on_host "$_LIB/../peer/$program.py" "$ADDRESS" "${@:worker + 1:1}" "$nqn" "$FUZZ_SEED" \
			$((FUZZ_COUNT / $#)) "${FUZZ_CASE:-$worker}" $# >"$SCRATCH/worker.$worker" &
		pids+=($!)
	done
	line=$SECONDS
	while _any_of "${pids[@]}"; do
		the_kernel_is_well
		kill -0 "$GOOD_PEER" || fail "the good peer has ended"
		pause 1
		((SECONDS - line < 60)) || { line=$SECONDS && progress "$(_so_far)"; }
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	note "seed $FUZZ_SEED: $(_so_far)"
	# Not only in what a connection survives.
	tail -qn 1 "$SCRATCH"/worker.* | awk '{ pdus += $4; broken += $6 } END { exit broken < pdus / 100 }'
}
_any_of() {
	local pid
	for pid; do
		! kill -0 "$pid" 2>/dev/null || return 0
	done
	return 1
}
_so_far() {
	tail -qn 1 "$SCRATCH"/worker.* | awk '{ pdus += $4; broken += $6; connections += $8; cases = cases " " $2 }
		END { print pdus + 0 " mutated PDUs (" broken + 0 " of them wrong anywhere), " connections + 0 " connections, last cases" cases }'
}

the_kernel_is_well() {
	[[ ! -s $SCRATCH/complaints ]] ||
		fail "$(_so_far); again: FUZZ_SEED=$FUZZ_SEED FUZZ_CASE=$(_suspect) FUZZ_COUNT=1000 scripts/test fuzz:$PROGRAM
$(head -n 31 "$SCRATCH/complaints")"
}
# The kernel's log is looked at once a second. It has not been a case before this one.
_suspect() { awk '{ at[FILENAME, FNR] = $2; last[FILENAME] = FNR } END { for (file in last) {
	i = last[file] > 8 ? last[file] - 8 : 1; n = at[file, i]; if (least == "" || n < least) least = n } print least + 0 }' "$SCRATCH"/worker.*; }

all_is_well() {
	touch "$SCRATCH/stop"
	wait "$GOOD_PEER" || fail "the good peer has seen wrong data, or an error"
	the_kernel_is_well
	[[ $(state) == live ]]
	verify --bs=64k --size=4m
	dmesg -n 8
}

test_target() {
	local nqn=$NQN-fuzz before
	subsystem $nqn "$(backing nmfuzz data 64)"
	serve 1 $nqn
	before=$(target_residue)
	ADDRESS=$(target_ip 0)
	fuzz fuzz_target $nqn $PORT $PORT $PORT $PORT
	all_is_well
	wait_for 60 _target_is_as "$before"
}

# These targets are in the namespace of the host.
test_host() {
	modprobe nvme_core
	ADDRESS=$(host_ip 0)
	core_timeouts 30 5
	fuzz fuzz_host nqn.2026-01.io.nvme-mptcp:fuzz 4431 4432 4433 4434
	usual_timeouts
	wait_for 60 only_the_good_one
	all_is_well
}
only_the_good_one() {
	controllers
	[[ $(controllers) == "$GOOD" ]]
}

run_tests "$@"
