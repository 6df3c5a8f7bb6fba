#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Allocations that fail: each in turn where a system call does the work, at random where the kernel's workers do. All ends
# in a clean error, and what is tried afterwards works. Needs fault injection, thus KERNEL=debug.
#
#	FAULT_ROUNDS	of failures at random, 20 unless told
#
# set: faults
# debug: add_port
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
TEST_TIMEOUT=600

FAULT_ROUNDS=${FAULT_ROUNDS:-20}
readonly FAULTS="/sys/kernel/debug/failslab /sys/kernel/debug/fail_page_alloc"

setup() {
	[[ -e /sys/kernel/debug/failslab ]] || lacks "fault injection (CONFIG_FAILSLAB)"
	links 1
	target
	modprobe nvme_mptcp
	_fabrics_device
	dmesg --follow-new >"$SCRATCH/kernel" &
	no_faults
}

# faults_of MODULE: only allocations count that are made on behalf of it.
faults_of() {
	local dir start end
	read -r start end < <(awk -v module="[$1]" '$4 == module && $2 ~ /[tT]/ { print $1 }' /proc/kallsyms | sort |
		sed -n '1p;$p' | paste -sd' ')
	for dir in $FAULTS; do
		echo 32 >"$dir/stacktrace-depth"
		echo "0x$start" >"$dir/require-start"
		echo "0x$end" >"$dir/require-end"
		echo N >"$dir/ignore-gfp-wait"
		echo 0 >"$dir/probability"
		echo -1 >"$dir/times"
		echo 2 >"$dir/verbose"
		echo 0 >"$dir/verbose_ratelimit_interval_ms"
	done
	echo 0 >/sys/kernel/debug/fail_page_alloc/min-order
	echo N >/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem
}

# fail_one_of NUMBER: one of the next NUMBER allocations. no_faults: no more.
fail_one_of() {
	local dir
	for dir in $FAULTS; do
		echo "$1" >"$dir/interval"
		echo 1 >"$dir/times"
		echo 100 >"$dir/probability"
	done
}
no_faults() {
	local dir
	for dir in $FAULTS; do
		echo 0 >"$dir/probability"
	done
}

# fail_each UNDO CALL...: see peer/fail_nth.py.
fail_each() {
	on_host "$_LIB/../peer/fail_nth.py" "$@" >"$SCRATCH/calls"
	note "$(grep -c . "$SCRATCH/calls") calls: $(awk '{ n[$2]++ } END { for (r in n) printf "%d %s, ", n[r], r }' "$SCRATCH/calls")"
	(($(grep -cv succeeded "$SCRATCH/calls") > 3)) || fail "hardly anything has failed"
	tell_places
}

# Where allocations have failed, by the innermost function of ours.
tell_places() {
	awk '/FAULT_INJECTION: forcing/ { look = 1 } look && match($0, /[^ ]+\+0x[0-9a-f]+\/0x[0-9a-f]+ \[nvmet?_mptcp\]/) {
		split(substr($0, RSTART, RLENGTH), f, "+"); n[f[1]]++; look = 0 }
		END { for (name in n) print n[name], name }' "$SCRATCH/kernel" | sort -rn >"$SCRATCH/places"
	note "failed in $(grep -c . "$SCRATCH/places") functions: $(paste -sd, "$SCRATCH/places")"
}

all_works() {
	no_faults
	connect mptcp
	verify --bs=64k --size=1m
	disconnect
}

test_connect() {
	local options
	options="nqn=$NQN,transport=mptcp,traddr=10.0.0.2,trsvcid=$PORT,hostnqn=$(</etc/nvme/hostnqn),hostid=$(</etc/nvme/hostid)"
	faults_of nvme_mptcp
	fail_each "nvme disconnect -n $NQN" write /dev/nvme-fabrics "$options,nr_io_queues=1,queue_size=16"
	[[ -z $(controllers) ]]
	all_works
}

test_add_port() {
	unserve 1
	faults_of nvmet_mptcp
	fail_each "rm $NVMET/ports/1/subsystems/$NQN" link $NVMET/subsystems/$NQN $NVMET/ports/1/subsystems/$NQN
	serve 1
	all_works
}

# A listener that cannot make a connection of what it has accepted drops it, and goes on.
test_accept() {
	local i
	faults_of nvmet_mptcp
	for ((i = 1; i <= FAULT_ROUNDS; i++)); do
		fail_one_of $i
		peer protocol data_in_capsule >>"$SCRATCH/peer" 2>&1 || true
	done
	tell_places
	no_faults
	peer protocol data_in_capsule data_by_r2t
	all_works
}

# at_random COMMAND...: each time with another failure to come. What it says does not matter.
at_random() {
	local i
	for ((i = 1; i <= FAULT_ROUNDS; i++)); do
		fail_one_of $((i * 2))
		"$@" >>"$SCRATCH/said" 2>&1 || true
		no_faults
		[[ -n $(controllers) ]] || connect mptcp --reconnect-delay=1
		wait_for 60 in_state live
	done
	tell_places
	[[ -s $SCRATCH/places ]] || fail "no allocation has failed"
}

some_io() { dd if=/dev/zero of="$DISK" bs=64k count=8 oflag=direct; }
test_io_of_the_host() {
	connect mptcp --reconnect-delay=1
	faults_of nvme_mptcp
	at_random some_io
	disconnect
	all_works
}
test_io_of_the_target() {
	connect mptcp --reconnect-delay=1
	faults_of nvmet_mptcp
	at_random some_io
	disconnect
	all_works
}

a_reset() { nvme reset /dev/"$CTRL"; }
test_reset() {
	connect mptcp --reconnect-delay=1
	faults_of nvme_mptcp
	at_random a_reset
	disconnect
	all_works
}

test_disconnect() {
	local i
	faults_of nvme_mptcp
	for ((i = 1; i <= FAULT_ROUNDS; i++)); do
		connect mptcp
		fail_one_of $i
		disconnect
		no_faults
		[[ -z $(controllers) ]]
	done
	all_works
}

run_tests "$@"
