#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tools/trace/perf.sh SECONDS: batches of the host, a line each queue: how many, PDUs and bytes of each on
# average, and how many the socket took in part. See Documentation/observability.rst.
set -euo pipefail
seconds=${1:?usage: tools/trace/perf.sh SECONDS}

file=$(mktemp)
trap 'rm -f "$file"*' EXIT
perf record -q -o "$file" -a -e nvme_mptcp:nvme_mptcp_batch_sent -- sleep "$seconds" >&2
perf script -i "$file" -F trace:trace | awk '
	{
		queue = $1 " " $2
		for (i = 3; i <= NF; i++) {
			split($i, field, "=")
			value[field[1]] = field[2]
		}
		n[queue]++
		pdus[queue] += value["requests"]
		bytes[queue] += value["bytes"]
		partial[queue] += value["sent"] < value["bytes"]
	}
	END {
		for (queue in n)
			printf "%s batches=%d pdus=%.1f bytes=%d partial=%d\n", queue, n[queue],
				pdus[queue] / n[queue], bytes[queue] / n[queue], partial[queue]
	}' | sort
