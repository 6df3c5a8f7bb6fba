#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Commands other than reads and writes, and those of unusual size.
# debug: all
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

# backing_stat FIELD: of the target's disk (Documentation/block/stat.rst): 5 writes, 12 discards, 16 flushes.
backing_stat() { awk -v field="$1" '{ print $field }' /sys/block/nmtest/stat; }

# A disk with a write cache and discard.
setup() {
	local dir=$NULLB/nmtest
	links 1
	target_module mptcp
	modprobe null_blk nr_devices=0
	mkdir $dir
	echo 1 >$dir/memory_backed
	echo 64 >$dir/size
	echo 16 >$dir/cache_size
	echo 1 >$dir/discard
	echo 1 >$dir/power
	subsystem $NQN "$(_backing_path nmtest)"
	port 1
	serve 1
}

test_flush() {
	local before
	connect mptcp
	before=$(backing_stat 16)
	nvme flush $DISK
	(($(backing_stat 16) > before))
	before=$(backing_stat 16)
	fio_run --rw=write --bs=4k --size=64k --fsync=1
	(($(backing_stat 16) - before >= 10))
}

test_discard_and_write_zeroes() {
	local before
	connect mptcp
	head -c 4194304 /dev/zero | tr '\0' x | dd of=$DISK bs=64k iflag=fullblock oflag=direct
	before=$(backing_stat 12)
	blkdiscard -o 1048576 -l 1048576 $DISK
	(($(backing_stat 12) > before))
	blkdiscard -z -o 2097152 -l 1048576 $DISK
	dd if=$DISK bs=64k count=64 iflag=direct of=$SCRATCH/data
	[[ $(tr -d 'x' <$SCRATCH/data | wc -c) == 2097152 ]]
	cmp -n 2097152 -i 1048576:0 $SCRATCH/data /dev/zero
	# Of the two, zeroing needs no data to be sent.
	[[ $(<"/sys/block/${DISK#/dev/}/queue/write_zeroes_max_bytes") != 0 ]]
}

# Commands with as much data as there can be in one.
test_largest_transfer() {
	local kib stat after queue
	connect mptcp
	queue=/sys/block/$(path_device)/queue
	kib=$(<$queue/max_hw_sectors_kb)
	((kib <= 4096)) || kib=4096
	echo $kib >$queue/max_sectors_kb
	echo $kib >"/sys/block/${DISK#/dev/}/queue/max_sectors_kb"
	read -ra stat <"/sys/block/$(path_device)/stat"
	verify --bs="${kib}k" --size=$((4 * kib))k --iodepth=4 --iomem=mmap
	read -ra after <"/sys/block/$(path_device)/stat"
	note "at most $kib KiB; writes had $(((after[6] - stat[6]) / 2 / (after[4] - stat[4]))) KiB"
	(((after[6] - stat[6]) / 2 / (after[4] - stat[4]) >= 512))
}

test_passthrough() {
	connect mptcp
	head -c 65536 /dev/urandom >$SCRATCH/data
	# A write of 128 blocks from block 256, and a read.
	nvme io-passthru $DISK --opcode=1 --namespace-id=1 --cdw10=256 --cdw12=127 --data-len=65536 --write \
		--input-file=$SCRATCH/data
	dd if=$DISK bs=64k skip=2 count=1 iflag=direct of=$SCRATCH/read
	cmp $SCRATCH/data $SCRATCH/read
	nvme io-passthru $DISK --opcode=2 --namespace-id=1 --cdw10=256 --cdw12=127 --data-len=65536 --read --raw-binary \
		>$SCRATCH/read
	cmp $SCRATCH/data $SCRATCH/read
	nvme read $DISK --start-block=256 --block-count=127 --data-size=65536 --data=$SCRATCH/read
	cmp $SCRATCH/data $SCRATCH/read
	nvme admin-passthru /dev/$CTRL --opcode=6 --cdw10=1 --data-len=4096 --read --raw-binary >$SCRATCH/id
	grep -aF $NQN $SCRATCH/id
	# The error of the controller is that of the tool: an opcode that nobody has, an LBA that is not there.
	! nvme admin-passthru /dev/$CTRL --opcode=0xfe >$SCRATCH/error 2>&1 || fail "no error"
	grep -i 'invalid' $SCRATCH/error
	! nvme io-passthru $DISK --opcode=2 --namespace-id=1 --cdw10=0x7fffffff --cdw12=0 --data-len=512 --read \
		>$SCRATCH/error 2>&1 || fail "no error"
	grep 'NVMe status' $SCRATCH/error
	nvme smart-log $DISK
	[[ $(state) == live && $(recoveries) == 0 ]]
}

# A small write has its data in the capsule, and is answered by a response of 24 bytes; a large one is asked for its data.
test_in_capsule_data() {
	local before
	connect mptcp --nr-io-queues=1
	before=$(bytes received)
	fio_run --rw=write --bs=4k --size=4m
	note "bytes received for a small write: $((($(bytes received) - before) / 1024))"
	(($(bytes received) - before < 1024 * 28))
	before=$(bytes received)
	fio_run --rw=write --bs=64k --size=4m
	note "bytes received for a large write: $((($(bytes received) - before) / 64))"
	(($(bytes received) - before >= 64 * 48))
}

# The SUCCESS flag of the last data saves the response: 1024 times 24 bytes.
test_disable_sqflow() {
	local with without
	connect mptcp --nr-io-queues=1
	fio_run --rw=read --bs=4k --size=4m
	with=$(bytes received)
	disconnect
	connect mptcp --nr-io-queues=1 --disable-sqflow
	fio_run --rw=read --bs=4k --size=4m
	without=$(bytes received)
	note "bytes received with flow control $with, without $without"
	((with - without > 1000 * 24))
	verify --bs=4k --size=1m
}

# Events of the target: namespaces come, grow and go.
test_namespace_events() {
	local dir=$NVMET/subsystems/$NQN/namespaces/2
	connect mptcp
	truncate -s 8m $SCRATCH/file
	mkdir $dir
	echo $SCRATCH/file >$dir/device_path
	echo 1 >$dir/buffered_io
	show_namespace $dir
	DISK=${DISK%n1}n2
	wait_for 20 _has_blocks 16384
	verify --bs=64k --size=2m
	truncate -s 16m $SCRATCH/file
	echo 1 >$dir/revalidate_size
	wait_for 20 _has_blocks 32768
	echo 0 >$dir/enable
	wait_for 20 _has_blocks 0
	show_namespace $dir
	wait_for 20 _has_blocks 32768
	verify --bs=64k --size=2m
	rmdir $dir
	wait_for 20 _has_blocks 0
}
_has_blocks() {
	local size
	# Not $(<...): if the file is gone by then, bash 5.2 exits.
	size=$(cat "/sys/block/${DISK#/dev/}/size" 2>/dev/null) || size=0
	echo "$DISK: $size"
	[[ $size == "$1" ]]
}

# What has metadata in a buffer of its own is not supported by any NVMe/TCP.
test_no_metadata() {
	connect mptcp
	[[ $(nvme id-ns $DISK -o json | jq '.lbafs[0].ms') == 0 ]]
	! nvme io-passthru $DISK --opcode=2 --namespace-id=1 --cdw10=0 --cdw12=0 --data-len=512 --read \
		--metadata-len=8 >$SCRATCH/error 2>&1 || fail "read metadata"
	grep -i 'invalid argument' $SCRATCH/error
	[[ $(state) == live && $(recoveries) == 0 ]]
}

run_tests "$@"
