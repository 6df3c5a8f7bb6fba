#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# nvme-mptcp paths and connect: what they set up works.
# vm: --nics 4
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
# shellcheck source=lib/tool.sh
. "${BASH_SOURCE[0]%/*}/lib/tool.sh"

# Nobody has told MPTCP anything.
setup() {
	local ns
	links --virtio
	for ns in $HOST_NS $TARGET_NS; do
		ip -n $ns mptcp endpoint flush
		ip -n $ns mptcp limits set subflows 2 add_addr_accepted 0
	done
	target
}

endpoints() { ip -n "$1" -j mptcp endpoint show | jq -c '[.[] | [.address, .dev, (.signal // false), (.subflow // false)]]'; }

# A live connection gets its paths from a target that begins to announce, and loses them.
test_target() {
	host_tool paths setup --host --apply host0
	connect mptcp
	wait_for 20 has_subflows 1
	expect 0 target_tool paths setup --target tgt1 tgt2 tgt3
	said '^ip mptcp endpoint add 10.0.1.2 dev tgt1 signal$'
	said '^not done; with --apply it is$'
	[[ $(endpoints $TARGET_NS) == '[]' ]]
	expect 0 target_tool paths setup --target tgt1 tgt2 tgt3 --apply
	wait_for 20 has_subflows 4
	verify --bs=64k --size=4m
	expect 0 target_tool paths setup --target tgt1 tgt2 tgt3 --apply
	said '^nothing to do$'
	expect 0 target_tool paths clear tgt2 --apply
	wait_for 20 has_subflows 3
	expect 0 target_tool paths clear --apply
	wait_for 20 has_subflows 1
	[[ $(ip -n $TARGET_NS mptcp limits show) == 'add_addr_accepted 0 subflows 2 ' ]]
	verify --bs=64k --size=4m
}

# The host alone can do it too: from each of its NICs to the one address.
test_host() {
	target_tool paths setup --target --apply tgt0
	connect mptcp
	wait_for 20 has_subflows 1
	host_tool paths setup --host --apply
	[[ $(endpoints $HOST_NS) == *'["10.0.3.1","host3",false,true]'* ]]
	wait_for 20 has_subflows 4
	host_tool paths show --json >"$SCRATCH/paths"
	jq -e '.limits == { subflows: 8, add_addr_accepted: 8 }
		and ([.endpoints[] | select(.address | contains(".")) | .nic] == ["host0", "host1", "host2", "host3"])' "$SCRATCH/paths"
	expect 0 host_tool paths show
	said '^ +[0-9]+  10.0.2.1 +host2 +subflow$'
	# What the connection began from stays: without it nothing would be left.
	expect 0 host_tool paths clear --apply
	said '^the endpoint 10\.0\.0\.1 stays'
	wait_for 20 has_subflows 1
	[[ $(endpoints $HOST_NS) == '[["10.0.0.1","host0",false,true]]' ]]
	verify --bs=64k --size=4m
	disconnect
	expect 0 host_tool paths clear --apply
	[[ $(endpoints $HOST_NS) == '[]' ]]
}

# What --persistent writes does at boot what was done by hand.
test_persistent() {
	local units=$SCRATCH/units unit
	unit=$units/nvme-mptcp-paths.service
	expect 0 host_tool paths setup --host host1 --persistent --unit-directory "$units"
	[[ ! -e $units ]]
	host_tool paths setup --host host1 --persistent --apply --unit-directory "$units"
	[[ $(readlink "$units/multi-user.target.wants/nvme-mptcp-paths.service") == "$unit" ]]
	[[ $(endpoints $HOST_NS) == *10.0.1.1* ]]
	ip -n $HOST_NS mptcp endpoint flush
	# shellcheck disable=SC2046 # a command
	on_host $(sed -n 's/^ExecStart=//p' "$unit")
	[[ $(endpoints $HOST_NS) == *10.0.1.1* ]]
	host_tool paths clear --apply --unit-directory "$units"
	[[ ! -e $unit && ! -L $units/multi-user.target.wants/nvme-mptcp-paths.service ]]
	[[ $(endpoints $HOST_NS) == '[]' ]]
}

# As at boot, by the command of the unit, while a NIC is missing: the others are set up, and it says so and fails, thus is
# started again.
test_missing_nic() {
	local units=$SCRATCH/units command
	target_tool paths setup --target --apply tgt0
	ip -n $HOST_NS link set host2 netns 1
	ip -n $HOST_NS address flush dev host3
	expect 2 host_tool paths setup --host host1 host2 host3 host0 --persistent --apply --unit-directory "$units"
	[[ $(endpoints $HOST_NS) == *10.0.1.1*10.0.0.1* ]]
	ip -n $HOST_NS mptcp endpoint flush
	command=$(sed -n 's/^ExecStart=//p' "$units/nvme-mptcp-paths.service")
	# shellcheck disable=SC2086 # a command and its arguments
	expect 2 on_host $command
	said '^nvme-mptcp: warning: there is no NIC host2: '
	said '^nvme-mptcp: warning: host3 has no address: '
	[[ $(endpoints $HOST_NS) == *10.0.1.1*10.0.0.1* ]]
	[[ $(endpoints $HOST_NS) != *host2* ]]
	grep -x 'Restart=on-failure' "$units/nvme-mptcp-paths.service"
	ip link set host2 netns $HOST_NS
	ip -n $HOST_NS link set host2 up
	ip -n $HOST_NS address add 10.0.2.1/24 dev host2
	ip -n $HOST_NS address add 10.0.3.1/24 dev host3
	# shellcheck disable=SC2086
	expect 0 on_host $command
	connect mptcp
	wait_for 20 has_subflows 4
}

# Without names it takes what is hardware, and says what it does not.
test_virtual_nics() {
	ip -n $HOST_NS link add docker0 type bridge
	ip -n $HOST_NS link set docker0 up
	ip -n $HOST_NS address add 172.17.0.1/16 dev docker0
	ip -n $HOST_NS link add veth7 type veth peer name veth8
	ip -n $HOST_NS link set veth7 up
	ip -n $HOST_NS address add 172.18.0.1/16 dev veth7
	ip -n $HOST_NS link set host3 master docker0
	expect 0 host_tool paths setup --host
	said '^NICs: host0 host1 host2$'
	said '^not host3: a port of docker0'
	said '^not docker0: no hardware, but bridge'
	said '^not veth7: no hardware, but veth'
	! grep -E 'endpoint add.*(172|host3)' "$SCRATCH/said" || fail "it takes what it must not"
	expect 0 host_tool paths setup --host --apply
	[[ $(endpoints $HOST_NS) == *host2* && $(endpoints $HOST_NS) != *172.* ]]
	# A bridge that nobody has chosen is no concern of doctor's either.
	ip -n $HOST_NS link set host3 nomaster
	ip -n $HOST_NS link set docker0 down
	modprobe nvme_mptcp
	sound host
	! grep docker0 "$SCRATCH/said" || fail "doctor takes docker0 for a path"
	# Named, it is meant; and named twice it is one.
	expect 0 host_tool paths setup --host --apply veth7 veth7
	[[ $(endpoints $HOST_NS) == *172.18.0.1* ]]
}

test_wrong_use() {
	expect 2 host_tool paths setup --host nic9
	said '^nvme-mptcp: error: there is no NIC nic9'
	said 'try: one of lo '
	expect 2 host_tool paths setup host1
	said '--host'
	# Not root: it says what to do.
	expect 2 on_host setpriv --reuid=1000 --clear-groups "$TOOL" paths setup --host host1 --apply
	said 'try: the same as root'
}

# Digests, which nvme-cli does not pass on; each PDU is longer by them.
test_digests() {
	local plain before
	_fabrics_device
	host_tool connect -n $NQN -a "$(target_ip 0)" -s $PORT --nr-io-queues 1 -o json >"$SCRATCH/connected"
	CTRL=$(jq -r .device "$SCRATCH/connected")
	wait_for_disk
	before=$(bytes received)
	fio_run --rw=read --bs=4k --size=1m
	plain=$(($(bytes received) - before))
	disconnect
	expect 0 host_tool connect --nqn=$NQN --traddr="$(target_ip 0)" --trsvcid=$PORT --hdr-digest --data-digest \
		--nr-io-queues=1
	said '^device: nvme[0-9]+$'
	CTRL=$(sed 's/^device: //' "$SCRATCH/said")
	wait_for_disk
	before=$(bytes received)
	fio_run --rw=read --bs=4k --size=1m
	# 256 data PDUs, of which each may have its response with it.
	note "bytes received: $(($(bytes received) - before)), without digests: $plain"
	(($(bytes received) - before - plain >= 256 * 8))
	verify --bs=16k --size=2m
}

test_connect_fails() {
	_fabrics_device
	expect 2 host_tool connect -n $NQN -a "$(target_ip 0)" -s 4421
	said 'nobody listens at 10.0.0.2:4421'
	said '^nvme-mptcp: try: on the target'
	expect 2 host_tool connect -n nqn.2026-01.io.nvme-mptcp:nothing -a "$(target_ip 0)" -s $PORT
	said '^nvme-mptcp: try: '
	expect 2 host_tool connect -n "$NQN,hdr_digest" -a "$(target_ip 0)"
	said 'no value with a comma'
	[[ -z $(controllers) ]]
}

run_tests "$@"
