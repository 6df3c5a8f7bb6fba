#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Targets that do something wrong are refused, with a message that says what. peer/rogue.py is such a target.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() { links 1; }

# refused MESSAGE WHAT=NUMBER [OPTION...]: the host does not connect to a target that is wrong like this, says
# why, and nothing is left.
refused() {
	local message=$1 wrong=$2
	shift 2
	rogue "$wrong"
	connect_fails 'write error' mptcp "$@"
	says "$message" || fail "$wrong: the kernel does not say '$message'"
	rogue_ends
}

rogue() {
	rogue_ends
	# Or what the one before has said is taken for this one's.
	: >$SCRATCH/rogue
	on_target python3 "$_LIB/../peer/rogue.py" "$(target_ip 0)" $PORT "$@" >$SCRATCH/rogue &
	ROGUE=$!
	wait_for 20 grep listening $SCRATCH/rogue
}
rogue_ends() {
	[[ -n ${ROGUE:-} ]] || return 0
	# $ROGUE is a shell that ends with the only program it runs, which runs until now.
	pkill -P "$ROGUE"
	wait "$ROGUE" || true
	ROGUE=
}

test_handshake() {
	refused 'bad type returned 5' type=5
	refused 'bad pdu length returned 120' length=120
	refused 'bad pfv returned 1' version=1
	refused 'unsupported cpda returned 3' alignment=3
	refused 'invalid maxh2cdata returned 4095' maxdata=4095
	refused 'invalid maxh2cdata returned 2048' maxdata=2048
	refused 'header digest mismatch host: disabled ctrl: enabled' digests=1
	refused 'data digest mismatch host: disabled ctrl: enabled' digests=2
	refused 'header digest mismatch host: enabled ctrl: disabled' digests=0 hdr_digest
	refused 'data digest mismatch host: enabled ctrl: disabled' digests=0 data_digest
	says 'queue 0: no NVMe/TCP handshake with 10.0.0.2:4420: error -22'
}

test_controller() {
	refused 'does not support SGLs' sgls=0
	refused 'icdoff is not supported' icdoff=1
	refused 'keep-alive support is mandatory' kas=0
}

# What goes wrong in the middle of setting up, when error recovery does not run yet.
test_connect_command() {
	modprobe nvme_core
	core_timeouts 30 3
	refused 'unhandled pdu type 66|unsupported pdu type' badpdu=1
	refused 'Received C2HTermReq' term=1
	refused 'queue 0: command .* timed out' silent=1
}

# broken_read MESSAGE WHAT=NUMBER [OPTION...]: a read fails, be it the kernel's own look for partitions, and the
# kernel says why.
broken_read() {
	local message=$1 wrong=$2
	shift 2
	# shellcheck disable=SC2086 # a list
	rogue $wrong
	mark "$wrong"
	_fabrics mptcp nr_io_queues=1 ctrl_loss_tmo=0 "$@"
	wait_for 20 said_since "$wrong" "$message"
	wait_for 20 said_since "$wrong" 'unable to read partition table'
	[[ -z $(controllers) ]] || disconnect "$(controllers)"
	wait_for 20 _no_controllers
	rogue_ends
}

test_data() {
	rogue digests=2
	connect_raw mptcp nr_io_queues=1 data_digest
	dd if=$DISK of=$SCRATCH/data bs=64k count=1 iflag=direct
	cmp -n 65536 $SCRATCH/data /dev/zero
	disconnect
	broken_read 'short data-in: got 2048 of 4096' short=1
	broken_read 'data digest error: recv' 'digests=2 baddigest=1' data_digest
}

# written_in PDUS R2TS WHAT=NUMBER...: the data of a write arrive in so many PDUs, each as it must be, and are right.
written_in() {
	local expected="written in $1 PDUs by $2 R2Ts"
	shift 2
	rogue "$@"
	connect_raw mptcp nr_io_queues=1
	head -c 65536 /dev/urandom >$SCRATCH/data
	dd if=$SCRATCH/data of=$DISK bs=64k count=1 seek=1 oflag=direct
	grep -x "$expected" $SCRATCH/rogue || fail "expected '$expected', but: $(<$SCRATCH/rogue)"
	dd if=$DISK of=$SCRATCH/read bs=64k count=1 skip=1 iflag=direct
	cmp $SCRATCH/data $SCRATCH/read
	[[ $(recoveries) == 0 ]]
	disconnect
}

# Data go in PDUs as long as the target takes (MAXH2CDATA) and as it asks for; nvmet takes all in one.
test_several_pdus() {
	written_in 1 1 maxdata=65536
	written_in 16 1 maxdata=4096
	# Each time two PDUs and a half, and one at the end.
	written_in 19 7 maxdata=4096 ask=10240
	# And the data of a read come in several.
	written_in 1 1 c2h=1000
}

# A connection that works, until the target does not like it any more, or sends what is not right.
test_later() {
	broken_read 'Received C2HTermReq' lateterm=1
	broken_read 'header digest error: recv' 'digests=1 badheader=1' hdr_digest
}

# An R2T for what is not there must not make us send what is somewhere else.
test_bad_r2t() {
	rogue r2t=1048576
	connect_raw mptcp nr_io_queues=1 ctrl_loss_tmo=0
	! dd if=/dev/zero of=$DISK bs=4k count=1 oflag=direct || fail "written nonetheless"
	says 'queue 1: send failed: -71'
	[[ $(recoveries) == 1 ]]
}

# The digests that the parameters and the options ask for are those on the wire: this target insists on them.
test_digests_on_the_wire() {
	modprobe nvme_mptcp
	host_parameter hdr_digest 1
	refused 'data digest mismatch host: disabled' digests=3
	refused 'header digest mismatch host: enabled' digests=0
	host_parameter data_digest 1
	refused 'data digest mismatch host: enabled' digests=0
	refused 'data digest mismatch host: enabled' digests=1
}

# A queue is no longer than what the controller takes at a time.
test_maxcmd() {
	local ctrl
	rogue maxcmd=16 mqes=63
	_fabrics mptcp nr_io_queues=1 queue_size=128
	ctrl=$(controllers)
	[[ $(<"/sys/class/nvme/$ctrl/sqsize") == 15 ]]
	says 'queue_size 128 > ctrl sqsize 64, clamping down'
	says 'sqsize 64 > ctrl maxcmd 16, clamping down'
}

# A controller that is being made cannot be deleted, and goes when its target does.
test_delete_while_connecting() {
	modprobe nvme_core
	core_timeouts 30 5
	rogue silent=1
	local connect
	_fabrics mptcp &
	connect=$!
	wait_for 20 _in_the_making
	! echo 1 2>/dev/null >"/sys/class/nvme-fabrics/ctl/$(controllers)/delete_controller" ||
		fail "deleted although it is not complete"
	rogue_ends
	! wait $connect || fail "connected"
	[[ -z $(controllers) ]]
}
_in_the_making() { [[ -n $(controllers) ]]; }

run_tests "$@"
