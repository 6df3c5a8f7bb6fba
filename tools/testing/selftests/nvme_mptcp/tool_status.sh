#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# nvme-mptcp status and top: what they show is what there is.
# vm: --nics 4
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
# shellcheck source=lib/tool.sh
. "${BASH_SOURCE[0]%/*}/lib/tool.sh"

setup() { links --virtio; }

# json FILTER: holds for the last status of the host, or of the target.
json() { jq -e "$1" "$SCRATCH/status" >/dev/null || fail "not so: $1 in $(<"$SCRATCH/status")"; }

test_four_nics() {
	local queues nic before=()
	target
	connect mptcp --nr-io-queues=2
	wait_for 20 has_subflows 4
	queues=$(queues)
	for nic in 0 1 2 3; do
		before+=("$(bytes_sent host $nic)")
	done
	verify --bs=64k --size=8m
	host_tool status --json >"$SCRATCH/status"
	json '.host_module == "loaded" and (.controllers | length) == 1 and .blind == []'
	json ".controllers[0] | .name == \"$CTRL\" and .transport == \"mptcp\" and .state == \"live\""
	json ".controllers[0] | .queues == $queues and .paths == 4 and .fallback == false"
	json ".controllers[0] | .subsystem_nqn == \"$NQN\" and .address == \"$(target_ip 0)\" and .port == $PORT"
	json '.controllers[0].nics | map(.nic) == ["host0", "host1", "host2", "host3"]'
	json ".controllers[0].nics | all(.paths == $queues)"
	json ".controllers[0].connections | length == $queues and all(.mptcp and (.subflows | length) == 4)"
	# What was written went out, and nothing of it more than once over all.
	json '.controllers[0].nics | (map(.sent) | add) >= 8 * 1048576'
	json '.controllers[0].nics | (map(.received) | add) >= 8 * 1048576'
	for nic in 0 1 2 3; do
		# On the wire there are headers as well.
		json ".controllers[0].nics[$nic].sent <= $(bytes_sent host $nic)"
	done
	target_tool status --json >"$SCRATCH/status"
	json ".ports | length == 1 and .[0].subsystems == [\"$NQN\"] and (.[0].connections | length) == $queues"
	json '.ports[0].nics | map(.nic) == ["tgt0", "tgt1", "tgt2", "tgt3"]'
	expect 0 host_tool status --verbose
	said "^$CTRL: mptcp, live, $queues queues, 4 paths\$"
	said '^  host3  +'"$queues"' '
	said "^  $(host_ip 2):[0-9]+ +$(target_ip 2):$PORT "
}

# Nothing loaded is no error, and it says so.
test_without_modules() {
	local module
	for module in nvme_mptcp nvmet_mptcp; do
		[[ ! -e /sys/module/$module ]]
	done
	expect 0 host_tool status
	said '^no NVMe over TCP or MPTCP'
	said '^the module nvme_mptcp is not loaded'
	host_tool status --json >"$SCRATCH/status"
	json '.host_module == "installed" and .controllers == []'
	expect 1 host_tool doctor
	said '^problem: module-not-loaded$'
}

# A reader that has seen enough is no error.
test_closed_pipe() {
	target
	connect mptcp
	host_tool status | read -r _
}

# Plain TCP is shown as such, and whose connections are: two controllers at one address are told apart
# by debugfs alone.
test_tcp_and_twice() {
	local first
	target
	connect mptcp --nr-io-queues=1
	first=$CTRL
	connect mptcp --nr-io-queues=1 --duplicate-connect
	if [[ -e /sys/kernel/debug/nvme_mptcp/$CTRL ]]; then
		host_tool status --json >"$SCRATCH/status"
		json '.controllers | length == 2 and all(.connections | map(.queue) | sort == [0, 1])'
		json '.shared == []'
	fi
	# Without debugfs it does not guess.
	on_host unshare -m sh -c 'umount /sys/kernel/debug && exec "$0" status --json' "$TOOL" >"$SCRATCH/status"
	json '(.shared | length) == 4 and (.controllers | all(.connections == []))'
	disconnect "$first"
	disconnect
	target_clean
	target --module tcp
	connect mptcp --nr-io-queues=1
	host_tool status --json >"$SCRATCH/status"
	json '.controllers[0] | .fallback and .paths == 1 and (.connections | length) == 2'
	json '.controllers[0].nics | map(.nic) == ["host0"]'
	expect 0 host_tool status
	said 'TCP \(fallback\)'
}

# One frame as text, under load; and no hang where there is no terminal.
test_top() {
	target
	connect mptcp --nr-io-queues=1
	wait_for 20 has_subflows 4
	expect 2 host_tool top
	said 'top wants a terminal'
	said 'try: nvme-mptcp top --once'
	fio_start --rw=randwrite --bs=64k --iodepth=8 --size=16m --time_based --runtime=6
	wait_for 10 io_runs
	expect 0 host_tool top --once --interval 2
	said "^  $CTRL +8 +[1-9][0-9.]* [KM]iB "
	said '^  host2 +2 +[1-9][0-9.]* [KM]iB '
	fio_finish
	# What a batch has is told by the module.
	[[ ! -e /sys/kernel/debug/nvme_mptcp/$CTRL ]] || said "^  $CTRL .* [1-9][0-9.]* +#+\$"
}

# On a real terminal: a frame is drawn, and q ends it.
test_top_on_a_terminal() {
	target
	connect mptcp --nr-io-queues=1
	# script gives it one, and the keys after a while.
	(pause 4 && printf q) | on_host timeout 60 script -qec "stty rows 30 cols 120; $TOOL top -i 0.5" "$SCRATCH/screen" >/dev/null
	grep -a host0 "$SCRATCH/screen" >/dev/null
	grep -a "$CTRL" "$SCRATCH/screen" >/dev/null
}

run_tests "$@"
