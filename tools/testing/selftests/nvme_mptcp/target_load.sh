#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Many hosts and queues at once, and on which processors the target works for them.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links 2
	target
	# Hosts that connect side by side must find it.
	_fabrics_device
}

# Hosts of both kinds come, work and leave as fast as they can, while one stays and works.
test_hosts_come_and_go() {
	local before i peers=()
	before=$(target_residue)
	connect mptcp
	fio_start --rw=randrw --verify=crc32c --bs=16k --iodepth=8 --size=16m --time_based --runtime=8
	for i in 1 2 3 4; do
		peer hostile storm 8 >$SCRATCH/storm.$i &
		peers+=($!)
	done
	for i in "${peers[@]}"; do
		wait "$i"
	done
	fio_finish
	! grep . $SCRATCH/storm.* || fail "some were not served"
	! says "starting error recovery" || fail "the one that stays has noticed"
	disconnect
	target_gets_rid "$before"
}

# A host with many queues, beside several with one.
test_many_queues() {
	local before i
	before=$(target_residue)
	# The kernel's host has one queue a processor of each kind, one in user space as many as it likes.
	peer protocol many_queues
	for i in 1 2 3 4; do
		on_host nvme connect -t mptcp -n $NQN -a 10.0.0.2 -s $PORT --hostnqn=$NQN-$i \
			--hostid="$(</proc/sys/kernel/random/uuid)" -i 1 &
	done
	wait
	[[ $(controllers | wc -l) == 4 ]]
	for i in $(controllers); do
		disconnect "$i"
	done
	target_gets_rid "$before"
}

# While more than 128 controllers are being torn down, whose commands do not end, no new ones are taken.
# Their commands go to a controller that is passed through, and whose network is down.
test_too_many_controllers_end() {
	local passed=$NQN-passed
	port 2 10.0.1.2 4421
	serve 2
	ip -n $TARGET_NS mptcp endpoint flush
	# It must not notice by itself: no keep-alive for so long.
	connect mptcp -a 10.0.1.2 -s 4421 --keep-alive-tmo=120
	pass_through $passed $CTRL
	serve 1 $passed
	PEER_NQN=$passed peer protocol controller_number
	ip -n $HOST_NS link set host1 down
	PEER_NQN=$passed peer hostile stuck 135
	PEER_NQN=$passed wait_for 20 peer protocol busy
	ip -n $HOST_NS link set host1 up
	PEER_NQN=$passed wait_for 60 peer protocol controller_number
	unserve 1 $passed
	echo 0 >$NVMET/subsystems/$passed/passthru/enable
}

# The work of a queue runs on the processor that its packets come in on.
test_queue_works_where_packets_arrive() {
	local cpu
	(($(nproc) > 1)) || lacks "a second processor"
	connect mptcp -i 1
	for cpu in 0 1 0; do
		# Steered there by the network stack (RPS); what is under way settles first.
		ip netns exec $TARGET_NS sh -c "echo $((1 << cpu)) >/sys/class/net/tgt0/queues/rx-0/rps_cpus"
		reads 50
		count_queue_work reads 200
		note "packets on CPU $cpu: work of the queue on it ${WORK[cpu]} times, on the other ${WORK[1 - cpu]}"
		((WORK[cpu] > 4 * WORK[1 - cpu])) || fail "not where the packets arrive"
	done
}

reads() { dd if=$DISK of=/dev/null bs=4k count="$1" iflag=direct status=none; }

# count_queue_work COMMAND...: sets WORK to how often queues worked on CPU 0 and on CPU 1 meanwhile. Quiet before
# and after: an emulated processor may stumble over code that tracing patches while it runs.
count_queue_work() {
	local tracing=/sys/kernel/tracing
	echo 16384 >$tracing/buffer_size_kb
	echo >$tracing/trace
	pause 0.3
	echo 1 >$tracing/events/workqueue/workqueue_execute_start/enable
	"$@"
	pause 0.3
	echo 0 >$tracing/events/workqueue/workqueue_execute_start/enable
	read -ra WORK < <(awk '/engine_io_work \[nvmet_mptcp\]/ { match($0, /\[[0-9]+\]/)
		count[substr($0, RSTART + 1, RLENGTH - 2) + 0]++ }
		END { print count[0] + 0, count[1] + 0 }' $tracing/trace)
}

# The queue looks again and again for so long after there was something.
test_idle_poll() {
	local quiet
	connect mptcp -i 1
	count_queue_work reads 20
	quiet=$((WORK[0] + WORK[1]))
	target_param idle_poll_period_usecs 20000
	count_queue_work reads 20
	note "the queue worked $quiet times for 20 reads, $((WORK[0] + WORK[1])) times with idle polling"
	((WORK[0] + WORK[1] > 5 * quiet)) || fail "it does not poll"
	target_param idle_poll_period_usecs 0
	reads 5
	count_queue_work reads 20
	((WORK[0] + WORK[1] < 3 * quiet)) || fail "it polls although it must not any more"
}

run_tests "$@"
