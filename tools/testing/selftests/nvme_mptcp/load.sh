#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The modules: they load, unload and are found by name, and leave nothing behind.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

test_load_and_unload_20_times() {
	local i
	for ((i = 0; i < 20; i++)); do
		modprobe nvme_mptcp
		modprobe nvmet_mptcp
		rmmod nvme_mptcp
		rmmod nvmet_mptcp
	done
}

test_connect_loads_the_host() {
	links 1
	target
	[[ ! -e /sys/module/nvme_mptcp ]]
	connect mptcp
	[[ -e /sys/module/nvme_mptcp ]]
	[[ $(attr transport) == mptcp ]]
}

test_target_refuses_to_come_after_nvmet_tcp() {
	modprobe nvmet-tcp
	! modprobe nvmet_mptcp || fail "loaded although nvmet-tcp is"
	says 'nvmet_mptcp: .*nvmet.tcp'
	rmmod nvmet_tcp
	modprobe nvmet_mptcp
}

run_tests "$@"
