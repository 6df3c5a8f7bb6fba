#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# nvme-mptcp doctor: one broken thing at a time, each of which it must name; and nothing where nothing is broken.
# vm: --nics 4
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
# shellcheck source=lib/tool.sh
. "${BASH_SOURCE[0]%/*}/lib/tool.sh"

# Both ends as the README tells to set them up.
setup() {
	links --virtio
	set-link 0 1 2 3 on
	host_tool paths setup --host --apply >/dev/null
	ip -n $TARGET_NS mptcp limits set subflows 8 add_addr_accepted 8
}

# connected [OPTION...]: and all paths there.
connected() {
	target
	connect mptcp --nr-io-queues=1 "$@"
	wait_for 20 _all_nics
}

_all_nics() {
	local nic
	for nic in 0 1 2 3; do
		[[ $(tcp_connections host $nic) -ge $(queues) ]] || return 1
	done
}

test_sound() {
	connected
	sound host
	said '1 controller, 2 connections to targets'
	sound host --peer "$(target_ip 0)"
	sound target
	said '2 connections from hosts'
	verify --bs=64k --size=2m
	sound host
}

test_modules() {
	finds host module-not-loaded
	"$TOOL" doctor --json >"$SCRATCH/json" || true
	jq -e ".findings[0] | .name == \"module-not-loaded\" and .severity == \"problem\" and (.mend | length) > 0" "$SCRATCH/json"
	# As on a machine where nobody has installed them.
	on_host unshare -m sh -c 'mount -t tmpfs none "/lib/modules/$(uname -r)" && "$0" doctor' "$TOOL" >"$SCRATCH/said" || true
	said '^problem: module-missing$'
}

# One after the other, with a connection that has all paths meanwhile.
test_one_setting_at_a_time() {
	connected
	on_host sysctl -qw net.mptcp.enabled=0
	finds host mptcp-disabled
	on_host sysctl -qw net.mptcp.enabled=1

	on_host ip mptcp limits set subflows 1
	finds host limits-too-small
	said 'paths setup --host --apply'
	host_tool paths setup --host --apply
	on_target ip mptcp limits set subflows 0
	finds target limits-too-small
	said 'paths setup --target --apply'
	on_target ip mptcp limits set subflows 8

	on_host ip mptcp endpoint add 10.9.9.9 subflow
	finds host endpoint-without-nic
	said '10\.9\.9\.9'
	on_host ip mptcp endpoint delete id "$(ip -n $HOST_NS -j mptcp endpoint show |
		jq '.[] | select(.address == "10.9.9.9").id')"

	on_host ethtool -s host0 speed 10000 duplex full
	on_host ethtool -s host1 speed 100 duplex full
	hints host unequal-links
	said 'host1 runs at 100 Mbit/s'
	on_host ethtool -s host1 speed 10000 duplex full

	set-link host3 off
	wait_for 10 _no_carrier host3
	finds host no-carrier
	said 'host3'
	set-link host3 on
	wait_for 20 _all_nics
	sound host
	sound target

	on_host ip link set host2 down
	finds host nic-down
	said 'host2'
}

_no_carrier() { [[ $(on_host ip -j link show "$1" | jq '.[0].flags | index("NO-CARRIER")') != null ]]; }

# The host has no endpoints, and the target announces more than its limits let it use.
test_starved_by_limits() {
	host_tool paths clear --apply
	on_host ip mptcp limits set subflows 1 add_addr_accepted 8
	target
	connect mptcp --nr-io-queues=1
	wait_for 20 _starved
	finds host limits-too-small
	said 'not all of the 4 NICs are used'
	host_tool paths setup --host --apply
	nvme reset /dev/$CTRL
	wait_for 20 _all_nics
	sound host
}

# Of announcements that come at the same moment MPTCP (7.3) may take one more than it should, on each connection.
_starved() { subflows host | grep -x '[23]' >/dev/null; }

# With the target's announcements gone as well the host has one path, and each end says what is missing there.
test_endpoints_missing() {
	host_tool paths clear --apply
	on_target ip mptcp endpoint flush
	target
	connect mptcp --nr-io-queues=1
	wait_for 20 has_subflows 1
	finds host one-subflow
	finds host endpoints-missing
	finds target endpoints-missing
	target_tool paths setup --target --apply
	host_tool paths setup --host --apply
	wait_for 20 _all_nics
	sound host
	sound target
}

# A port with an address of its own, and one that is announced with a listener.
test_port_on_one_address() {
	local id
	on_host ip mptcp endpoint flush
	target
	unserve 1
	target_ip 0 >$NVMET/ports/1/addr_traddr
	serve 1
	target_tool paths setup --target --apply
	finds target port-on-one-address
	said "announced besides: $(target_ip 1), $(target_ip 2), $(target_ip 3)"
	for id in 2 3 4; do
		on_target ip mptcp endpoint delete id $id
		on_target ip mptcp endpoint add "$(target_ip $((id - 1)))" dev tgt$((id - 1)) signal port $PORT
	done
	connect mptcp --nr-io-queues=1
	wait_for 20 _all_nics
	sound target
}

# Two NICs in one subnet: answers of the second leave by the first, and it drops what comes its way.
test_routes() {
	on_host ip address flush dev host3
	on_host ip address add 10.0.0.7/24 dev host3
	on_host ip mptcp endpoint flush
	# Nothing comes from there.
	on_host nft add table inet block '{ chain out { type filter hook output priority 0; oifname host3 drop; }; }'
	host_tool paths setup --host --apply host0 host3
	on_host sysctl -qw net.ipv4.conf.host3.rp_filter=1
	on_target ip mptcp endpoint flush
	target
	connect mptcp --nr-io-queues=1
	finds host asymmetric-route
	said 'ip rule add from 10\.0\.0\.7'
	finds host rp-filter
	said 'the larger of 0 for all NICs and 1 for host3'
	# Strict for all is no better, and 2 for the one NIC undoes both.
	on_host sysctl -qw net.ipv4.conf.host3.rp_filter=0 net.ipv4.conf.all.rp_filter=1
	finds host rp-filter
	# shellcheck disable=SC2046 # a command
	on_host $(sed -n 's/^    \(sysctl -w .*rp_filter=2\)$/\1/p' "$SCRATCH/said")
	expect 1 host_tool doctor
	said '^problem: asymmetric-route$'
	! grep '^problem: rp-filter' "$SCRATCH/said" || fail "strict for all, loose for host3: it is loose"
	# A controller that nobody answers is long in going.
	disconnect
	on_host ip route del 10.0.0.0/24 dev host0
	on_host ip route del 10.0.0.0/24 dev host3
	finds host no-route --peer "$(target_ip 0)"
}

# A firewall that removes MPTCP's options, on all ways and on one.
test_fallback() {
	on_host nft add table inet strip '{ chain output { type filter hook output priority 0;
		tcp dport 4420 reset tcp option mptcp; }; }'
	target
	connect mptcp --nr-io-queues=1
	finds host fallback
	finds host peer-without-mptcp --peer "$(target_ip 0)"
	disconnect
	on_host nft flush ruleset
	on_host nft add table inet strip '{ chain output { type filter hook output priority 0;
		oifname host2 tcp dport 4420 reset tcp option mptcp; }; }'
	connect mptcp --nr-io-queues=1
	finds host mptcp-stripped --peer "$(target_ip 0)"
	said 'host2'
}

test_firewall_on_one_way() {
	on_host nft add table inet block '{ chain out { type filter hook output priority 0; oifname host2 tcp dport 4420 drop; }; }'
	target
	connect mptcp --nr-io-queues=1
	wait_for 20 _three_nics
	finds host unused-nic
	said 'host2'
}

_three_nics() {
	local nic
	for nic in 0 1 3; do
		[[ $(tcp_connections host $nic) -ge $(queues) ]] || return 1
	done
}

test_unreachable_peer() {
	modprobe nvme_mptcp
	finds host peer-unreachable --peer "$(target_ip 0)" --port 4421
}

test_controllers() {
	target
	_fabrics_device
	connect mptcp --nr-io-queues=1
	connect mptcp --nr-io-queues=1 --duplicate-connect
	wait_for 20 _all_nics
	finds host iopolicy-numa
	said 'queue-depth'
	connect tcp --nr-io-queues=1
	echo queue-depth >"$(echo /sys/class/nvme-subsystem/*/iopolicy)"
	hints host tcp-controllers
	said "with one NIC each: $CTRL"
	# It is in use.
	! grep disconnect "$SCRATCH/said" || fail "it advises to interrupt I/O"
}

# Looking takes no privilege; and who cannot look says so, instead of finding nothing.
test_not_root_and_blind() {
	connected
	expect 0 on_host setpriv --reuid=1000 --clear-groups "$TOOL" doctor
	said '^sound: '
	expect 2 on_host strace -o /dev/null -e trace=socket -e inject=socket:error=EMFILE:when=3 "$TOOL" doctor
	said '^could not look: .*Too many open files'
}

run_tests "$@"
