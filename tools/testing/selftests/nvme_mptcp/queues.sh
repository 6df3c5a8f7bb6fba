#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# How many queues there are, how long, what each is used for and where its work runs.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links 1
	target
}

# Reads, writes and polled I/O each have a queue, thus a connection, of their own.
test_read_write_and_poll_queues() {
	local writer reader poller normal polled
	connect mptcp --nr-io-queues=1 --nr-write-queues=1 --nr-poll-queues=1
	[[ $(queues) == 4 && $(connections host | wc -l) == 4 ]]
	fio_run --rw=write --bs=64k --size=4m
	writer=$(moved_by sent 2000000)
	[[ $writer =~ ^[0-9]+$ ]]
	fio_run --rw=read --bs=64k --size=4m
	reader=$(moved_by received 2000000)
	[[ $reader =~ ^[0-9]+$ && $reader != "$writer" ]]
	fio_run --rw=randread --bs=4k --size=4m --ioengine=io_uring --iodepth=1
	normal=$(_latency)
	fio_run --rw=randread --bs=4k --size=4m --ioengine=io_uring --iodepth=1 --hipri
	polled=$(_latency)
	poller=$(moved_by received 2000000 | grep -vx "$reader")
	[[ $poller =~ ^[0-9]+$ && $poller != "$writer" ]]
	note "latency of a read $normal us, polled $polled us"
}
_latency() { jq '.jobs[0].read.lat_ns.mean / 1000 | floor' $SCRATCH/fio.json; }

# Each CPU has its queue, whose work runs there.
test_a_queue_each_cpu() {
	local first both
	(($(nproc) > 1)) || lacks "a second processor"
	connect mptcp
	[[ $(queues) == $(($(nproc) + 1)) ]]
	taskset -c 0 fio --name=t --filename=$DISK --direct=1 --rw=write --bs=64k --size=4m >/dev/null
	first=$(moved_by sent 2000000)
	[[ $first =~ ^[0-9]+$ ]]
	taskset -c 1 fio --name=t --filename=$DISK --direct=1 --rw=write --bs=64k --size=4m >/dev/null
	both=$(moved_by sent 2000000 | wc -l)
	[[ $both == 2 ]]
}

# Where the work of the controller's queues runs, while I/O is submitted on one CPU: lines "CPU COUNT".
_works_on() {
	local trace=/sys/kernel/tracing
	echo >$trace/trace
	echo 1 >$trace/events/workqueue/workqueue_execute_start/enable
	taskset -c "$1" fio --name=t --filename=$DISK --direct=1 --rw=randread --bs=4k --size=2m >/dev/null
	echo 0 >$trace/events/workqueue/workqueue_execute_start/enable
	awk '/function engine_io_work \[nvme_mptcp\]/ { match($0, /\[[0-9]+\]/); n[substr($0, RSTART + 1, RLENGTH - 2) + 0]++ }
		END { for (cpu in n) print cpu, n[cpu] }' $trace/trace
}
test_work_on_the_cpu_of_the_queue() {
	local cpu
	(($(nproc) > 1)) || lacks "a second processor"
	connect mptcp
	for cpu in 0 1; do
		_works_on $cpu >$SCRATCH/works
		note "I/O on CPU $cpu, work on: $(paste -sd, $SCRATCH/works)"
		# All but the admin queue's.
		awk -v cpu=$cpu '{ n[$1 == cpu] += $2 } END { exit !(n[1] >= 200 && n[0] * 20 < n[1]) }' $SCRATCH/works
	done
}

# Controllers with one queue each take turns with the CPUs.
test_controllers_spread_over_cpus() {
	local i
	(($(nproc) > 1)) || lacks "a second processor"
	modprobe nvme_mptcp
	echo 'module nvme_mptcp func nvme_tcp_set_queue_io_cpu +p' >/sys/kernel/debug/dynamic_debug/control ||
		lacks "dynamic debug messages"
	connect mptcp --nr-io-queues=1
	for ((i = 1; i < 4; i++)); do
		connect mptcp -D --nr-io-queues=1
	done
	[[ $(dmesg_count "queue 0: using cpu 0") == 2 && $(dmesg_count "queue 0: using cpu 1") == 2 ]]
}

test_fewer_queues_than_wanted() {
	echo 1 >$NVMET/subsystems/$NQN/attr_qid_max
	connect mptcp --nr-io-queues=2
	[[ $(queues) == 2 ]]
	verify --bs=64k --size=2m
}

test_queue_size() {
	connect mptcp --queue-size=32
	[[ $(attr sqsize) == 31 ]]
	verify --bs=4k --size=1m --iodepth=64
	disconnect
	unserve 1
	echo 16 >$NVMET/ports/1/param_max_queue_size
	serve 1
	connect mptcp --queue-size=32
	[[ $(attr sqsize) == 15 ]]
	says "$CTRL: queue_size 32 > ctrl sqsize 16, clamping down"
	verify --bs=4k --size=1m --iodepth=64
}

test_wq_unbound() {
	modprobe nvme_mptcp
	[[ ! -e /sys/devices/virtual/workqueue/nvme_mptcp_wq/cpumask ]]
	rmmod nvme_mptcp
	modprobe nvme_mptcp wq_unbound=1
	connect mptcp
	verify --bs=64k --size=2m
	echo 1 >/sys/devices/virtual/workqueue/nvme_mptcp_wq/cpumask
	verify --bs=64k --size=2m
}

test_cpu_hotplug() {
	[[ -e /sys/devices/system/cpu/cpu1/online ]] || lacks "a processor that can be taken away"
	connect mptcp --reconnect-delay=1
	fio_start --rw=randrw --verify=crc32c --verify_fatal=1 --bs=16k --iodepth=8 --numjobs=2 --size=8m \
		--offset_increment=8m --time_based --runtime=6
	echo 0 >/sys/devices/system/cpu/cpu1/online
	verify --bs=64k --size=2m --offset=32m
	echo 1 >/sys/devices/system/cpu/cpu1/online
	verify --bs=64k --size=2m --offset=32m
	fio_finish
	[[ $(recoveries) == 0 ]]
	# When a queue's CPUs are away it cannot be connected, as nvme-tcp's; it can when they are back.
	echo 0 >/sys/devices/system/cpu/cpu1/online
	nvme reset /dev/$CTRL || note "not live without the CPU"
	echo 1 >/sys/devices/system/cpu/cpu1/online
	wait_for 20 in_state live
	verify --bs=64k --size=2m --offset=32m
}

run_tests "$@"
