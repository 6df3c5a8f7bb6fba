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
# with "tcp", as hdr_digest. $TRADDR and $TRSVCID, if set, are used for the address; an empty $TRSVCID is left out. $FROM
# is the network namespace, if not the host's.
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
	options=nqn=$NQN,transport=$transport,traddr=${TRADDR:-$(target_ip 0)}
	[[ -z ${TRSVCID-$PORT} ]] || options+=,trsvcid=${TRSVCID-$PORT}
	options+=,hostnqn=$(</etc/nvme/hostnqn),hostid=$(</etc/nvme/hostid)
	# shellcheck disable=SC2016 # for the inner shell
	nsenter --net="/run/netns/${FROM:-$HOST_NS}" bash -c 'exec 3<>/dev/nvme-fabrics && printf "%s" "$1" >&3 && read -r line <&3 &&
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

# host_parameter NAME VALUE: of the loaded host module.
host_parameter() { echo "$2" >"/sys/module/nvme_mptcp/parameters/$1"; }

# path_device: the name of the controller's own block device, as nvme0c0n1, below the disk of the subsystem.
path_device() {
	local path
	for path in /sys/class/nvme/"$CTRL"/nvme*n*; do
		echo "${path##*/}"
	done
}

# moved_by sent|received BYTES: the local ports of the connections that have moved more than BYTES, a line each.
moved_by() {
	connections host | awk -v name="bytes_$1" -v least="$2" '
		{ port = $3; sub(/.*:/, "", port)
		  for (i = 1; i <= NF; i++) if (split($i, f, ":") == 2 && f[1] == name && f[2] > least) print port }'
}

# bytes sent|received: the sum over all connections of the controller.
bytes() { connections host | sed -n "s/.*bytes_$1:\([0-9]*\).*/\1/p" | paste -sd+ | bc; }

# recoveries: how often error recovery has begun.
recoveries() { dmesg_count 'starting error recovery'; }

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
	[[ -n $want ]] || return 1
	for end in host target; do
		[[ $(subflows $end) == "$want" ]] && continue
		echo "expected $1 subflows a connection, at $end:"
		connections $end
		return 1
	done
}

# core_timeouts IO ADMIN: the seconds after which commands of controllers made from then on time out; longer on a slow kernel.
core_timeouts() {
	echo $(($1 * SLOW)) >/sys/module/nvme_core/parameters/io_timeout
	echo $(($2 * SLOW)) >/sys/module/nvme_core/parameters/admin_timeout
}

# usual_timeouts: the kernel's own. On a slow kernel longer, but not so long that who waits for a command is taken to hang.
usual_timeouts() {
	if ((SLOW == 1)); then
		core_timeouts 30 60
	else
		core_timeouts 15 18
	fi
}

# swap_on: the disk is swap, until the end of the test.
swap_on() {
	mkswap -q $DISK
	echo $DISK >$SCRATCH/swap
	swapon $DISK
}
swap_off() {
	swapoff "$(<$SCRATCH/swap)"
	rm $SCRATCH/swap
}

# file_system: there is one on the disk, mounted at $SCRATCH/mnt.
file_system() {
	mkfs.ext4 -q $DISK
	mkdir $SCRATCH/mnt
	mount $DISK $SCRATCH/mnt
}

# Deletes all fabrics controllers, even those that hang in their I/O, and unloads the transports.
host_clean() {
	local ctrl status=0
	# What uses their disks.
	[[ ! -e $SCRATCH/swap ]] || swap_off || status=1
	! mountpoint -q $SCRATCH/mnt || umount $SCRATCH/mnt || status=1
	# What a target passes through is held by it.
	for ctrl in "$NVMET"/subsystems/*/passthru/enable; do
		[[ ! -e $ctrl || $(<"$ctrl") == 0 ]] || echo 0 >"$ctrl" || status=1
	done
	for ctrl in $(controllers); do
		echo 1 >"/sys/class/nvme-fabrics/ctl/$ctrl/delete_controller" || true
	done
	wait_for 30 _no_controllers
	[[ ! -e /sys/module/nvme_core ]] || usual_timeouts
	unload nvme_mptcp nvme_tcp || status=1
	return $status
}

_no_controllers() {
	controllers
	[[ -z $(controllers) ]]
}
