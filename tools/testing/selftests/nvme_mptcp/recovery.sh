#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Error recovery, reconnect, reset and deletion, in each other's way and under load.
# debug: reset_under_load delete_in_the_middle without_native_multipath
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

TEST_TIMEOUT=180

setup() {
	links 2
	target
	modprobe nvme_mptcp
	core_timeouts 4 4
}

# load SECONDS: I/O that checks its data, until it is finished by fio_finish.
load() {
	fio_start --rw=randrw --verify=crc32c --verify_fatal=1 --bs=16k --iodepth=8 --size=16m --time_based --runtime="$1"
	wait_for 20 io_runs
}

# The target neither takes nor gives anything any more, though its links are up.
freeze() {
	on_target nft add table inet frozen '{ chain in { type filter hook input priority 0; policy drop; };
		chain out { type filter hook output priority 0; policy drop; }; }'
}
thaw() { on_target nft flush ruleset; }

test_reset_under_load() {
	connect mptcp
	load 1000
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	wait_for 20 io_runs
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	fio_stop
	[[ $(recoveries) == 0 ]]
}

# A reconnect takes the number of queues that there is then.
test_fewer_and_more_queues() {
	local all
	(($(nproc) > 1)) || lacks "a second processor"
	connect mptcp --reconnect-delay=1
	all=$(queues)
	load 12
	echo 1 >$NVMET/subsystems/$NQN/attr_qid_max
	wait_for 30 _has_queues 2
	wait_for 20 io_runs
	echo 128 >$NVMET/subsystems/$NQN/attr_qid_max
	wait_for 30 _has_queues "$all"
	wait_for 20 io_runs
	fio_finish
	[[ $(connections host | wc -l) == "$all" ]]
}
_has_queues() {
	echo "$(queues) queues, state $(state)"
	[[ $(queues) == "$1" && $(state) == live ]]
}

# Commands that nobody answers time out; all of them, on all queues, start recovery once.
test_frozen_target() {
	connect mptcp --reconnect-delay=1 --keep-alive-tmo=60
	load 14
	freeze
	wait_for 30 in_state connecting
	says "$CTRL: queue [12]: command .* timed out"
	[[ $(recoveries) == 1 ]]
	thaw
	wait_for 40 in_state live
	fio_finish
	[[ $(recoveries) == 1 ]]
	verify --bs=64k --size=2m
}

# Something on the way has forgotten an idle connection, and resets all of its subflows when it is used. MPTCP would wait for
# others for a minute, and the commands until their time is over.
test_reset_on_the_way() {
	core_timeouts 120 120
	connect_raw mptcp nr_io_queues=1 reconnect_delay=1 keep_alive_tmo=600
	wait_for 20 has_subflows 2
	on_target nft add table inet forgetful '{ chain in { type filter hook input priority 0;
		tcp dport '$PORT' reject with tcp reset; }; }'
	fio_start --rw=randwrite --bs=16k --iodepth=4 --size=4m
	wait_for 30 says "$CTRL: queue 1: no subflow is left"
	wait_for 20 in_state connecting
	on_target nft flush ruleset
	wait_for 20 in_state live
	fio_finish
	[[ $(recoveries) == 1 ]]
	! says 'timed out' || fail "noticed by a time-out"
	verify --bs=64k --size=2m
}

# So does a command of the admin queue, of which there is no other sign of life.
test_admin_timeout() {
	core_timeouts 60 4
	connect mptcp --reconnect-delay=1 --keep-alive-tmo=120
	freeze
	nvme id-ctrl /dev/$CTRL >$SCRATCH/id 2>&1 &
	wait_for 20 says "$CTRL: queue 0: command .* \(opcode 0x6, .*\) timed out"
	wait_for 20 in_state connecting
	thaw
	wait_for 40 in_state live
	! wait $! || note "identified after all, by a second try"
	[[ $(recoveries) == 1 ]]
	verify --bs=64k --size=2m
}

# Without I/O the keep-alive notices.
test_keep_alive() {
	connect mptcp --reconnect-delay=1 --keep-alive-tmo=4
	[[ $(attr kato) == 4 ]]
	# Longer than that, and all is well.
	pause 6
	[[ $(state) == live && $(recoveries) == 0 ]]
	freeze
	wait_for 30 in_state connecting
	[[ $(recoveries) == 1 ]]
	thaw
	wait_for 40 in_state live
	verify --bs=64k --size=2m
}

# A disk of the target that hangs: the connection is fine, the command is not. The disk is behind a network of its own.
test_frozen_disk() {
	local inner outer=$NQN-outer
	core_timeouts 60 60
	subsystem $NQN-inner "$(_backing_path nmtest)"
	port 2 127.0.0.1 4421
	serve 2 $NQN-inner
	CTRL=$(on_target nvme connect -t mptcp -n $NQN-inner -a 127.0.0.1 -s 4421 --keep-alive-tmo=120 -o json |
		jq -r .device)
	wait_for_disk
	inner=$CTRL
	subsystem $outer $DISK
	serve 1 $outer
	core_timeouts 4 4
	connect mptcp --reconnect-delay=1 -n $outer
	load 12
	on_target nft add table inet frozen '{ chain in { type filter hook input priority 0;
		tcp dport 4421 drop; tcp sport 4421 drop; }; }'
	wait_for 20 says "$CTRL: queue [12]: command .* timed out"
	thaw
	wait_for 30 in_state live
	fio_finish
	verify --bs=64k --size=2m
	disconnect
	unserve 1 $outer
	rmdir $NVMET/subsystems/$outer/namespaces/1
	disconnect $inner
}

test_ctrl_loss_tmo() {
	# At once.
	connect mptcp --reconnect-delay=1 --ctrl-loss-tmo=0
	unserve 1
	wait_for 20 _no_controllers
	[[ ! -e $DISK ]]
	# After a while.
	serve 1
	connect mptcp --reconnect-delay=1 --ctrl-loss-tmo=3
	unserve 1
	wait_for 20 says "$CTRL: Failed reconnect attempt 1/3"
	wait_for 30 _no_controllers
	[[ ! -e $DISK && $(dmesg_count "$CTRL: Failed reconnect attempt") == 3 ]]
	# Never; and it comes back.
	serve 1
	connect mptcp --reconnect-delay=1 --ctrl-loss-tmo=-1
	[[ $(attr ctrl_loss_tmo) == off ]]
	unserve 1
	wait_for 30 says "$CTRL: Failed reconnect attempt 5/-1"
	serve 1
	wait_for 20 in_state live
	says "$CTRL: Successfully reconnected \(attempt [5-9]/-1\)"
	verify --bs=64k --size=2m
}

# I/O that waits for a reconnect gives up after this time, the controller does not.
test_fast_io_fail_tmo() {
	connect mptcp --reconnect-delay=1 --ctrl-loss-tmo=600 --fast_io_fail_tmo=2
	unserve 1
	wait_for 20 in_state connecting
	local status=0
	timeout 60 dd if=$DISK of=/dev/null bs=4k count=1 iflag=direct || status=$?
	[[ $status == 1 ]]
	[[ $(state) == connecting ]]
	serve 1
	wait_for 20 in_state live
	verify --bs=64k --size=2m
}

test_reconnect_delay() {
	connect mptcp --reconnect-delay=3
	unserve 1
	wait_for 10 in_state connecting
	says "$CTRL: Reconnecting in 3 seconds"
	[[ $(attr reconnect_delay) == 3 ]]
	# However many connections have broken.
	[[ $(recoveries) == 1 ]]
	echo 1 >/sys/class/nvme/$CTRL/reconnect_delay
	serve 1
	wait_for 20 in_state live
}

# Deleting waits for nobody.
test_delete_in_the_middle() {
	connect mptcp --reconnect-delay=2
	unserve 1
	wait_for 20 in_state connecting
	disconnect
	[[ -z $(controllers) && ! -e $DISK ]]
	serve 1
	connect mptcp
	echo 1 >/sys/class/nvme/$CTRL/reset_controller &
	disconnect
	wait_for 20 _no_controllers
	wait $! || true
	# When the target does not answer: the shutdown times out.
	connect mptcp --keep-alive-tmo=60
	load 60
	freeze
	disconnect
	[[ -z $(controllers) && ! -e $DISK ]]
	# As in rmmod.sh: it ends by itself.
	! wait "$FIO" || fail "the I/O has not noticed that its disk is gone"
	thaw
	connect mptcp
	verify --bs=64k --size=2m
}

# Where nobody else tries again what has failed: I/O waits until the connection is back. What has been tried a few times
# (nvme_core's max_retries) would fail, and that is soon when it fails at once.
test_without_native_multipath() {
	local i
	target_clean
	core_multipath N
	target
	connect mptcp --reconnect-delay=1
	fio_start --rw=randrw --verify=crc32c --verify_fatal=1 --bs=4k --iodepth=32 --numjobs=2 --offset_increment=16m --size=16m \
		--time_based --runtime=3600
	for i in 1 2 3 4 5 6; do
		wait_for 20 io_runs
		unserve 1
		wait_for 20 in_state connecting
		serve 1
		wait_for 20 in_state live
	done
	wait_for 20 io_runs
	fio_stop
	[[ $(recoveries) == 6 ]]
	disconnect
	target_clean
	core_multipath Y
}
# core_multipath Y|N: loads nvme_core anew.
core_multipath() {
	unload nvme_mptcp nvme_tcp nvme_loop nvme_fabrics nvme_core
	modprobe nvme_core multipath="$1"
	usual_timeouts
}

# The target is set up anew, with the same disk: other kernel objects under the same names.
test_restarted_target() {
	local uuid
	uuid=$(<$NVMET/subsystems/$NQN/namespaces/1/device_uuid)
	connect mptcp --reconnect-delay=1
	load 10
	unserve 1
	rmdir $NVMET/ports/1 $NVMET/subsystems/$NQN/namespaces/1 $NVMET/subsystems/$NQN
	rmmod nvmet_mptcp
	modprobe nvmet_mptcp
	subsystem $NQN
	mkdir $NVMET/subsystems/$NQN/namespaces/1
	echo "$uuid" >$NVMET/subsystems/$NQN/namespaces/1/device_uuid
	_backing_path nmtest >$NVMET/subsystems/$NQN/namespaces/1/device_path
	echo 1 >$NVMET/subsystems/$NQN/namespaces/1/enable
	port 1
	serve 1
	wait_for 40 in_state live
	wait_for 20 io_runs
	fio_finish
}

run_tests "$@"
