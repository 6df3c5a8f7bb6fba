#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the target says and does, for hosts that look closely.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links 1
	target
}

# PDU by PDU (peer/protocol.py tells what each is).
test_pdus() {
	peer protocol initialization data_in_capsule data_by_r2t small_data_by_r2t digests success_flag no_data \
		connect_first admin_queue_first strangers_data large_admin_queue strangers_discovery strangers_fabrics_data glued_and_split every_byte largest
}

test_dhchap() {
	local host=$NVMET/hosts/nqn.2026-01.io.nvme-mptcp:host key ctrl_key
	key=$(nvme gen-dhchap-key) ctrl_key=$(nvme gen-dhchap-key)
	mkdir "$host"
	echo "$key" >"$host/dhchap_key"
	echo 0 >$NVMET/subsystems/$NQN/attr_allow_any_host
	ln -s "$host" $NVMET/subsystems/$NQN/allowed_hosts/
	dhchap_refused
	dhchap_refused --dhchap-secret="$ctrl_key"
	connect mptcp --hostnqn="${host##*/}" --dhchap-secret="$key"
	verify --bs=64k --size=2m
	disconnect
	# Both ways: the target must prove itself too.
	echo "$ctrl_key" >"$host/dhchap_ctrl_key"
	connect mptcp --hostnqn="${host##*/}" --dhchap-secret="$key" --dhchap-ctrl-secret="$ctrl_key"
	verify --bs=64k --size=2m
	disconnect
	dhchap_refused --dhchap-secret="$key" --dhchap-ctrl-secret="$key"
}
dhchap_refused() {
	! on_host nvme connect -t mptcp -n $NQN -a 10.0.0.2 -s $PORT \
		--hostnqn=nqn.2026-01.io.nvme-mptcp:host "$@" || fail "connected with: $*"
}

test_a_host_that_is_not_allowed() {
	echo 0 >$NVMET/subsystems/$NQN/attr_allow_any_host
	! on_host nvme connect -t mptcp -n $NQN -a 10.0.0.2 -s $PORT || fail "connected"
	echo 1 >$NVMET/subsystems/$NQN/attr_allow_any_host
	connect mptcp
}

# namespace_on PATH: namespace 1 is on a file or device.
namespace_on() {
	local dir=$NVMET/subsystems/$NQN/namespaces/1
	echo 0 >"$dir/enable"
	echo "$1" >"$dir/device_path"
	echo 1 >"$dir/enable"
}

test_file_as_namespace() {
	truncate -s 64M $SCRATCH/disk
	namespace_on $SCRATCH/disk
	connect mptcp
	verify --bs=4k --size=2m
	verify --bs=1m --size=8m
	# What is deallocated takes no place any more.
	(($(stat -c %b $SCRATCH/disk) > 0))
	blkdiscard $DISK
	[[ $(stat -c %b $SCRATCH/disk) == 0 ]]
	# Nothing may have the file when it is removed.
	echo 0 >$NVMET/subsystems/$NQN/namespaces/1/enable
}

test_block_device_as_namespace() {
	connect mptcp
	zeroes
	verify --bs=1m --size=8m
}

# Zeroes are written without being sent.
zeroes() {
	local before
	dd if=/dev/urandom of=$DISK bs=1M count=4 oflag=direct status=none
	before=$(bytes_sent host 0)
	nvme write-zeroes $DISK --start-block=0 --block-count=4095
	((($(bytes_sent host 0) - before) < 1 << 20)) || fail "zeroes were sent"
	cmp <(head -c 2M /dev/zero) <(dd if=$DISK bs=1M count=2 iflag=direct status=none)
	! cmp -s <(head -c 2M /dev/zero) <(dd if=$DISK bs=1M skip=2 count=2 iflag=direct status=none) ||
		fail "too much was zeroed"
}

# The second host is one in user space: for this machine's own, both would be paths to one disk.
test_reservations() {
	local dir=$NVMET/subsystems/$NQN/namespaces/1
	echo 0 >"$dir/enable"
	echo 1 >"$dir/resv_enable"
	echo 1 >"$dir/enable"
	connect mptcp
	peer protocol may_write
	nvme resv-register $DISK --nrkey=0x11 --rrega=0
	nvme resv-acquire $DISK --crkey=0x11 --rtype=1 --racqa=0
	peer protocol may_not_write
	verify --bs=64k --size=1m
	nvme resv-release $DISK --crkey=0x11 --rtype=1 --rrela=0
	peer protocol may_write
}

# loop_port: the subsystem is served by the transport for the target's own machine as well.
loop_port() {
	modprobe nvme-loop
	mkdir $NVMET/ports/9
	echo loop >$NVMET/ports/9/addr_trtype
	ln -s $NVMET/subsystems/$NQN $NVMET/ports/9/subsystems/
	_fabrics_device
}

# A controller of the target's own machine, passed through.
test_passthru() {
	local subsystem=$NQN-passed ctrl
	loop_port
	ctrl=$(nvme connect -t loop -n $NQN -o json | jq -r .device)
	pass_through $subsystem "$ctrl"
	serve 1 $subsystem
	CTRL=$(on_host nvme connect -t mptcp -n $subsystem -a 10.0.0.2 -s $PORT -o json \
		--hostnqn=$NQN-second --hostid="$(</proc/sys/kernel/random/uuid)" | jq -r .device)
	wait_for_disk
	verify --bs=64k --size=2m
	[[ $(nvme id-ctrl /dev/$CTRL -o json | jq -r .subnqn) == "$subsystem" ]]
	disconnect
	disconnect "$ctrl"
	unserve 1 $subsystem
	echo 0 >$NVMET/subsystems/$subsystem/passthru/enable
}

# nvmet finds controllers by their number, and would have our queue be one of the other transport's.
test_a_controller_of_another_transport() {
	loop_port
	CTRL=$(nvme connect -t loop -n $NQN --hostnqn=nqn.2026-01.io.nvme-mptcp:astray -o json | jq -r .device)
	peer protocol astray
	says 'nvmet_mptcp: queue [0-9]*: connected to a controller of another transport'
	nvme id-ctrl /dev/$CTRL -o json | jq -r .subnqn
	[[ $(state) == live ]]
	disconnect
}

# The packets of the target have the type of service of the host's.
test_type_of_service() {
	on_host nft -f - <<-EOF
		table inet test {
			chain input {
				type filter hook input priority 0;
				tcp sport $PORT tcp flags & syn == 0 ip dscp cs1 counter name marked
				tcp sport $PORT tcp flags & syn == 0 ip dscp cs0 counter name unmarked
			}
			counter marked { }
			counter unmarked { }
		}
	EOF
	connect mptcp --tos=32
	on_host nft reset counters >/dev/null
	verify --bs=64k --size=2m
	(($(packets marked) > 100 && $(packets unmarked) == 0)) ||
		fail "$(packets marked) packets have it, $(packets unmarked) have not"
}
packets() { on_host nft -j list counter inet test "$1" | jq '.nftables[] | .counter? // empty | .packets'; }

test_host_address_in_debugfs() {
	[[ -d /sys/kernel/debug/nvmet ]] || lacks "nvmet's debugfs (CONFIG_NVME_TARGET_DEBUGFS)"
	connect mptcp
	[[ $(cat /sys/kernel/debug/nvmet/$NQN/ctrl*/host_traddr) == 10.0.0.1 ]]
}

run_tests "$@"
