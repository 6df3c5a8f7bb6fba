# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The network of a test: a host and a target, each in a network namespace, joined by NICs.
#
#	  namespace nvme-host                        namespace nvme-target
#	+---------------------+                    +---------------------+
#	|               host0 | 10.0.0.1  10.0.0.2 | tgt0                |
#	|                     | fd00:0::1 fd00:0::2|      <- the address of the port
#	|               host1 | 10.0.1.1  10.0.1.2 | tgt1                |
#	|               host2 | 10.0.2.1  10.0.2.2 | tgt2                |
#	|               host3 | 10.0.3.1  10.0.3.2 | tgt3                |
#	+---------------------+                    +---------------------+
#	  accepts announced                          announces the address
#	  addresses                                  of each NIC (signal)
#
# Each pair is a subnet of its own, so an announced address is reached through its own NIC. The pairs are veth, or
# virtio NICs if the machine was started with them (scripts/vm run --nics 4): same names.

readonly HOST_NS=nvme-host TARGET_NS=nvme-target

# host_ip NUMBER, target_ip NUMBER: the address of a NIC. FAMILY=6 gives the IPv6 one.
host_ip() { _ip "$1" 1; }
target_ip() { _ip "$1" 2; }
_ip() { [[ ${FAMILY:-4} == 6 ]] && echo "fd00:$1::$2" || echo "10.0.$1.$2"; }

# on_host COMMAND..., on_target COMMAND...: runs it in a network namespace. Unlike ip-netns-exec
# this leaves /sys alone, where configfs is.
on_host() { nsenter --net=/run/netns/$HOST_NS "$@"; }
on_target() { nsenter --net=/run/netns/$TARGET_NS "$@"; }

# links [--virtio] [N]: makes the network of N pairs, 4 unless told. $NICS is their number.
links() {
	local virtio=0 i
	if [[ ${1:-} == --virtio ]]; then
		virtio=1
		shift
	fi
	NICS=${1:-4}
	ip netns add $HOST_NS
	ip netns add $TARGET_NS
	for ((i = 0; i < NICS; i++)); do
		if ((virtio)); then
			[[ -e /sys/class/net/host$i && -e /sys/class/net/tgt$i ]] || lacks "the NIC pair $i"
			echo "link set host$i netns $HOST_NS"
			echo "link set tgt$i netns $TARGET_NS"
		else
			echo "link add host$i netns $HOST_NS type veth peer name tgt$i netns $TARGET_NS"
		fi
	done >"$SCRATCH/ip"
	# A pair from each namespace to the initial one: it goes when the namespace goes, thus
	# tells whether something still holds the namespace after the test.
	{
		cat "$SCRATCH/ip"
		echo "link add canary-host type veth peer name canary netns $HOST_NS"
		echo "link add canary-target type veth peer name canary netns $TARGET_NS"
	} | ip -batch -
	_addresses $HOST_NS host 1 | ip -n $HOST_NS -batch -
	_addresses $TARGET_NS tgt 2 | ip -n $TARGET_NS -batch -
	ip -n $HOST_NS mptcp limits set subflows 8 add_addr_accepted 8
	ip -n $TARGET_NS mptcp limits set subflows 8
	for ((i = 0; i < NICS; i++)); do
		echo "mptcp endpoint add $(FAMILY=4 target_ip $i) dev tgt$i signal"
	done | ip -n $TARGET_NS -batch -
}

_addresses() {
	local i
	echo "link set lo up"
	for ((i = 0; i < NICS; i++)); do
		echo "link set $2$i up"
		echo "addr add 10.0.$i.$3/24 dev $2$i"
		echo "addr add fd00:$i::$3/64 dev $2$i nodad"
	done
}

# limit_rate MBIT [NIC...]: limits the NICs of the given numbers, or all, to MBIT/s in both
# directions. A burst may be as long as 20 ms, because timers are late on a busy emulated processor,
# and what they are late by would be lost.
limit_rate() {
	local mbit=$1
	shift
	_qdisc tbf rate "${mbit}mbit" burst $((mbit * 2500)) latency 50ms -- "$@"
}

# impair NETEM-OPTION... -- [NIC...]: netem in both directions, as "delay 5ms loss 0.5%". Its limit holds
# delayed packets too, so it must be generous; and it drops whole GSO packets,
# so segmentation offload is turned off, for losses to be those of a wire.
impair() {
	local i
	for ((i = 0; i < NICS; i++)); do
		on_host ethtool -K host$i gso off tso off gro off
		on_target ethtool -K tgt$i gso off tso off gro off
	done
	_qdisc netem limit 100000 "$@"
}

# _qdisc QDISC... -- [NIC...]
_qdisc() {
	local qdisc=() i
	while [[ $1 != -- ]]; do
		qdisc+=("$1")
		shift
	done
	shift
	(($#)) || set -- $(seq 0 $((NICS - 1)))
	for i; do
		tc -n $HOST_NS qdisc replace dev host$i root "${qdisc[@]}"
		tc -n $TARGET_NS qdisc replace dev tgt$i root "${qdisc[@]}"
	done
}

# mib host|target NAME: a counter of the namespace, since it was made; as MPTcpExtMPJoinAckRx.
mib() {
	"on_$1" nstat -asz "$2" | awk -v name="$2" '$1 == name { print $2 }'
}

# bytes_sent host|target NIC
bytes_sent() {
	local ns=$HOST_NS name=host$2
	[[ $1 == host ]] || ns=$TARGET_NS name=tgt$2
	ip -n $ns -j -s link show "$name" | jq '.[0].stats64.tx.bytes'
}

# Takes the network away.
links_clean() {
	local ns nic
	for ns in $HOST_NS $TARGET_NS; do
		[[ -e /run/netns/$ns ]] || continue
		# The listener of an endpoint "signal port" holds the namespace (7.3).
		ip -n $ns mptcp endpoint flush
		# Virtio NICs come back by themselves, under their names.
		ip netns del $ns
	done
	wait_for 20 _links_are_gone
	for nic in /sys/class/net/{host,tgt}*; do
		[[ ! -e $nic ]] || tc qdisc del dev "${nic##*/}" root 2>/dev/null || true
	done
}

_links_are_gone() {
	local canary
	for canary in /sys/class/net/canary-*; do
		[[ -e $canary ]] || continue
		echo "something still uses the network namespace nvme-${canary##*-}"
		return 1
	done
}
