# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# For tests that do the same many times: I/O that goes on meanwhile, and what must be afterwards as it was before.

# verify_meanwhile: writes, reads back and checks a region of $DISK again and again, until verify_ends, which fails if
# there was an error or wrong data.
verify_meanwhile() {
	_verify_until_told &
	VERIFIER=$!
	wait_for 20 io_runs
}
_verify_until_told() {
	local rounds=0
	until [[ -e $SCRATCH/stop ]]; do
		fio --name=storm --filename="$DISK" --direct=1 --ioengine=libaio --aux-path="$SCRATCH" --rw=randrw \
			--verify=crc32c --verify_fatal=1 --bs=16k --iodepth=8 --size=4m --output="$SCRATCH/storm"
		rounds=$((rounds + 1))
		echo $rounds >"$SCRATCH/rounds"
	done
}
verify_ends() {
	kill -0 "$VERIFIER" || fail "the I/O has ended before: $(tail -n 5 "$SCRATCH/storm")"
	touch "$SCRATCH/stop"
	wait "$VERIFIER" || fail "wrong data, or an error: $(tail -n 5 "$SCRATCH/storm")"
	note "$(<"$SCRATCH/rounds") rounds of I/O were verified"
	rm "$SCRATCH/stop"
}

# footprint: what the kernel has because of us: sockets of both ends, and references of the modules. Remember it, and
# footprint_is "$BEFORE" waits until it is that again.
footprint() {
	local end module
	for end in host target; do
		# shellcheck disable=SC2016 # awk's
		"on_$end" awk -v end=$end '$1 ~ /^(MP)?TCP(v6)?$/ { printf "%s %s %s, ", end, $1, $3 }' /proc/net/protocols
		"on_$end" awk -v end=$end '$1 == "TCP:" { printf "%s in use %s, orphans %s; ", end, $3, $5 }' /proc/net/sockstat
	done
	for module in nvme_mptcp nvmet_mptcp; do
		[[ ! -e /sys/module/$module ]] || printf '%s %s; ' $module "$(cat /sys/module/$module/refcnt)"
	done
	echo
}
footprint_is() { wait_for 90 _footprint_is "$1"; }
_footprint_is() {
	printf 'before: %s\nnow: %s\n' "$1" "$(footprint)"
	[[ $(footprint) == "$1" ]]
}

# memory: KiB of the kernel's objects that are in use. no_more_memory BEFORE [KIB]: it is not more than that much more.
# Each of a hundred times may leave a page or two in some cache; a queue or a controller is far larger.
memory() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	awk 'NR > 2 && $1 ~ /^(kmalloc|TCP|MPTCP|request_sock|sock_inode|skbuff|blkdev|bio|net_namespace|dma-kmalloc)/ {
		bytes += $2 * $4 } END { print int(bytes / 1024) }' /proc/slabinfo
}
no_more_memory() { wait_for 60 _no_more_memory "$1" "${2:-2048}"; }
_no_more_memory() {
	local now
	now=$(memory)
	echo "$1 KiB before, $now KiB now"
	((now - $1 <= $2))
}

# repeat COUNT COMMAND...: so many times, with a sign of life.
repeat() {
	local count=$1 i
	shift
	for ((i = 1; i <= count; i++)); do
		"$@"
		((i % 25)) || progress "$i of $count times $1"
	done
}

# pick VARIABLE WORD...: sets it to one of these at random, as $SOAK_SEED decides. (A subshell has random numbers of its own.)
pick() {
	local -n _picked=$1
	shift
	# shellcheck disable=SC2034 # a reference
	_picked=${*:RANDOM % $# + 1:1}
}
