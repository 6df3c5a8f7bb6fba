#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Discovery controllers.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

readonly OTHER=nqn.2026-01.io.nvme-mptcp:other

setup() {
	links 1
	target
	_fabrics_device
}

_log_page() { on_host nvme discover -t mptcp -a 10.0.0.2 -s $PORT "$@" -o json | jq -r '.records[].subnqn'; }

test_discover() {
	_log_page | grep -x $NQN
	[[ -z $(controllers) ]]
}

# It stays, and is told by an event that there is something new; this is what nvme-stas and udev rules act on.
test_persistent() {
	_log_page --persistent | grep -x $NQN
	CTRL=$(controllers)
	[[ $(attr cntrltype) == discovery && $(queues) == 1 ]]
	busybox uevent sh -c 'env' >$SCRATCH/uevents &
	wait_for 10 _listens
	subsystem $OTHER
	serve 1 $OTHER
	wait_for 20 grep -x 'NVME_AEN=0x70f002' $SCRATCH/uevents
	on_host nvme discover -d $CTRL -o json -t mptcp -a 10.0.0.2 -s $PORT |
		jq -r '.records[].subnqn' | grep -x $OTHER
	disconnect
}
# Until one of our own comes through.
_listens() {
	echo change >/sys/class/net/lo/uevent
	grep -x INTERFACE=lo $SCRATCH/uevents
}

run_tests "$@"
