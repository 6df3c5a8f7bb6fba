#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Memory that can only be had by writing to the disk on the other side of the network: this goes on to the end,
# whatever paths and controller do meanwhile. What is short is the memory of a cgroup, because the target, on
# the same machine, needs some to take what is written.
# debug: no_memory_for_sockets
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

TEST_TIMEOUT=240

readonly GROUP=/sys/fs/cgroup/nvme-mptcp MIB=24

setup() {
	links 2
	target data 512
	connect mptcp --reconnect-delay=1
	wait_for 20 has_subflows 2
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	[[ -d $GROUP ]] || mkdir $GROUP
	echo $((MIB << 20)) >$GROUP/memory.max
}

# confined COMMAND...: in the cgroup.
confined() {
	bash -c 'echo $$ >'$GROUP'/cgroup.procs && exec "$@"' bash "$@"
}

# written: MiB that the controller has written.
written() { awk '{ print int($7 / 2048) }' "/sys/block/$(path_device)/stat"; }

# A file that is larger than the memory, written through the page cache. At most half of the memory may wait to be written: a
# cgroup without an io controller is else full of such pages, and the kernel gives up (kills) when none is written for
# as long as it takes to look at all of them 16 times, which is not long on a fast processor with a slow disk.
test_dirty_pages() {
	file_system
	head -c $((4 * MIB))M /dev/urandom >$SCRATCH/data
	echo $((MIB << 19)) >/proc/sys/vm/dirty_bytes
	confined dd if=$SCRATCH/data of=$SCRATCH/mnt/file bs=256k conv=fsync
	echo 20 >/proc/sys/vm/dirty_ratio
	note "memory $MIB MiB, file $((4 * MIB)) MiB, written $(written) MiB"
	umount $SCRATCH/mnt
	mount $DISK $SCRATCH/mnt
	cmp $SCRATCH/data $SCRATCH/mnt/file
	umount $SCRATCH/mnt
	(($(written) >= 4 * MIB))
	[[ $(recoveries) == 0 ]]
}

# hog_start: a process that uses more memory than it may, again and again; the rest of it is on the disk. hog_finish ends
# it, and it fails if a page of it ever came back wrong.
hog_start() {
	swap_on
	confined "$_LIB/../peer/hog.py" $((5 * MIB / 2)) $SCRATCH/enough >$SCRATCH/hog &
	HOG=$!
	wait_for 60 swaps
}
hog_finish() {
	touch $SCRATCH/enough
	wait $HOG
	note "memory $MIB MiB, used $((5 * MIB / 2)) MiB, written $(written) MiB, changed all of it $(wc -l <$SCRATCH/hog) times"
	swap_off
}
swaps() {
	local before
	before=$(_swapped)
	pause 0.3
	echo "$before to $(_swapped) pages swapped out"
	(($(_swapped) > before))
}
_swapped() { awk '$1 == "pswpout" { print $2 }' /proc/vmstat; }

# The path manager makes subflows in the context of who adds an endpoint, and allocates with the connection
# locked, so what it must write back to get memory needs the very connection that it holds.
test_swap() {
	local i
	on_host ip addr add 10.0.0.11/24 dev host0
	hog_start
	for ((i = 0; i < 5; i++)); do
		confined ip -n $HOST_NS mptcp endpoint add 10.0.0.11 dev host0 id 9 subflow
		wait_for 20 has_subflows 3
		confined ip -n $HOST_NS mptcp endpoint delete id 9
		wait_for 20 swaps
	done
	[[ $(recoveries) == 0 ]]
	# And what is swapped out waits for a controller that is away.
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	wait_for 20 swaps
	unserve 1
	wait_for 20 in_state connecting
	serve 1
	wait_for 20 in_state live
	wait_for 20 swaps
	hog_finish
}

# Sockets are charged to the cgroup of who has connected, also what they receive; who waits for memory of that cgroup,
# and so for this disk, must not hold their lock.
test_connected_in_the_cgroup() {
	local i
	disconnect
	confined nsenter --net=/run/netns/$HOST_NS nvme connect -t mptcp -n $NQN -a "$(target_ip 0)" -s $PORT -o json >$SCRATCH/connected
	CTRL=$(jq -r .device $SCRATCH/connected)
	wait_for_disk
	wait_for 20 has_subflows 2
	grep -E '^sock [1-9]' $GROUP/memory.stat || fail "the sockets are not of the cgroup"
	hog_start
	for ((i = 0; i < 8; i++)); do
		# Who looks at them takes their lock as well.
		confined cat /sys/class/nvme/$CTRL/{mptcp_subflows,address}
		confined bash -c 'cat /sys/kernel/debug/nvme_mptcp/*/*' >$SCRATCH/seen
		wait_for 20 swaps
	done
	[[ $(recoveries) == 0 ]]
	hog_finish
}

# allocations: what the sockets that receive allocate with: lines "LOCAL-ADDRESS LOCAL-PORT FLAGS".
allocations() {
	local trace=/sys/kernel/tracing
	echo >$trace/trace
	echo 1 >$trace/events/fprobes/nvme_mptcp_test/enable
	fio_run --rw=randrw --bs=64k --iodepth=32 --size=16m
	echo 0 >$trace/events/fprobes/nvme_mptcp_test/enable
	sed -n 's/.*nvme_mptcp_test: .* address=\([^ ]*\) port=\([^ ]*\) allocation=\([^ ]*\).*/\1 \2 \3/p' $trace/trace |
		sort -u
}
_of_host() { awk -v port=$PORT '$2 != port { print $1, $3 }' $SCRATCH/allocations | sort -u; }
_all_alike() {
	allocations >$SCRATCH/allocations
	cat $SCRATCH/allocations
	[[ $(_of_host | wc -l) == 2 && $(_of_host | awk '{ print $2 }' | sort -u | wc -l) == 1 ]]
}

# Every subflow may use the memory reserves, those that the path manager has added too; other sockets may not.
test_reserves_for_every_subflow() {
	local flags
	[[ -e /sys/kernel/btf/vmlinux ]] || lacks "the types of the kernel (BTF)"
	# This takes away what an earlier run has left.
	echo 'f:nvme_mptcp_test tcp_rcv_established address=sk->__sk_common.skc_rcv_saddr:x32 port=sk->__sk_common.skc_num:u16 allocation=sk->sk_allocation:x32' \
		>/sys/kernel/tracing/dynamic_events
	limit_rate 100
	wait_for 20 _all_alike
	flags=$(_of_host | awk '{ print $2 }' | sort -u)
	note "the host's subflows allocate with $flags"
	! awk -v port=$PORT '$2 == port { print $3 }' $SCRATCH/allocations | grep -x "$flags" || fail "so do the target's"
}

# MPTCP's own work makes subflows with the connection locked, so it must not reclaim memory, which could mean to wait for that
# connection (PF_MEMALLOC, 0x800).
test_paths_without_reclaim() {
	local pid
	[[ -e /sys/kernel/btf/vmlinux ]] || lacks "the types of the kernel (BTF)"
	bpftrace -B line -e 'BEGIN { printf("ready\n"); } kprobe:mptcp_subflow_create_socket {
		printf("%s %s\n", comm, (curtask->flags & 0x800) == 0 ? "reclaims" : "does not"); }' >$SCRATCH/made &
	pid=$!
	wait_for 90 grep ready $SCRATCH/made
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	wait_for 20 has_subflows 2
	kill -INT $pid
	wait $pid
	cat $SCRATCH/made
	(($(grep -c '^kworker.* does not$' $SCRATCH/made) >= $(queues)))
	# The first subflow of each is made before anything depends on it.
	(($(grep -c ' reclaims$' $SCRATCH/made) == $(queues)))
}

# TCP may have no memory left, for what others keep: a socket takes nothing then, whatever room it has, and nobody tells when
# that is over. Who sends waits, and does not try all the time.
test_no_memory_for_sockets() {
	local tries=0 rounds=0 limits hoard filter
	limits=$(</proc/sys/net/ipv4/tcp_mem)
	# shellcheck disable=SC2064 # as they are now
	trap "echo '$limits' >/proc/sys/net/ipv4/tcp_mem" EXIT
	# Before there is I/O: QEMU 7.2 without KVM does not always see in time that code which another processor runs is changed
	# ("Oops: int3").
	trace nvme_mptcp:nvme_mptcp_batch_sent nvmet_mptcp:nvmet_mptcp_batch_sent
	# All others are more than can be read while there are new ones.
	for filter in $TRACING/instances/nmtest/events/nvme*_mptcp/nvme*_mptcp_batch_sent/filter; do
		echo 'sent == 0' >"$filter"
	done
	fio_start --rw=randrw --bs=4k --iodepth=4 --size=16m --verify=crc32c --time_based --runtime=3600
	wait_for 20 io_runs
	on_host "$_LIB/../peer/hoard.py" >$SCRATCH/hoard &
	hoard=$!
	wait_for 20 grep ready $SCRATCH/hoard
	# Or it is the receivers that go without.
	while ((tries == 0 && ++rounds <= 10)); do
		echo 1 1 1 >/proc/sys/net/ipv4/tcp_mem
		pause 3
		echo "$limits" >/proc/sys/net/ipv4/tcp_mem
		tries=$(traced | wc -l)
		pause 1
	done
	kill $hoard
	fio_stop
	note "in 3 s, nothing was taken $tries times"
	((tries > 0 && tries < 1000))
	wait_for 60 in_state live
	verify --bs=64k --size=2m
}

run_tests "$@"
