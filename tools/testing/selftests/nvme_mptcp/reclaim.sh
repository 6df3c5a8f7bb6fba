#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Memory that can only be had by writing to the disk, which is on the other side of the network: this goes on to
# the end, whatever the paths and the controller do meanwhile. The target's disk is one of the machine,
# because a null_blk would be memory itself.
# vm: --mem 512M --scratch 4G
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

TEST_TIMEOUT=300

setup() {
	local disk
	links 2
	target_module mptcp
	for disk in /sys/block/*/serial; do
		[[ $(<"$disk") != scratch ]] || break
	done
	[[ $(<"$disk") == scratch ]] || lacks "a disk for tests (scripts/vm --scratch)"
	disk=${disk%/serial}
	subsystem $NQN "/dev/${disk##*/}"
	port 1
	serve 1
	connect mptcp --reconnect-delay=1
	wait_for 20 has_subflows 2
}

memory_mib() { awk '$1 == "MemTotal:" { print int($2 / 1024) }' /proc/meminfo; }
# written: MiB that the controller has written since.
written() { awk '{ print int($7 / 2048) }' "/sys/block/$(path_device)/stat"; }

# A file that is larger than the memory, written through the page cache.
test_dirty_pages() {
	local size=$(($(memory_mib) * 3 / 2))
	mkfs.ext4 -q $DISK
	mkdir $SCRATCH/mnt
	echo 80 >/proc/sys/vm/dirty_ratio
	echo 70 >/proc/sys/vm/dirty_background_ratio
	mount $DISK $SCRATCH/mnt
	fio --name=dirty --directory=$SCRATCH/mnt --rw=write --bs=256k --size=${size}m --end_fsync=1 --verify=crc32c \
		--verify_fatal=1 --output=$SCRATCH/fio.txt || fail "$(<$SCRATCH/fio.txt)"
	note "memory $(memory_mib) MiB, file $size MiB, written $(written) MiB"
	umount $SCRATCH/mnt
	[[ $(recoveries) == 0 ]]
}

swap_on() {
	mkswap -q $DISK
	swapon $DISK
}
_swaps() {
	local before now
	before=$(awk '$1 == "pswpout" { print $2 }' /proc/vmstat)
	pause 0.5
	now=$(awk '$1 == "pswpout" { print $2 }' /proc/vmstat)
	echo "$before to $now pages swapped out"
	((now > before))
}

test_swap() {
	local size=$(($(memory_mib) * 3 / 2))
	swap_on
	"$_LIB/../peer/hog.py" $size 2
	note "memory $(memory_mib) MiB, used $size MiB, swapped out $(written) MiB"
	swapoff $DISK
	[[ $(recoveries) == 0 ]]
}

run_tests "$@"
