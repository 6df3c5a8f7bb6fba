#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Measures nvme-mptcp beside what one would use instead, in one virtual machine: for every case the peers
# take turns, several rounds, each time with a new connection. Appends one JSON object a
# measurement to $RESULTS/results.jsonl, which report.py makes tables and plots of.
#
#   bench.sh [CASE...]      (scripts/bench runs it)
#
# Environment: RESULTS, ROUNDS, QUICK=1 (fewer peers and loads, shorter), RATE in Mbit/s of a NIC,
# MTU of the NICs that have a rate (equal, unequal, lossy, pull).
here=${BASH_SOURCE[0]%/*}
# shellcheck source=../testing/selftests/nvme_mptcp/lib.sh
. "$here/../testing/selftests/nvme_mptcp/lib.sh"
# shellcheck source=peers.sh
. "$here/peers.sh"
# shellcheck source=measure.sh
. "$here/measure.sh"
# shellcheck source=cases.sh
. "$here/cases.sh"
set -eE -o pipefail
trap 'echo "${BASH_SOURCE[0]##*/}:$LINENO: status $?: $BASH_COMMAND" >&2' ERR

QUICK=${QUICK:-0} RATE=${RATE:-100} MTU=${MTU:-1500}
ROUNDS=${ROUNDS:-$((QUICK ? 1 : 3))}
cases=("$@")
((${#cases[@]})) || cases=("${CASES[@]}")
rm -rf "$SCRATCH"
mkdir -p "$SCRATCH" "$RESULTS"

facts >>"$RESULTS/results.jsonl"
for CASE in "${cases[@]}"; do
	for ((ROUND = 1; ROUND <= ROUNDS; ROUND++)); do
		"case_$CASE"
	done
done
if dmesg | grep -E -- "$COMPLAINTS"; then
	fail "the kernel complains"
fi
