# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The ways to use several NICs that are compared. Each is brought up by a command that an operator
# would use, with as many I/O queues per controller as there are processors.
#
#	tcp		nvme-tcp and nvmet-tcp, on the first NIC
#	numa, round-robin, queue-depth
#			the same, a controller for each NIC, native multipath with that policy
#	mptcp		nvme-mptcp and nvmet_mptcp, on all NICs
#	mptcp-1		the same without additional subflows: what MPTCP itself costs
#	mptcp-bbr	nvme-mptcp with its parameter congestion=bbr
#	queue-depth-bbr	native multipath, with BBR for everything on both machines

# peer_up PEER: the target, the connection; sets $DISK and $PEER.
peer_up() {
	PEER=$1
	set_congestion "$PEER"
	case $PEER in
	mptcp*) target void ;;
	*) target --module tcp void ;;
	esac
	case $PEER in
	tcp) connect tcp ;;
	mptcp-1)
		ip -n $HOST_NS mptcp limits set subflows 0 add_addr_accepted 0
		connect mptcp
		;;
	mptcp | mptcp-bbr)
		ip -n $HOST_NS mptcp limits set subflows 8 add_addr_accepted 8
		connect mptcp
		wait_for 20 has_subflows "$NICS"
		;;
	*)
		local nic
		for ((nic = 0; nic < NICS; nic++)); do
			connect tcp -a "$(target_ip $nic)" -w "$(host_ip $nic)"
		done
		echo "${PEER%-bbr}" | tee /sys/class/nvme-subsystem/*/iopolicy >/dev/null
		;;
	esac
}

# set_congestion PEER: BBR for those that have it in their name, as an operator would set it, else
# what the kernel has by default.
set_congestion() {
	local ns file all=cubic ours=''
	modprobe tcp_bbr
	# Only what is allowed there may become the default of a network namespace.
	sysctl -q net.ipv4.tcp_allowed_congestion_control="reno cubic bbr"
	case $1 in
	mptcp-bbr) ours=bbr ;;
	*-bbr) all=bbr ;;
	esac
	for ns in $HOST_NS $TARGET_NS; do
		ip netns exec $ns sysctl -q net.ipv4.tcp_congestion_control=$all
	done
	[[ $1 == mptcp* ]] || return 0
	target_module mptcp
	modprobe nvme_mptcp
	for file in /sys/module/nvme{,t}_mptcp/parameters/congestion; do
		echo $ours >"$file"
	done
}

peer_down() {
	host_clean
	target_clean
}
