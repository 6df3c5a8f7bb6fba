#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The options of a connect that say from where, to where, and how its packets look.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links 2
	target
	listen_on ::
}

test_default_port() {
	port 2 0.0.0.0 8009
	serve 2
	TRSVCID='' connect_raw mptcp
	[[ $(attr address) == *trsvcid=8009* ]]
}

test_host_traddr() {
	local FAMILY
	on_host ip addr add 10.0.0.11/24 dev host0
	on_host ip addr add fd00:0::11/64 dev host0 nodad
	connect mptcp -w 10.0.0.11
	[[ $(attr address) == *src_addr=10.0.0.11* ]]
	[[ $(on_host ss -tHn state established src 10.0.0.11 dst 10.0.0.2 | wc -l) == "$(queues)" ]]
	disconnect
	FAMILY=6
	connect mptcp -w fd00::11
	[[ $(attr address) == *src_addr=fd00::11* ]]
	# Of somebody else.
	disconnect
	connect_fails 'assign requested address' mptcp host_traddr=fd00::22
	connect_fails 'Invalid argument' mptcp host_traddr=nonsense
}

# An address that is reached through either NIC, by route through the first.
test_host_iface() {
	on_target ip addr add 10.9.9.9/32 dev lo
	on_host ip route add 10.9.9.9 via 10.0.0.2 metric 1
	on_host ip route add 10.9.9.9 via 10.0.1.2 metric 2
	connect mptcp -a 10.9.9.9
	[[ $(on_host ss -tHn state established src 10.0.0.1 dst 10.9.9.9 | wc -l) == "$(queues)" ]]
	disconnect
	connect mptcp -a 10.9.9.9 -f host1
	[[ $(on_host ss -tHn state established src 10.0.1.1 dst 10.9.9.9 | wc -l) == "$(queues)" ]]
	disconnect
	# It is for the first subflow only.
	connect mptcp -f host0
	wait_for 20 has_subflows 2
	disconnect
	connect_fails 'No such device' mptcp host_iface=nosuch
	says 'there is no interface nosuch'
}

# A link-local address is one on a given NIC only.
test_link_local() {
	wait_for 10 _has_link_local
	TRADDR="$(_link_local)%host0" connect_raw mptcp
	verify --bs=64k --size=2m
	disconnect
	TRADDR="$(_link_local)%host1" connect_fails 'timed out|No route' mptcp
	TRADDR="$(_link_local)%nosuch" connect_fails 'Invalid argument' mptcp
}
_link_local() { ip -n $TARGET_NS -6 -o addr show dev tgt0 scope link | sed 's/.*inet6 \([^/]*\).*/\1/'; }
_has_link_local() {
	ip -n $TARGET_NS -6 -o addr show dev tgt0 scope link
	ip -n $HOST_NS -6 -o addr show dev host0 scope link
	[[ $(_link_local) == fe80:* ]] &&
		! ip -n $TARGET_NS -6 -o addr show dev tgt0 | grep tentative &&
		! ip -n $HOST_NS -6 -o addr show dev host0 | grep tentative
}

test_duplicate_connect() {
	local first
	connect mptcp
	first=$CTRL
	connect_raw mptcp duplicate_connect
	[[ $(controllers) == "$first"$'\n'"$CTRL" ]]
}

# _count HEADER VALUE: counts the packets with data that arrive by each NIC, by whether HEADER is VALUE.
_count() {
	local ip=$1 match=$2 nic
	on_target nft flush ruleset
	{
		echo "table inet count { chain input { type filter hook input priority 0;"
		for nic in 0 1; do
			echo "iifname tgt$nic tcp dport $PORT $ip $match counter comment \"right$nic\""
			echo "iifname tgt$nic tcp dport $PORT $ip != $match counter comment \"wrong$nic\""
		done
		echo "}; };"
	} | on_target nft -f -
}
_counted() {
	on_target nft -j list ruleset | jq "[.nftables[].rule? | select(.comment == \"$1\") |
		.expr[].counter?.packets | numbers][0]"
}

test_tos() {
	_count "ip dscp" 18
	limit_rate 25
	connect mptcp -T 72
	wait_for 20 has_subflows 2
	verify --bs=64k --size=8m
	note "packets with the TOS, by NIC: $(_counted right0) $(_counted right1)"
	(($(_counted right0) > 10 && $(_counted right1) > 10))
	[[ $(_counted wrong0)$(_counted wrong1) == 00 ]]
	disconnect
	# The kernel has none for IPv6, and says so.
	FAMILY=6 connect mptcp -T 72
	says "option 'tos' has no effect: MPTCP sockets have no traffic class for IPv6"
}

# SO_PRIORITY does not leave the machine; it is what queueing disciplines see.
test_so_priority() {
	modprobe nvme_mptcp
	host_parameter so_priority 5
	on_host nft -f - <<-END
		table inet count { chain output { type filter hook output priority 0;
			oifname "host1" tcp dport $PORT meta length > 500 meta priority 0:5 counter comment "right"
			oifname "host1" tcp dport $PORT meta length > 500 meta priority != 0:5 counter comment "wrong"
		}; };
	END
	limit_rate 25
	connect mptcp
	wait_for 20 has_subflows 2
	verify --bs=64k --size=8m
	on_host nft -j list ruleset >$SCRATCH/nft
	jq -e '[.nftables[].rule? | select(.comment == "right") | .expr[].counter?.packets | numbers][0] > 10' $SCRATCH/nft
	jq -e '[.nftables[].rule? | select(.comment == "wrong") | .expr[].counter?.packets | numbers][0] == 0' $SCRATCH/nft
}

# Every subflow has the congestion control of the parameter, and only those of new connections; a
# name that there is not is refused. A controller keeps what it has.
test_congestion() {
	modprobe nvme_mptcp
	connect mptcp
	wait_for 20 has_subflows 2
	! on_host ss -tiHn state established dst "$(target_ip 1):$PORT" | grep -w reno || fail "reno is the default"
	disconnect
	host_parameter congestion reno
	connect mptcp
	wait_for 20 has_subflows 2
	for nic in 0 1; do
		[[ $(on_host ss -tiHnO state established dst "$(target_ip $nic):$PORT" | grep -cw reno) == "$(queues)" ]]
	done
	host_parameter congestion no_such
	nvme reset "/dev/$CTRL"
	wait_for 30 in_state live
	[[ $(attr mptcp_congestion) == reno ]]
	disconnect
	connect_fails 'No such file' mptcp
	says 'cannot set up the socket .*error -2'
	host_parameter congestion ''
	connect mptcp
}

# An address that does not answer is given up about as soon as nvme-tcp does.
test_dead_address() {
	local start tcp mptcp
	on_target nft add table inet dead '{ chain input { type filter hook input priority 0; policy drop; }; }'
	start=$(date +%s%N)
	connect_fails 'timed out' tcp
	tcp=$(($(date +%s%N) - start))
	start=$(date +%s%N)
	connect_fails 'timed out' mptcp
	mptcp=$(($(date +%s%N) - start))
	note "given up after $((mptcp / 1000000)) ms, nvme-tcp after $((tcp / 1000000)) ms"
	((mptcp < 2 * tcp && tcp < 2 * mptcp))
	says 'cannot connect to 10.0.0.2:4420: error -110'
}

test_unknown_option_and_bad_address() {
	connect_fails 'Invalid argument' mptcp nosuch=1
	TRADDR=10.0.0 connect_fails 'Invalid argument' mptcp
	says 'malformed target address 10.0.0:4420'
	TRSVCID=70000 connect_fails 'Invalid argument|Numerical' mptcp
}

run_tests "$@"
