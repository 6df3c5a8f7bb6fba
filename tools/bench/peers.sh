# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The ways to use several NICs that are compared. Each is brought up by a command that an operator
# would use, with as many I/O queues per connection, or per controller, as there are processors.
#
#	tcp		nvme-tcp and nvmet-tcp, on the first NIC
#	numa, round-robin, queue-depth
#			the same, a controller for each NIC, native multipath with that policy
#	mptcp		nvme-mptcp and nvmet_mptcp, on all NICs
#	mptcp-1		the same without additional subflows: what MPTCP itself costs

# peer_up PEER: the target, the connection; sets $DISK and $PEER.
peer_up() {
	PEER=$1
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
	mptcp)
		ip -n $HOST_NS mptcp limits set subflows 8 add_addr_accepted 8
		connect mptcp
		wait_for 20 has_subflows "$NICS"
		;;
	*)
		local nic
		for ((nic = 0; nic < NICS; nic++)); do
			connect tcp -a "$(target_ip $nic)" -w "$(host_ip $nic)"
		done
		echo "$PEER" | tee /sys/class/nvme-subsystem/*/iopolicy >/dev/null
		;;
	esac
}

peer_down() {
	host_clean
	target_clean
}
