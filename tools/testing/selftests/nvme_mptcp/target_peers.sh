#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Hosts that misbehave, or speak only TCP: they cost little, for a bounded time, and the others do
# not notice. peer/hostile.py tells what they do.
# debug: broken_pdus leaving_before_the_digest
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links 1
	target
	BEFORE=$(target_residue)
}

# misbehave WHAT...: begins to. all_are_dropped SECONDS: until the target has dropped all of them.
misbehave() {
	peer hostile "$@" >$SCRATCH/peer &
	PEER=$!
	wait_for 90 grep ready $SCRATCH/peer
}
all_are_dropped() {
	wait_for "$1" _peer_has_ended
	wait $PEER
}
_peer_has_ended() { ! kill -0 $PEER; }

# That many say nothing, or leave off in the middle. A good host is served at once, and they are dropped.
test_500_connect_and_stop() {
	local before memory
	before=$(target_residue)
	target_param connect_timeout $((20 * SLOW))
	memory=$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)
	misbehave crowd 500
	memory=$((memory - $(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)))
	note "500 peers cost $((memory / 1024)) MiB, at both ends"
	connect mptcp
	verify --bs=64k --size=4m
	# They were there meanwhile.
	kill -0 $PEER
	[[ $(on_target awk '$1 == "MPTCP" { print $3 }' /proc/net/protocols) -gt 250 ]]
	((memory < 500 * 200)) || fail "they cost $memory KiB"
	all_are_dropped 60
	says 'dropped: it has not connected to a controller in time'
	[[ $(state) == live ]]
	disconnect
	target_gets_rid "$before"
}

test_a_host_that_never_reads() {
	target_param stall_timeout 2
	connect mptcp
	misbehave unread
	all_are_dropped 30
	says 'dropped: it leaves a PDU or a write unfinished, or takes no answers'
	verify --bs=64k --size=2m
	[[ $(state) == live ]]
	disconnect
	target_gets_rid "$BEFORE"
}

test_a_host_that_leaves_a_pdu_unfinished() {
	target_param stall_timeout 2
	misbehave unfinished
	all_are_dropped 30
	says 'dropped: it leaves a PDU or a write unfinished, or takes no answers'
	target_gets_rid "$BEFORE"
}

test_a_host_that_does_not_send_what_it_is_asked_for() {
	target_param stall_timeout 2
	connect mptcp
	misbehave unsent
	all_are_dropped 30
	says 'dropped: it leaves a PDU or a write unfinished, or takes no answers'
	[[ $(state) == live ]]
	# One that always sends, and is always asked for more, stays; and so does one that has sent all.
	target_param stall_timeout 1
	fio_run --rw=write --bs=64k --iodepth=32 --size=16m --time_based --runtime=15
	pause 3
	[[ $(recoveries) == 0 ]]
	disconnect
	target_gets_rid "$BEFORE"
}

# nvmet does not end it: neither by its keep-alive time, nor because of an error.
test_a_failed_controller() {
	target_param stall_timeout 2
	misbehave failed
	all_are_dropped 30
	says 'dropped: its controller has failed, and it does not reset it'
	target_gets_rid "$BEFORE"
}

# Everybody may connect to the discovery subsystem.
test_hosts_that_hoard_answers() {
	local memory
	target_param stall_timeout $((5 * SLOW))
	memory=$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)
	misbehave hoard 4
	memory=$((memory - $(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)))
	note "4 peers that have asked for 250 MiB cost $((memory / 1024)) MiB, at both ends"
	((memory < 100 << 10))
	all_are_dropped 120
	target_gets_rid "$BEFORE"
}

# Nor does it help to say something now and then.
test_a_host_whose_icreq_drips() {
	target_param connect_timeout 4
	misbehave drip
	all_are_dropped 60
	says 'dropped: it has not connected to a controller in time'
	target_gets_rid "$BEFORE"
}

test_resets_at_each_moment() {
	connect mptcp
	# The peers write where the namespace begins.
	fio_start --rw=randrw --verify=crc32c --bs=16k --iodepth=4 --offset=64m --size=8m --time_based --runtime=3600
	peer hostile resets
	fio_stop
	[[ $(state) == live ]]
	! says "starting error recovery" || fail "a good host has noticed"
	disconnect
	target_gets_rid "$BEFORE"
}

# Nobody waits for a command that has all its data, and will never have their digest: not the port, not the module.
test_leaving_before_the_digest() {
	connect mptcp
	peer hostile undigested
	verify --bs=64k --size=1m
	disconnect
	target_gets_rid "$BEFORE"
	unserve 1
	rmdir $NVMET/ports/1
}

# A host that has nothing to do, or is slow, is not one that misbehaves.
test_idle_and_slow_hosts_stay() {
	target_param connect_timeout 1
	target_param stall_timeout $((3 * SLOW))
	connect mptcp -i 1
	# Answers wait all the time, for longer than that; but some of them go out.
	impair rate 10mbit -- 0
	fio_run --rw=read --bs=1m --iodepth=4 --size=8m
	fio_run --rw=write --bs=1m --iodepth=4 --size=4m
	pause $((3 * SLOW))
	[[ $(state) == live ]]
	! says dropped || fail "was dropped"
	! says "starting error recovery" || fail "was dropped"
	target_param connect_timeout 0
	peer protocol late_icreq
}

# Each way to break the protocol is answered with a C2HTermReq that names it, and ends that controller.
test_broken_pdus() {
	# If a peer lacks a packet, because its window was closed, TCP does not believe the reset that ends its connection, only the
	# next one, which is without MPTCP's options. Then MPTCP waits for other subflows so long (a minute).
	on_host sysctl -qw net.mptcp.close_timeout=10
	connect mptcp
	# The peers write zeroes where the namespace begins, but none of these writes is in order.
	head -c 64k /dev/urandom >$SCRATCH/data
	dd if=$SCRATCH/data of=$DISK bs=64k count=1 oflag=direct
	fio_start --rw=randrw --verify=crc32c --bs=16k --iodepth=4 --offset=64m --size=8m --time_based --runtime=3600
	peer hostile provoke
	dd if=$DISK of=$SCRATCH/back bs=64k count=1 iflag=direct
	cmp $SCRATCH/data $SCRATCH/back
	says 'queue [0-9]*: 10.0.0.1:[0-9]* dropped: it breaks the protocol \(-71\)'
	fio_stop
	[[ $(state) == live ]]
	! says "starting error recovery" || fail "a good host has noticed"
	disconnect
	target_gets_rid "$BEFORE"
}

test_require_mptcp() {
	connect tcp
	target_param require_mptcp 1
	# Who is here stays; nobody new comes.
	verify --bs=64k --size=1m
	disconnect
	! on_host nvme connect -t tcp -n $NQN -a 10.0.0.2 -s $PORT || fail "connected by plain TCP"
	says 'nvmet_mptcp: port 1: 10.0.0.1:[0-9]* refused: it does not speak MPTCP'
	connect mptcp
	verify --bs=64k --size=1m
	disconnect
	target_param require_mptcp 0
	connect tcp
	disconnect
	target_gets_rid "$BEFORE"
}

run_tests "$@"
