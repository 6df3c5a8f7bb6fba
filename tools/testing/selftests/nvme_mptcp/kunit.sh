#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The KUnit suites in the modules. scripts/vm keeps them from running whenever a module is loaded.
#
# set: debug
# debug: all
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	[[ -e /sys/kernel/debug/kunit ]] || lacks "KUnit (CONFIG_KUNIT_DEBUGFS)"
}

# passes SUITE: all of its tests, of which there are some.
passes() {
	local dir=/sys/kernel/debug/kunit/$1
	echo 1 >"$dir/run"
	cat "$dir/results"
	! grep '^ *not ok' "$dir/results" || fail "a test of $1"
	! grep '# SKIP' "$dir/results" || fail "a test of $1 has not run"
	grep -E "^ok [0-9]+ $1\$" "$dir/results"
	note "$1: $(grep -cE '^    ok ' "$dir/results") tests"
}

test_host() {
	local suite
	modprobe nvme_mptcp
	for suite in address allowance gate ledger paths work; do
		passes nvme_mptcp_$suite
	done
}

test_target() {
	modprobe nvmet_mptcp
	passes nvmet_mptcp_address
}

run_tests "$@"
