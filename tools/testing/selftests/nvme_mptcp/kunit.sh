#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The KUnit suites in the modules. scripts/vm keeps them from running whenever a module is loaded.
#
# kernel: debug
# debug: all
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	[[ -e /sys/kernel/debug/kunit ]] || fail "the kernel has no KUnit (CONFIG_KUNIT_DEBUGFS)"
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

# pass MODULE SUITE...: these are all.
pass() {
	local suite
	modprobe "$1"
	[[ $(cd /sys/kernel/debug/kunit && printf '%s ' "$1"_*) == "$(printf "$1_%s " "${@:2}")" ]]
	for suite in "${@:2}"; do
		passes "$1_$suite"
	done
}

test_host() { pass nvme_mptcp address allowance gate ledger paths work; }

test_target() { pass nvmet_mptcp address; }

run_tests "$@"
