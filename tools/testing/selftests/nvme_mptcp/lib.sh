# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The library of the kselftests of nvme-mptcp. A test script is
#
#	#!/bin/bash
#	# SPDX-License-Identifier: GPL-2.0
#	#
#	# What this topic is about.
#	# vm: --nics 4			(options of scripts/vm that it needs; a line that may be absent)
#	# shellcheck source=lib.sh
#	. "${BASH_SOURCE[0]%/*}/lib.sh"
#
#	setup() {			(before each test; may be absent)
#		links
#		target
#	}
#
#	test_what_must_hold() {
#		connect mptcp
#		[[ $(state) == live ]]
#	}
#
#	run_tests "$@"
#
# A test fails when any of its commands does; what went wrong is then told by file, line and
# command. A test never cleans up: whatever it has loaded, configured, connected or started
# is removed after it, however it ended, and it fails if that is not possible or if the
# kernel has complained meanwhile. See tools/testing/README.md.

_LIB=$(cd "${BASH_SOURCE[0]%/*}/lib" && pwd -P)
# shellcheck source=lib/ktap.sh
. "$_LIB/ktap.sh"
# shellcheck source=lib/links.sh
. "$_LIB/links.sh"
# shellcheck source=lib/target.sh
. "$_LIB/target.sh"
# shellcheck source=lib/host.sh
. "$_LIB/host.sh"
# shellcheck source=lib/storm.sh
. "$_LIB/storm.sh"
# shellcheck source=lib/io.sh
. "$_LIB/io.sh"
# shellcheck source=lib/observe.sh
. "$_LIB/observe.sh"
