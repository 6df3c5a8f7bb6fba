# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the modules tell of themselves (Documentation/observability.rst): debugfs and tracepoints.

readonly HOST_FILES=/sys/kernel/debug/nvme_mptcp TARGET_FILES=/sys/kernel/debug/nvmet_mptcp
readonly TRACING=/sys/kernel/tracing

# queue_file QID: of the controller. target_file QID: of the same queue at the target, if this is the only controller.
queue_file() { echo "$HOST_FILES/$CTRL/queue$1"; }
target_file() { grep -lx "queue $1" "$TARGET_FILES"/*/queue; }

# value KEY FILE
value() { awk -v key="$1" '$1 == key { print $2 }' "$2"; }

# subflow_values NAME FILE: of each subflow, a line each, sorted.
subflow_values() { sed -n "/^subflow /s/.* $1=\([^ ]*\).*/\1/p" "$2" | sort; }

# sum: of the numbers in stdin.
sum() { awk '{ n += $1 } END { printf "%d\n", n }'; }

# messages REGEX: what the kernel has said of the controller that matches, without what is before it.
messages() { dmesg_of_test | sed -n "s/.* nvme $CTRL: //p" | grep -E -- "$1" || true; }

# trace EVENT...: begins to record tracepoints, as nvme_mptcp:* or nvme_mptcp:nvme_mptcp_received, in a buffer of its own.
trace() {
	local event
	[[ -e $TRACING/instances/nmtest ]] || mkdir $TRACING/instances/nmtest
	echo 8192 >$TRACING/instances/nmtest/buffer_size_kb
	for event; do
		echo "$event" >>$TRACING/instances/nmtest/set_event
	done
}

# traced [REGEX]: what has been recorded and matches, from the event's name on.
traced() {
	sed -n 's/^ .*: \(nvmet*_mptcp_[a-z_]*: .*\)/\1/p' $TRACING/instances/nmtest/trace | grep -E -- "${1:-.}" || true
}

# traced_sum NAME REGEX: the sum of a number in what has been recorded.
traced_sum() { traced "$2" | sed -n "s/.* $1=\([0-9]*\).*/\1/p" | sum; }

# trace_forget: what has been recorded until now.
trace_forget() { echo >$TRACING/instances/nmtest/trace; }

observe_clean() { [[ ! -e $TRACING/instances/nmtest ]] || rmdir $TRACING/instances/nmtest; }
