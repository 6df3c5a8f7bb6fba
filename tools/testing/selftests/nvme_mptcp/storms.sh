#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The same many times, and everything at once: afterwards the data are right, and all is as it was before.
#
#	SOAK_COUNT	how many times, 100 unless told; what takes longer is done fewer times
#	SOAK_MINUTES	of the random mix, 15 unless told
#	SOAK_SEED	of what is random; each test tells it
#
# set: soak
# vm: --nics 4
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

SOAK_COUNT=${SOAK_COUNT:-100}
SOAK_MINUTES=${SOAK_MINUTES:-15}
SOAK_SEED=${SOAK_SEED:-1}
TEST_TIMEOUT=$((300 + SOAK_COUNT * 20 + SOAK_MINUTES * 60))

setup() {
	RANDOM=$SOAK_SEED
	note "SOAK_SEED=$SOAK_SEED"
	links --virtio
	set-link 0 1 2 3 on
	target
}

# ready [OPTION...]: a controller that waits patiently, and I/O on it.
ready() {
	connect mptcp --reconnect-delay=1 --ctrl-loss-tmo=600 "$@"
	wait_for 20 has_subflows 4
	verify --bs=64k --size=2m
	BEFORE=$(footprint)
	verify_meanwhile
}
all_is_well() {
	wait_for 90 in_state live
	verify_ends
	wait_for 60 has_subflows 4
	footprint_is "$BEFORE"
	verify --bs=64k --size=4m
}

load_and_unload() {
	modprobe nvme_mptcp
	modprobe nvmet_mptcp
	rmmod nvmet_mptcp
	rmmod nvme_mptcp
}

test_load_and_unload() {
	local before
	target_clean
	load_and_unload
	before=$(memory)
	repeat "$SOAK_COUNT" load_and_unload
	no_more_memory "$before"
}

four_controllers() {
	local i pids=()
	for i in 1 2 3 4; do
		on_host nvme connect -t mptcp -n $NQN -a 10.0.0.2 -s $PORT -D >>"$SCRATCH/connects" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	nvme disconnect -n $NQN
	[[ -z $(controllers) ]]
}

test_connect_and_disconnect_4_at_once() {
	local before memory
	_fabrics_device
	repeat 5 four_controllers
	before=$(footprint) memory=$(memory)
	repeat "$SOAK_COUNT" four_controllers
	footprint_is "$before"
	no_more_memory "$memory"
	connect mptcp
	verify --bs=64k --size=2m
}

a_reset() {
	nvme reset /dev/"$CTRL"
	wait_for 60 in_state live
}

test_resets_under_load() {
	local memory
	ready
	repeat 5 a_reset
	memory=$(memory)
	repeat "$SOAK_COUNT" a_reset
	all_is_well
	no_more_memory "$memory"
}

# Of a random NIC, or two or three, at either end; one always stays.
a_nic_pull() {
	local nics=(0 1 2 3) count=$((RANDOM % 3 + 1)) i other swap end off on
	for ((i = 0; i < count; i++)); do
		other=$((i + RANDOM % (4 - i)))
		swap=${nics[i]} nics[i]=${nics[other]} nics[other]=$swap
	done
	nics=("${nics[@]:0:count}")
	pick end '' host tgt
	pick off 0.1 0.5 1 3
	pick on 0.1 0.5 1
	nics=("${nics[@]/#/$end}")
	set-link "${nics[@]}" off
	pause "$off"
	set-link "${nics[@]}" on
	pause "$on"
}

test_nic_pulls_under_load() {
	local memory
	ready
	repeat 3 a_nic_pull
	memory=$(memory)
	repeat $(((SOAK_COUNT + 1) / 2)) a_nic_pull
	all_is_well
	no_more_memory "$memory"
}

# The module cannot go before its port.
a_target_module_reload() {
	unserve 1
	rmmod nvmet_mptcp
	modprobe nvmet_mptcp
	serve 1
	wait_for 60 in_state live
	wait_for 60 io_runs
}

test_target_module_reloads_under_load() {
	local memory
	ready
	repeat 3 a_target_module_reload
	memory=$(memory)
	repeat $(((SOAK_COUNT + 4) / 5)) a_target_module_reload
	all_is_well
	no_more_memory "$memory"
}

a_namespace() {
	local dir=$NVMET/subsystems/$NQN/namespaces/2 time disable
	pick time 0 0.2 0.5
	pick disable yes no
	mkdir "$dir"
	echo "$SECOND" >"$dir/device_path"
	echo 1 >"$dir/enable"
	# Sometimes the host has seen it.
	pause "$time"
	[[ $disable == no ]] || echo 0 >"$dir/enable"
	rmdir "$dir"
}

test_namespaces_come_and_go_under_load() {
	local memory
	SECOND=$(backing second data 16)
	ready
	repeat 5 a_namespace
	memory=$(memory)
	repeat "$SOAK_COUNT" a_namespace
	all_is_well
	no_more_memory "$memory" 4096
}

# Each module goes while hosts connect. What they say does not matter.
a_connect_while_a_module_goes() {
	local i time module pids=()
	pick time 0 0.1 0.3 0.6 1
	pick module host target
	for i in 1 2 3; do
		on_host nvme connect -t mptcp -n $NQN -a 10.0.0.2 -s $PORT -D >>"$SCRATCH/connects" 2>&1 &
		pids+=($!)
	done
	pause "$time"
	if [[ $module == host ]]; then
		! rmmod nvme_mptcp 2>>"$SCRATCH/rmmod" || REMOVED=$((REMOVED + 1))
	else
		unserve 1
		rmmod nvmet_mptcp
		modprobe nvmet_mptcp
		serve 1
	fi
	for i in "${pids[@]}"; do
		! wait "$i" || CONNECTED=$((CONNECTED + 1))
	done
	nvme disconnect -n $NQN || true
	wait_for 60 _no_controllers
}

test_connects_while_modules_go() {
	local before memory
	_fabrics_device
	CONNECTED=0 REMOVED=0
	repeat 3 a_connect_while_a_module_goes
	modprobe nvme_mptcp
	before=$(footprint) memory=$(memory)
	repeat $(((SOAK_COUNT + 1) / 2)) a_connect_while_a_module_goes
	modprobe nvme_mptcp
	note "$CONNECTED controllers were connected, and the host's module was removed $REMOVED times"
	((CONNECTED > 0 && (REMOVED > 0 || SOAK_COUNT < 20)))
	footprint_is "$before"
	no_more_memory "$memory"
	connect mptcp
	verify --bs=64k --size=2m
}

# Without "nvme disconnect -n", which would take the controller that does the I/O.
some_other_controller() {
	local ctrl
	ctrl=$(on_host nvme connect -t mptcp -n $NQN-other -a 10.0.0.2 -s $PORT -o json 2>>"$SCRATCH/connects" |
		jq -r .device) || return 0
	OTHERS=$((OTHERS + 1))
	nvme disconnect -d "$ctrl" || true
}
an_endpoint() {
	local i=$((RANDOM % 3 + 1)) id time
	pick time 0.1 0.5 1
	id=$(ip -n $TARGET_NS -j mptcp endpoint show | jq ".[] | select(.address == \"10.0.$i.2\") | .id")
	ip -n $TARGET_NS mptcp endpoint delete id "$id"
	pause "$time"
	ip -n $TARGET_NS mptcp endpoint add 10.0.$i.2 dev tgt$i signal
}
a_hostile_peer() {
	local kind
	pick kind provoke resets
	PEER_NQN=$NQN-other peer hostile "$kind" >>"$SCRATCH/hostile" 2>&1 || true
}
# Which fails if a cable has just been pulled, and then the controller is connected a little later.
a_reset_in_time() {
	wait_for 60 in_state live
	a_reset_perhaps
	wait_for 60 in_state live
}
a_reset_perhaps() { nvme reset /dev/"$CTRL" 2>>"$SCRATCH/resets" || true; }

test_random_mix() {
	local end what memory answers
	OTHERS=0
	: >"$SCRATCH/hostile"
	SECOND=$(backing second data 16)
	subsystem $NQN-other "$(backing other data 16)"
	serve 1 $NQN-other
	ready
	memory=$(memory)
	end=$((SECONDS + SOAK_MINUTES * 60))
	declare -A times=()
	while ((SECONDS < end)); do
		pick what a_reset_in_time a_reset_perhaps a_nic_pull a_nic_pull a_namespace some_other_controller an_endpoint \
			a_hostile_peer
		$what
		times[$what]=$((${times[$what]:-0} + 1))
	done
	for what in "${!times[@]}"; do
		note "${times[$what]} times $what"
	done
	answers=$(grep -c ^ok "$SCRATCH/hostile" || true)
	note "$OTHERS other controllers were connected, and $answers provocations answered as they must be"
	((${times[some_other_controller]:-0} < 5 || OTHERS > 0))
	((${times[a_hostile_peer]:-0} < 5 || answers > 0))
	all_is_well
	no_more_memory "$memory" 8192
}

run_tests "$@"
