# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The host of a test: controllers, their state, their connections.
#
# connect and its like set $CTRL (as nvme0) and $DISK (as /dev/nvme0n1) for what follows.

# connect TRANSPORT [OPTION of nvme-connect...]: to the target's first NIC, unless -a says otherwise.
connect() {
	local transport=$1
	shift
	_fabrics_device
	CTRL=$(on_host nvme connect -t "$transport" -n $NQN -a "$(target_ip 0)" -s $PORT -o json "$@" |
		jq -r .device)
	wait_for_disk
}

# connect_raw TRANSPORT [OPTION...]: the same through /dev/nvme-fabrics, for what nvme-cli sends only
# with "tcp", as hdr_digest. Also sets ERRNO (as EINVAL) when it fails.
connect_raw() {
	_fabrics "$@" || { cat "$SCRATCH/fabrics" >&2 && return 1; }
	CTRL=nvme$(sed 's/^instance=\([0-9]*\).*/\1/' "$SCRATCH/fabrics")
	wait_for_disk
}

# connect_fails REGEX TRANSPORT [OPTION...]: it is refused with an error that matches REGEX,
# and no controller is left.
connect_fails() {
	local error=$1
	shift
	! _fabrics "$@" || fail "connected although it must not: $*"
	grep -E -- "$error" "$SCRATCH/fabrics" >/dev/null ||
		fail "expected '$error', but: $(<"$SCRATCH/fabrics")"
	[[ -z $(controllers) ]] || fail "refused, but there is a controller: $(controllers)"
}

# What systemd does at boot, by a file of the package nvme-cli.
_fabrics_device() { [[ -e /dev/nvme-fabrics ]] || modprobe nvme-fabrics; }

# The device wants the write and the read through one descriptor.
_fabrics() {
	local options transport=$1
	shift
	_fabrics_device
	options=nqn=$NQN,transport=$transport,traddr=$(target_ip 0),trsvcid=$PORT
	options+=,hostnqn=$(</etc/nvme/hostnqn),hostid=$(</etc/nvme/hostid)
	# shellcheck disable=SC2016 # for the inner shell
	on_host bash -c 'exec 3<>/dev/nvme-fabrics && printf "%s" "$1" >&3 && read -r line <&3 &&
		echo "$line"' bash "$options$(printf ',%s' "$@")" >"$SCRATCH/fabrics" 2>&1
}

# disconnect [CTRL]
disconnect() { nvme disconnect -d "${1:-$CTRL}"; }

# controllers: the names of all fabrics controllers, a line each.
controllers() {
	local ctrl
	for ctrl in /sys/class/nvme-fabrics/ctl/nvme*; do
		[[ ! -e $ctrl ]] || echo "${ctrl##*/}"
	done
}

# state: of the controller. in_state STATE: for wait_for.
state() { cat "/sys/class/nvme/$CTRL/state"; }
in_state() {
	state
	[[ $(state) == "$1" ]]
}
attr() { cat "/sys/class/nvme/$CTRL/$1"; }

# wait_for_disk: until the namespace of the controller is there. Sets $DISK.
wait_for_disk() {
	wait_for 20 _find_disk
	_find_disk
}

_find_disk() {
	local subsystem disk
	for subsystem in /sys/class/nvme-subsystem/*; do
		[[ -e $subsystem/$CTRL ]] || continue
		# With native multipath the disk belongs to the subsystem, without to the controller.
		for disk in "$subsystem"/nvme*n* "$subsystem/$CTRL"/nvme*n*; do
			DISK=/dev/${disk##*/}
			[[ ! $DISK =~ ^/dev/nvme[0-9]+n[0-9]+$ || ! -b $DISK ]] || return 0
		done
	done
	echo "$CTRL has no namespace"
	return 1
}

# queues: number of connections of the controller, the admin queue's included.
queues() { attr queue_count; }

# connections host|target: the MPTCP connections of that end, a line each, as ss -M -i has them.
connections() {
	local end=dst
	[[ $1 == host ]] || end=src
	"on_$1" ss -MHnOi state established "$end" "$(target_ip 0):$PORT"
}

# subflows host|target: the number of subflows of each connection, a line each.
subflows() { connections "$1" | sed -n 's/.*subflows_total:\([0-9]*\).*/\1/p'; }

# tcp_connections host|target NIC: the number of TCP connections (subflows or plain) through that NIC.
tcp_connections() {
	local address
	[[ $1 == host ]] && address=$(host_ip "$2") || address=$(target_ip "$2")
	"on_$1" ss -tHnO state established src "$address" | wc -l
}

# has_subflows N [CONNECTIONS]: at both ends every connection of the controller has N subflows.
has_subflows() {
	local end want
	want=$(yes "$1" | head -n "${2:-$(queues)}")
	for end in host target; do
		[[ $(subflows $end) == "$want" ]] && continue
		echo "expected $1 subflows a connection, at $end:"
		connections $end
		return 1
	done
}

# Deletes all fabrics controllers, even those that hang in their I/O, and unloads the transports.
host_clean() {
	local ctrl status=0
	for ctrl in $(controllers); do
		echo 1 >"/sys/class/nvme-fabrics/ctl/$ctrl/delete_controller" || true
	done
	wait_for 30 _no_controllers
	unload nvme_mptcp nvme_tcp || status=1
	return $status
}

_no_controllers() {
	controllers
	[[ -z $(controllers) ]]
}
