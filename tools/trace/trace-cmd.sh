#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tools/trace/trace-cmd.sh SECONDS: what happens to queues and paths, of the modules that are loaded. See
# Documentation/observability.rst.
set -euo pipefail
seconds=${1:?usage: tools/trace/trace-cmd.sh SECONDS}

events=()
for event in /sys/kernel/tracing/events/nvme*_mptcp/*/; do
	event=$(basename "$(dirname "$event")"):$(basename "$event")
	# Those of I/O are many.
	[[ $event == *batch_sent || $event == *received || $event == *'*'* ]] || events+=(-e "$event")
done
((${#events[@]})) || { echo "neither nvme_mptcp nor nvmet_mptcp is loaded" >&2 && exit 1; }

file=$(mktemp)
trap 'rm -f "$file"*' EXIT
trace-cmd record -q -o "$file" "${events[@]}" sleep "$seconds" >&2
trace-cmd report -i "$file"
