#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Each side with the stock module at the other end.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

test_stock_host() {
	links
	target
	connect tcp
	[[ $(attr transport) == tcp ]]
	verify --bs=4k --size=4m
	verify --bs=1m
	# A real TCP connection each, on one NIC.
	[[ $(tcp_connections target 0) == "$(queues)" ]]
	[[ -z $(connections target) ]]
}

test_stock_host_with_digests() {
	links
	target
	connect tcp --hdr-digest --data-digest
	verify --bs=4k --size=4m
	verify --bs=256k
}

# Our host falls back to plain TCP, and says so once for a controller, however often it connects.
test_stock_target() {
	links
	target --module tcp
	connect mptcp
	verify --bs=4k --size=4m
	verify --bs=1m
	[[ $(dmesg_count "$CTRL: .*MPTCP") == 1 ]]
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	verify --bs=64k
	[[ $(dmesg_count "$CTRL: .*MPTCP") == 1 ]]
	[[ $(tcp_connections target 0) == "$(queues)" ]]
}

test_stock_target_with_digests() {
	links
	target --module tcp
	connect_raw mptcp hdr_digest data_digest
	verify --bs=4k --size=4m
	verify --bs=256k
}

# One port, two hosts of either kind at the same time.
test_both_hosts_at_once() {
	local tcp
	links
	target
	connect tcp
	tcp=$DISK
	[[ $(tcp_connections target 0) == "$(queues)" ]]
	# Of another subsystem, or it would be a second path to the first disk.
	subsystem $NQN-other "$(backing other data)"
	serve 1 $NQN-other
	CTRL=$(on_host nvme connect -t mptcp -n $NQN-other -a 10.0.0.2 -s $PORT -o json | jq -r .device)
	wait_for_disk
	[[ $DISK != "$tcp" ]]
	wait_for 20 has_subflows 4
	fio_start --rw=randwrite --verify=crc32c --bs=64k --iodepth=8 --size=8m
	DISK=$tcp verify --bs=64k --size=8m --offset=64m
	fio_finish
}

run_tests "$@"
