# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The cases. Each makes its network, has its peers take turns, and takes everything away.

# shellcheck disable=SC2034 # bench.sh takes it
CASES=(cpu equal unequal lossy pull scale)

# with_peers FUNCTION PEER...: the peers one after the other; every round begins with another.
with_peers() {
	local load=$1 peer first
	shift
	first=$(((ROUND - 1) % $# + 1))
	for peer in "${@:first}" "${@:1:first-1}"; do
		peer_up "$peer"
		$load
		peer_down
	done
}

ALL=(tcp mptcp mptcp-1 queue-depth round-robin numa)
SEVERAL=(mptcp queue-depth round-robin)

# No limit but the processor.
case_cpu() {
	links
	if ((QUICK)); then
		with_peers cpu_loads tcp mptcp
	else
		with_peers cpu_loads "${ALL[@]}"
	fi
	links_clean
}
cpu_loads() {
	local rw
	for rw in read write; do
		measure $rw 128k 2 32 3 6
		measure $rw 4k 2 32 2 5
		measure $rw 4k 1 1 1 5
		((QUICK)) || measure $rw 128k 1 1 1 5
	done
}

# Windows need some seconds to grow.
big_loads() {
	measure read 128k 2 32 $((QUICK ? 4 : 6)) $((QUICK ? 5 : 8))
	measure write 128k 2 32 $((QUICK ? 4 : 6)) $((QUICK ? 5 : 8))
}

case_equal() {
	links
	shape
	if ((QUICK)); then
		with_peers big_loads tcp "${SEVERAL[@]}"
	else
		with_peers big_loads "${ALL[@]}" mptcp-bbr
	fi
	links_clean
}

# One of four NICs at half speed.
case_unequal() {
	links
	shape
	limit_rate $((RATE / 2)) 3
	with_peers big_loads "${SEVERAL[@]}"
	links_clean
}

case_lossy() {
	links
	shape delay 5ms loss 0.5%
	with_peers big_loads "${SEVERAL[@]}" mptcp-bbr queue-depth-bbr
	links_clean
}

# A NIC dies: its peer is switched off, so the host sees no carrier; or packets vanish in silence.
case_pull() {
	local how deaths=(down silent) peers=("${SEVERAL[@]}")
	((!QUICK)) || deaths=(down) peers=(queue-depth mptcp)
	for how in "${deaths[@]}"; do
		for PEER in "${peers[@]}"; do
			links
			shape
			peer_up "$PEER"
			measure_pull read $how
			peer_down
			links_clean
		done
	done
}

# As many subflows as NICs; slow enough that eight are not too much for the processor.
case_scale() {
	local n counts=(1 2 4 8)
	((!QUICK)) || counts=(1 4)
	for n in "${counts[@]}"; do
		links $n
		limit_rate $((RATE / 2))
		peer_up mptcp
		big_loads
		peer_down
		links_clean
	done
}

# shape [NETEM-OPTION...]: all NICs at $RATE.
shape() {
	local i
	for ((i = 0; i < NICS; i++)); do
		ip -n $HOST_NS link set host$i mtu "$MTU"
		ip -n $TARGET_NS link set tgt$i mtu "$MTU"
	done
	if (($#)); then
		impair "$@" rate "${RATE}mbit" --
	else
		limit_rate "$RATE"
	fi
}

impair_nic() {
	local nic=$1
	shift
	_qdisc netem limit 100000 "$@" -- "$nic"
}
