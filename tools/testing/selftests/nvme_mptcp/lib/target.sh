# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The target of a test: subsystems, namespaces on null_blk and ports, by configfs.

readonly NVMET=/sys/kernel/config/nvmet NULLB=/sys/kernel/config/nullb
readonly NQN=nqn.2026-01.io.nvme-mptcp:test PORT=4420

# target_module mptcp|tcp: who serves addr_trtype "tcp": ours (nvmet_mptcp) or the stock
# nvmet-tcp.
target_module() {
	case $1 in
	mptcp) modprobe nvmet_mptcp ;;
	tcp) modprobe nvmet-tcp ;;
	esac
}

# backing NAME data|void [MEGABYTES]: a null_blk device, prints its path. "data" keeps what is
# written, for checking it; "void" does not, for measuring.
backing() {
	local dir=$NULLB/$1 keeps=0
	[[ $2 == void ]] || keeps=1
	modprobe null_blk nr_devices=0
	mkdir "$dir"
	echo "$keeps" >"$dir/memory_backed"
	echo "${3:-256}" >"$dir/size"
	echo 1 >"$dir/power"
	# Its name is its index until 7.x, then the directory's.
	_backing_path "$1"
}

_backing_path() {
	if [[ -b /dev/$1 ]]; then
		echo "/dev/$1"
	else
		echo "/dev/nullb$(<"$NULLB/$1/index")"
	fi
}

# subsystem [NQN] [DEVICE...]: a subsystem that any host may use, with a namespace of each DEVICE.
subsystem() {
	local dir=$NVMET/subsystems/${1:-$NQN} nsid=0
	shift
	mkdir "$dir"
	echo 1 >"$dir/attr_allow_any_host"
	for device; do
		nsid=$((nsid + 1))
		mkdir "$dir/namespaces/$nsid"
		echo "$device" >"$dir/namespaces/$nsid/device_path"
		echo 1 >"$dir/namespaces/$nsid/enable"
	done
}

# show_namespace DIR: enables it while $CTRL is connected, and the host hears of it. nvmet says so a moment before the
# namespace is in its lists (nvmet_ns_enable in drivers/nvme/target/core.c, 7.3), and a host that looks in that moment
# misses it; so it is asked to look once more.
show_namespace() {
	local before
	before=$(dmesg_count "$CTRL: rescanning namespaces")
	echo 1 >"$1/enable"
	wait_for 20 _has_rescanned "$before"
	nvme ns-rescan /dev/$CTRL
}
_has_rescanned() { (($(dmesg_count "$CTRL: rescanning namespaces") > $1)); }

# port ID [ADDRESS] [TRSVCID]: a port that serves nothing yet.
port() {
	local dir=$NVMET/ports/$1 address=${2:-0.0.0.0}
	mkdir "$dir"
	echo tcp >"$dir/addr_trtype"
	[[ $address == *:* ]] && echo ipv6 >"$dir/addr_adrfam" || echo ipv4 >"$dir/addr_adrfam"
	echo "$address" >"$dir/addr_traddr"
	echo "${3:-$PORT}" >"$dir/addr_trsvcid"
}

# serve ID [NQN]: a port serves a subsystem. With the first it begins to listen, in the network
# namespace of the target. unserve is the opposite.
serve() {
	on_target ln -s "$NVMET/subsystems/${2:-$NQN}" "$NVMET/ports/$1/subsystems/${2:-$NQN}"
}
unserve() { rm "$NVMET/ports/$1/subsystems/${2:-$NQN}"; }

# listen_on ADDRESS: port 1 listens there instead.
listen_on() {
	unserve 1
	rmdir $NVMET/ports/1
	port 1 "$1"
	serve 1
}

# target [--module mptcp|tcp] [data|void] [MEGABYTES]: all of it, with one namespace, on port 1.
target() {
	local module=mptcp device
	if [[ ${1:-} == --module ]]; then
		module=$2
		shift 2
	fi
	target_module "$module"
	device=$(backing nmtest "${1:-data}" "${2:-256}")
	subsystem $NQN "$device"
	port 1
	serve 1
}

# target_param NAME VALUE: a parameter of nvmet_mptcp.
target_param() { echo "$2" >"/sys/module/nvmet_mptcp/parameters/$1"; }

# target_residue: what the target has because of hosts: sockets, those that listen included, and references
# on the module. Remember it, and target_gets_rid "$BEFORE" waits until that is all that there is,
# and no controller is left: the next one has the number 1 again.
target_residue() {
	# shellcheck disable=SC2016 # awk's
	on_target awk '$1 ~ /^(MP)?TCP(v6)?$/ { printf "%s %s, ", $1, $3 }' /proc/net/protocols
	echo "module $(</sys/module/nvmet_mptcp/refcnt)"
}
target_gets_rid() {
	wait_for 60 _target_is_as "$1"
	[[ $(peer protocol controller_number) == 1 ]]
	wait_for 60 _target_is_as "$1"
}
_target_is_as() {
	echo "before: $1; now: $(target_residue)"
	[[ $(target_residue) == "$1" ]]
}

# peer SCRIPT ARGUMENT...: a host in user space (peer/), that talks to port 1 and the subsystem $PEER_NQN.
peer() {
	local script=$1
	shift
	on_host "$_LIB/../peer/$script.py" "$(target_ip 0)" $PORT "${PEER_NQN:-$NQN}" "$@"
}

# pass_through NQN CTRL: a subsystem that passes a controller of this machine through.
pass_through() {
	local dir=$NVMET/subsystems/$1
	mkdir "$dir"
	echo 1 >"$dir/attr_allow_any_host"
	echo "/dev/$2" >"$dir/passthru/device_path"
	echo 1 >"$dir/passthru/clear_ids"
	echo 1 >"$dir/passthru/enable"
}

# Takes all targets away, whoever made them.
target_clean() {
	local dir status=0
	for dir in "$NVMET"/ports/*/subsystems/*; do
		[[ ! -L $dir ]] || rm "$dir" || status=1
	done
	for dir in "$NVMET"/ports/*/referrals/* "$NVMET"/ports/*/ana_groups/[2-9]* "$NVMET"/ports/* \
		"$NVMET"/subsystems/*/allowed_hosts/* "$NVMET"/subsystems/*/namespaces/* \
		"$NVMET"/subsystems/* "$NVMET"/hosts/* "$NULLB"/[!f]*/; do
		if [[ -L $dir ]]; then
			rm "$dir" || status=1
		elif [[ -d $dir ]]; then
			rmdir "$dir" || status=1
		fi
	done
	unload nvmet_mptcp nvmet_tcp nvme_loop nvmet null_blk || status=1
	return $status
}

# unload MODULE...: those that are loaded.
unload() {
	local module status=0
	for module; do
		[[ ! -e /sys/module/$module/holders ]] || rmmod "$module" || status=1
	done
	return $status
}
