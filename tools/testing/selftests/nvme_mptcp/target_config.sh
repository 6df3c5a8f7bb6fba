#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What an administrator can configure of a target, and what must be refused.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links 2
	target_module mptcp
	subsystem $NQN "$(backing nmtest data)"
}

# listening: where the target listens, in its network namespace.
listening() { on_target ss -tHnl | awk '{ print $4 }' | sort | xargs; }

# discovered ADDRESS [PORT]: the addresses that the discovery log shows a host that asks at ADDRESS.
discovered() {
	_fabrics_device
	on_host nvme discover -t mptcp -a "$1" -s "${2:-$PORT}" -o json >$SCRATCH/log
	jq -r --arg nqn $NQN '.records[] | select(.subnqn == $nqn) |
		"\(.trtype) \(.adrfam) \(.traddr) \(.trsvcid)"' $SCRATCH/log
}

test_one_address() {
	port 1 10.0.1.2
	serve 1
	[[ $(listening) == 10.0.1.2:4420 ]]
	[[ $(discovered 10.0.1.2) == "tcp ipv4 10.0.1.2 4420" ]]
	connect_fails refused mptcp
	connect mptcp -a 10.0.1.2
	verify --bs=64k --size=2m
}

# The discovery log cannot show a wildcard: each host is shown the address that it has used.
test_all_ipv4_addresses() {
	port 1 0.0.0.0
	serve 1
	[[ $(discovered 10.0.0.2) == "tcp ipv4 10.0.0.2 4420" ]]
	[[ $(discovered 10.0.1.2) == "tcp ipv4 10.0.1.2 4420" ]]
	connect mptcp -a 10.0.1.2
	verify --bs=64k --size=2m
}

test_all_ipv6_addresses() {
	port 1 ::
	serve 1
	[[ $(discovered fd00:0::2) == "tcp ipv6 fd00::2 4420" ]]
	[[ $(discovered fd00:1::2) == "tcp ipv6 fd00:1::2 4420" ]]
	connect mptcp -a fd00:1::2
	verify --bs=64k --size=2m
}

test_link_local_address() {
	local address
	address=$(ip -n $TARGET_NS -j addr show tgt0 |
		jq -r '.[].addr_info[] | select(.scope == "link" and .family == "inet6").local')
	wait_for 20 _address_is_checked
	port 1 "$address%tgt0"
	serve 1
	connect mptcp -a "$address%host0"
	verify --bs=64k --size=2m
}
_address_is_checked() { ! ip -n $TARGET_NS addr show tgt0 | grep tentative; }

test_several_ports_and_subsystems() {
	local other=$NQN-other
	subsystem $other "$(backing other data)"
	port 1 0.0.0.0 4420
	port 2 10.0.1.2 4421
	serve 1
	serve 1 $other
	serve 2 $other
	connect mptcp
	verify --bs=64k --size=2m
	on_host nvme connect -t mptcp -n $other -a 10.0.0.2 -s 4420
	on_host nvme connect -t mptcp -n $other -a 10.0.1.2 -s 4421 -o json | jq -r .device >$SCRATCH/ctrl
	! on_host nvme connect -t mptcp -n $NQN -a 10.0.1.2 -s 4421 ||
		fail "port 2 serves a subsystem that it has not"
	# A port goes, with its controllers; the other stays.
	unserve 2 $other
	CTRL=$(<$SCRATCH/ctrl) wait_for 20 in_state connecting
	[[ $(cat /sys/class/nvme/nvme*/state | sort | xargs) == 'connecting live live' ]]
	verify --bs=64k --size=2m
}

# With the first link a port opens in the network namespace of who makes it, and stays there.
test_network_namespace() {
	port 1
	serve 1
	[[ $(listening) == 0.0.0.0:4420 ]]
	[[ -z $(ss -tHnl) ]]
	unserve 1
	[[ -z $(listening) ]]
	ln -s $NVMET/subsystems/$NQN $NVMET/ports/1/subsystems/
	[[ -z $(listening) ]]
	[[ $(ss -tHnl) == *0.0.0.0:4420* ]]
}

# inline_data_size is what a command may carry (IOCCSZ, in 16 bytes, with the command).
test_inline_data_size() {
	local size device
	port 1
	for size in default 4096 65536; do
		[[ $size == default ]] || echo "$size" >$NVMET/ports/1/param_inline_data_size
		serve 1
		connect mptcp
		[[ $size != default ]] || size=16384
		[[ $(nvme id-ctrl /dev/$CTRL -o json | jq .ioccsz) == $(((size + 64) / 16)) ]]
		verify --bs=4k --size=1m
		verify --bs=16k --size=1m
		disconnect
		unserve 1
	done
	# A PDU carries 4 MiB at most.
	echo 8388608 >$NVMET/ports/1/param_inline_data_size
	serve 1
	says 'port 1: param_inline_data_size 8388608 is more than a PDU may carry'
	[[ $(<$NVMET/ports/1/param_inline_data_size) == 4194304 ]]
	peer hostile provoke capsule_beyond_a_pdu
	connect mptcp
	[[ $(nvme id-ctrl /dev/$CTRL -o json | jq .ioccsz) == $(((4194304 + 64) / 16)) ]]
	for device in $(path_device) ${DISK#/dev/}; do
		echo 4096 >"/sys/block/$device/queue/max_sectors_kb"
	done
	verify --bs=4m --size=16m --iomem=mmap
}

test_max_queue_size() {
	port 1
	echo 32 >$NVMET/ports/1/param_max_queue_size
	serve 1
	connect mptcp
	[[ $(attr sqsize) == 31 ]]
	verify --bs=4k --size=1m --iodepth=64
}

# refused REGEX: port 1 is not enabled, and the kernel says why.
refused() {
	! serve 1 || fail "the port listens: $(listening)"
	says "nvmet_mptcp: port 1: $1"
	[[ -z $(listening) ]]
	rmdir $NVMET/ports/1
}

test_malformed_addresses() {
	local address
	for address in 10.0.0.256 10.0.0 target.example 'fd00:::2' 'fe80::1%nonesuch'; do
		port 1 "$address"
		refused "malformed address '$address'"
	done
	for address in 4420x 65536 -1; do
		port 1 10.0.0.2 "$address"
		refused "malformed .*service id '$address'"
	done
	port 1 10.0.0.2
	echo ib >$NVMET/ports/1/addr_adrfam
	refused 'its address family is neither ipv4 nor ipv6'
}

test_unusable_addresses() {
	port 1 10.9.9.9
	refused 'cannot listen on 10.9.9.9:4420: EADDRNOTAVAIL'
	port 2
	serve 2
	port 1
	! serve 1 || fail "two ports listen at one address"
	says 'port 1: cannot listen on 0.0.0.0:4420: EADDRINUSE'
	connect mptcp
	disconnect
	unserve 2
	on_target sysctl -q net.mptcp.enabled=0
	refused 'cannot listen on 0.0.0.0:4420: ENOPROTOOPT'
}

# As at boot: by what the unit of tools/nvmet says.
test_saved_configuration() {
	local tools=$_LIB/../../../../nvmet other=$NQN-other host=$NVMET/hosts/$NQN-host
	[[ -d $tools ]] || lacks "tools/nvmet of the sources"
	install -m 755 "$tools/nvmet-config" /usr/sbin
	mkdir "$host"
	nvme gen-dhchap-key >"$host/dhchap_key"
	subsystem $other "$(backing other data)"
	echo 0 >$NVMET/subsystems/$other/attr_allow_any_host
	ln -s "$host" $NVMET/subsystems/$other/allowed_hosts/
	port 1
	echo 8192 >$NVMET/ports/1/param_inline_data_size
	mkdir $NVMET/ports/1/ana_groups/2
	echo inaccessible >$NVMET/ports/1/ana_groups/2/ana_state
	echo 2 >$NVMET/subsystems/$other/namespaces/1/ana_grpid
	port 2 10.0.1.2 4421
	serve 1
	serve 1 $other
	serve 2
	connect mptcp
	verify --bs=64k --size=2m
	disconnect
	nvmet-config save
	cp /etc/nvmet/config.json $SCRATCH/saved.json

	unit ExecStop
	[[ -z $(find $NVMET/{ports,subsystems,hosts} -mindepth 1 -maxdepth 1) ]]
	rmmod nvmet_mptcp nvmet
	unit ExecStartPre
	unit ExecStart
	[[ $(listening) == '0.0.0.0:4420 10.0.1.2:4421' ]]
	nvmet-config save
	diff $SCRATCH/saved.json /etc/nvmet/config.json
	connect mptcp
	verify --bs=64k --size=2m --verify_only
	[[ $(nvme id-ctrl /dev/$CTRL -o json | jq .ioccsz) == $(((8192 + 64) / 16)) ]]
}

# What is configured stays when what is to take its place is no good, and saving is done when it says so.
test_broken_file() {
	local tool=$_LIB/../../../../nvmet/nvmet-config broken
	[[ -x $tool ]] || lacks "tools/nvmet of the sources"
	port 1
	serve 1
	connect mptcp
	strace -f -o "$SCRATCH/calls" -e trace=openat,fsync,rename "$tool" save "$SCRATCH/good.json"
	# The file before it gets its name, and then the directory.
	sed -n 's/^[0-9]* *\(fsync\|rename\).*= 0$/\1/p' "$SCRATCH/calls" >"$SCRATCH/order"
	[[ $(paste -sd ' ' "$SCRATCH/order") == 'fsync rename fsync' ]]
	[[ $(stat -c %a "$SCRATCH/good.json") == 600 ]]
	for broken in 'del(.ports[0].portid)' 'del(.ports[0].addr.trtype)' 'del(.subsystems[0].nqn)' '.subsystems[0].nqn = "../x"' \
		'del(.subsystems[0].namespaces[0].device)' '.ports[0].subsystems += ["nqn.other"]' '.ports += .ports' '[.]' truncated; do
		if [[ $broken == truncated ]]; then
			head -c 200 "$SCRATCH/good.json"
		else
			jq "$broken" "$SCRATCH/good.json"
		fi >"$SCRATCH/bad.json"
		! on_target "$tool" restore "$SCRATCH/bad.json" 2>"$SCRATCH/said" || fail "restored: $broken"
		cat "$SCRATCH/said"
		grep 'nothing has been changed$' "$SCRATCH/said"
		[[ $(listening) == 0.0.0.0:4420 && $(attr state) == live ]]
	done
	verify --bs=64k --size=2m
	disconnect
	on_target "$tool" restore "$SCRATCH/good.json"
	connect mptcp
	verify --bs=64k --size=2m --verify_only
}

# Every subflow of a port that is enabled from then on has the congestion control of the parameter; a
# name that there is not is refused.
test_congestion() {
	local nic
	target_param congestion no_such
	port 1
	! serve 1 || fail "enabled with a congestion control that does not exist"
	target_param congestion reno
	serve 1
	connect mptcp
	wait_for 20 has_subflows 2
	for nic in 0 1; do
		[[ $(on_target ss -tiHnO state established src "$(target_ip $nic):$PORT" | grep -cw reno) == "$(queues)" ]]
	done
}

# unit NAME: runs that command of the unit.
unit() {
	local command
	command=$(sed -n "s/^$1=//p" "$_LIB/../../../../nvmet/nvmet-config.service")
	# shellcheck disable=SC2086 # a command and its arguments
	on_target $command
}

run_tests "$@"
