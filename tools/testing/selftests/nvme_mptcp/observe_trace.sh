#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tracepoints: they come when they should, with the right values.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links
	target
	modprobe nvme_mptcp
}

# io_sums KEY: of the I/O queues of the host, then of the target.
io_sums() {
	local i host=0 target=0
	for ((i = 1; i < $(queues); i++)); do
		host=$((host + $(value "$1" "$(queue_file $i)")))
		target=$((target + $(value "$1" "$(target_file $i)")))
	done
	echo $host $target
}

# Counted twice, in two ways, it is the same.
test_batches() {
	local key host target side
	local -A before
	connect mptcp
	trace nvme_mptcp:nvme_mptcp_{batch_sent,received} nvmet_mptcp:nvmet_mptcp_{batch_sent,received}
	for key in batches_sent segments_sent bytes_sent bytes_received receives partial_batches; do
		before[$key]=$(io_sums $key)
	done
	trace_forget
	fio_run --rw=randwrite --bs=64k --iodepth=8 --size=8m
	fio_run --rw=randread --bs=64k --iodepth=8 --size=8m
	note "$(traced 'batch_sent: .* qid=[1-9]' | wc -l) batches"
	for side in nvme nvmet; do
		[[ $(same $side batches_sent) == "$(traced "^${side}_mptcp_batch_sent: .* qid=[1-9]" | wc -l)" ]]
		[[ $(same $side receives) == "$(traced "^${side}_mptcp_received: .* qid=[1-9]" | wc -l)" ]]
		[[ $(same $side bytes_sent) == "$(traced_sum sent "^${side}_mptcp_batch_sent: .* qid=[1-9]")" ]]
		[[ $(same $side segments_sent) == "$(traced_sum segments "^${side}_mptcp_batch_sent: .* qid=[1-9]")" ]]
		[[ $(same $side bytes_received) == "$(traced_sum bytes "^${side}_mptcp_received: .* qid=[1-9]")" ]]
		[[ $(same $side partial_batches) == "$(traced "^${side}_mptcp_batch_sent: .* qid=[1-9]" |
			awk '{ split($0, a, /(bytes|sent)=/); if (a[2] + 0 != a[3] + 0) n++ } END { print n + 0 }')" ]]
	done
	# Every request of fio is completed by something that was received.
	(($(traced_sum completed '^nvme_mptcp_received: .* qid=[1-9]') >= 256))
}
# same SIDE KEY: by how much the counter has grown.
same() {
	local now was
	read -ra now < <(io_sums "$2")
	read -ra was <<<"${before[$2]}"
	[[ $1 == nvme ]] && echo $((now[0] - was[0])) || echo $((now[1] - was[1]))
}

test_life_of_a_controller() {
	local n token
	trace 'nvme_mptcp:*' 'nvmet_mptcp:*'
	connect mptcp --reconnect-delay=1
	n=$(queues)
	wait_for 20 says "$CTRL: connected: $n queues over 4 paths"
	for ((i = 0; i < n; i++)); do
		token=$(printf %08x $((16#$(value token "$(queue_file $i)"))))
		traced "^nvme_mptcp_queue_connected: $CTRL: qid=$i token=$token fallback=none" | grep .
		token=$(printf %08x $((16#$(value token "$(target_file $i)"))))
		traced "^nvmet_mptcp_queue_connected: queue [0-9]*: cntlid=$(attr cntlid) qid=$i token=$token fallback=none" | grep .
	done
	[[ $(traced '^nvme_mptcp_subflow_added' | wc -l) == $((4 * n)) ]]

	trace_forget
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	wait_for 10 _times $n "^nvmet_mptcp_queue_stopped: .* reason=closed"
	[[ $(traced "^nvme_mptcp_queue_stopped: $CTRL: .* reason=reset" | wc -l) == "$n" ]]
	[[ $(traced "^nvme_mptcp_queue_connected" | wc -l) == "$n" ]]
	[[ -z $(traced 'error_recovery|mptcp_reconnect') ]]

	trace_forget
	unserve 1
	wait_for 20 in_state connecting
	wait_for 20 _times 1 "^nvme_mptcp_error_recovery: $CTRL: cause=socket"
	wait_for 20 _times $n "^nvme_mptcp_queue_stopped: $CTRL: .* reason=recovery"
	# nvmet deletes the controllers of a port first.
	wait_for 20 _times $n "^nvmet_mptcp_queue_stopped: .* reason=(controller|port)"
	wait_for 20 _times 1 "^nvme_mptcp_reconnect: $CTRL: attempt=1 status=-111"
	serve 1
	wait_for 20 in_state live
	wait_for 10 _times 1 "^nvme_mptcp_reconnect: $CTRL: attempt=[0-9]* status=0"

	trace_forget
	disconnect
	[[ $(traced "^nvme_mptcp_queue_stopped: .* reason=delete" | wc -l) == "$n" ]]
}
_times() {
	traced
	[[ $(traced "$2" | wc -l) == "$1" ]]
}

test_subflows_come_and_go() {
	local n id
	connect mptcp
	n=$(queues)
	wait_for 20 says "$CTRL: connected: $n queues over 4 paths"
	trace nvme_mptcp:nvme_mptcp_subflow_{added,lost}
	id=$(ip -n $TARGET_NS -j mptcp endpoint show | jq ".[] | select(.address == \"$(target_ip 2)\").id")
	ip -n $TARGET_NS mptcp endpoint delete id "$id"
	wait_for 20 _times $n "^nvme_mptcp_subflow_lost: $CTRL: qid=[0-9]* local=::ffff:$(host_ip 2) remote=::ffff:$(target_ip 2)"
	ip -n $TARGET_NS mptcp endpoint add "$(target_ip 2)" dev tgt2 signal
	wait_for 20 _times $n "^nvme_mptcp_subflow_added: $CTRL: qid=[0-9]* local=::ffff:$(host_ip 2) remote=::ffff:$(target_ip 2)"
	[[ $(traced | wc -l) == $((2 * n)) ]]
}

# What each error recovery was started by.
test_causes() {
	core_timeouts 2 60
	connect mptcp --nr-io-queues=1 --keep-alive-tmo=60 --reconnect-delay=1
	trace nvme_mptcp:nvme_mptcp_error_recovery nvme_mptcp:nvme_mptcp_queue_stopped
	# The network takes everything and delivers nothing.
	for i in 0 1 2 3; do
		tc -n $HOST_NS qdisc replace dev host$i root netem loss 100%
	done
	fio_start --rw=write --bs=4k --size=4k
	wait_for 30 _times 1 "^nvme_mptcp_error_recovery: $CTRL: cause=timeout"
	for i in 0 1 2 3; do
		tc -n $HOST_NS qdisc del dev host$i root
	done
	fio_finish
	[[ $(traced '^nvme_mptcp_error_recovery' | wc -l) == 1 ]]
}

# The examples of the documentation.

# example NAME TOOL: sets $EXAMPLE.
example() {
	EXAMPLE=$_LIB/../../../../trace/$1
	[[ -x $EXAMPLE ]] || lacks "tools/trace"
	command -v "$2" >/dev/null || lacks "$2"
}

test_trace_cmd() {
	local pid
	example trace-cmd.sh trace-cmd
	connect mptcp
	"$EXAMPLE" 6 >$SCRATCH/report &
	pid=$!
	wait_for 20 _recording
	nvme reset /dev/$CTRL
	wait $pid
	cat $SCRATCH/report
	[[ $(grep -c "nvme_mptcp_queue_stopped: *$CTRL: qid=[0-9]* reason=reset" $SCRATCH/report) == "$(queues)" ]]
	[[ $(grep -c "nvme_mptcp_queue_connected: *$CTRL: .*fallback=none" $SCRATCH/report) == "$(queues)" ]]
	[[ $(grep -c "nvmet_mptcp_queue_connected: .*fallback=none" $SCRATCH/report) == "$(queues)" ]]
}
# trace-cmd stops tracing while it enables events.
_recording() { [[ $(<$TRACING/events/nvmet_mptcp/nvmet_mptcp_queue_connected/enable) == 1 && $(<$TRACING/tracing_on) == 1 ]]; }

test_perf() {
	example perf.sh perf
	connect mptcp
	fio_start --rw=randwrite --bs=4k --iodepth=32 --size=16m --time_based --runtime=100
	wait_for 20 io_runs
	"$EXAMPLE" 3 >$SCRATCH/report
	kill -INT $FIO
	wait $FIO || true
	cat $SCRATCH/report
	grep -E "^$CTRL: qid=[1-9] batches=[1-9][0-9]* pdus=[1-9]" $SCRATCH/report
}

test_bpftrace() {
	[[ -e /sys/kernel/btf/vmlinux ]] || lacks "the types of the kernel (BTF)"
	example batches.bt bpftrace
	local pid
	connect mptcp
	bpftrace -B line "$EXAMPLE" >$SCRATCH/report &
	pid=$!
	wait_for 90 grep Ctrl-C $SCRATCH/report
	fio_run --rw=randwrite --bs=4k --iodepth=32 --size=8m
	kill -INT $pid
	wait $pid
	cat $SCRATCH/report
	grep -E "^@pdus\[${CTRL#nvme}, [1-9]\]:" $SCRATCH/report
	grep -E "^@completed_at_a_time\[${CTRL#nvme}, [1-9]\]:" $SCRATCH/report
}

run_tests "$@"
