#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In place of nvme-tcp, for tools that know only the transport tcp.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links 2
	target
}

# A controller called tcp whose queues are MPTCP connections on all NICs.
_is_mptcp() {
	[[ $(attr transport) == tcp ]]
	[[ $(connections host | wc -l) == "$(queues)" ]]
	wait_for 20 has_subflows 2
	verify --bs=64k --size=2m
}

test_replace_tcp() {
	modprobe nvme_mptcp replace_tcp=1
	[[ ! -e /sys/module/nvme_tcp ]]
	says 'serving the transport tcp too, in place of nvme-tcp'
	connect tcp --hdr-digest --data-digest
	_is_mptcp
	disconnect
	# The tool's own default port, and a name.
	echo "10.0.0.2 storage" >>/etc/hosts
	CTRL=$(on_host nvme connect -t tcp -n $NQN -a storage -o json | jq -r .device)
	wait_for_disk
	sed -i /storage/d /etc/hosts
	_is_mptcp
	disconnect
	on_host nvme connect-all -t tcp -a 10.0.0.2 -s $PORT
	CTRL=$(controllers)
	wait_for_disk
	_is_mptcp
	nvme list-subsys | grep -F ' tcp '
	# The other name is there as well.
	connect mptcp -D
	[[ $(attr transport) == mptcp ]]
}

test_nvme_tcp_came_first() {
	modprobe nvme-tcp
	modprobe nvme_mptcp replace_tcp=1
	says 'nvme_mptcp: replace_tcp: nvme-tcp came first, and serves the transport tcp until it is removed'
	connect tcp
	[[ -z $(connections host) ]]
	connect mptcp -D
	[[ -n $(connections host) ]]
	nvme disconnect-all
	rmmod nvme_tcp
	connect tcp
	_is_mptcp
}

# Without the parameter the name is nvme-tcp's.
test_not_unless_asked() {
	modprobe nvme_mptcp
	connect tcp
	[[ -e /sys/module/nvme_tcp && -z $(connections host) ]]
}

run_tests "$@"
