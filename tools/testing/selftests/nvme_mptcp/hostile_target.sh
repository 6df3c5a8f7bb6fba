#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Targets that break the protocol when they are connected already: the host says what is wrong, fails what was under
# way, and gives up that controller only. peer/hostile_target.py tells what each does.
# debug: an_r2t_too_late answered_twice
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
TEST_TIMEOUT=240

ROGUE_PORT=4421

# A good controller, that is busy all the time, and a rogue target beside its target.
setup() {
	links 1
	target
	connect mptcp
	GOOD=$CTRL GOOD_DISK=$DISK
	: >"$SCRATCH/wrong"
	on_target python3 "$_LIB/../peer/hostile_target.py" "$(target_ip 0)" $ROGUE_PORT "@$SCRATCH/wrong" >"$SCRATCH/rogue" &
	wait_for 20 grep listening "$SCRATCH/rogue"
	fio_start --rw=randrw --verify=crc32c --bs=16k --iodepth=2 --size=8m --time_based --runtime=3600
}

# all_is_well: the good controller has noticed nothing.
all_is_well() {
	fio_stop
	CTRL=$GOOD DISK=$GOOD_DISK
	[[ $(controllers) == "$GOOD" ]]
	[[ $(state) == live ]]
	! says "$GOOD: starting error recovery" || fail "the good controller has noticed"
	verify --bs=64k --size=2m
}

rogue_connect() { TRSVCID=$ROGUE_PORT _fabrics mptcp nr_io_queues=1 ctrl_loss_tmo=0 reconnect_delay=1 "$@"; }

# rogue_disk [OPTION...]: connects, and sets $CTRL and $DISK to what comes of it.
rogue_disk() {
	rogue_connect "$@"
	CTRL=$(controllers | grep -vx "$GOOD")
	wait_for_disk
}

only_the_good_one() {
	controllers
	[[ $(controllers) == "$GOOD" ]]
}

# refused MESSAGE WRONG [OPTION...]: by the answer to the first read, which is the kernel's own.
refused() {
	local message=$1 wrong=$2
	shift 2
	echo "$wrong" >"$SCRATCH/wrong"
	mark "$wrong"
	rogue_connect "$@"
	wait_for 20 said_since "$wrong" "$message"
	[[ -z ${UNREAD:-} ]] || wait_for 20 said_since "$wrong" "$UNREAD"
	wait_for 20 only_the_good_one
}

# refused_at_write MESSAGE WRONG: by what comes in answer to a write of 64 KiB, or of SIZE.
refused_at_write() {
	echo "$2" >"$SCRATCH/wrong"
	mark "$2"
	rogue_disk
	! timeout 100 dd if=/dev/zero of="$DISK" bs="${SIZE:-64k}" count=1 oflag=direct || fail "$2: written nonetheless"
	wait_for 20 said_since "$2" "$1"
	wait_for 20 only_the_good_one
}

# refused_after_write MESSAGE WRONG SIZE: the write itself succeeds.
refused_after_write() {
	echo "$2" >"$SCRATCH/wrong"
	rogue_disk
	dd if=/dev/zero of="$DISK" bs="$3" count=1 oflag=direct
	wait_for 20 says "$1"
	wait_for 20 only_the_good_one
}

test_wrong_data() {
	# Whatever else follows: these data are not taken for good.
	local UNREAD='unable to read partition table'
	refused 'short data-in: got 2048 of 4096' read=short
	refused 'short data-in: got 2048 of 4096' read=short_with_success
	refused 'short data-in: got 0 of 4096' read=without_data
	refused 'more data than asked for' read=long
	refused 'more data than asked for' read=long_in_two
	refused 'data at a wrong offset' read=twice
	refused 'data at a wrong offset' read=elsewhere
	refused 'data at a wrong offset' read=beyond
	refused 'data and a PDU of different lengths' read=giant
	refused 'data and a PDU of different lengths' read=small_plen
	refused 'data at a wrong place of the PDU' read=padded
	refused 'data of no length' read=of_no_length
	refused 'SUCCESS set but not last PDU' read=success_not_last
	refused 'starting error recovery' read=half_closed
	refused 'unexpected header length' read=header_length
	all_is_well
}

# Damaged data cost the command, not the connection: it is tried again, and fails at last.
test_damaged_data() {
	echo 'digests=2 baddigest=1' >"$SCRATCH/wrong"
	rogue_disk data_digest
	! dd if="$DISK" of="$SCRATCH/data" bs=4k count=1 iflag=direct || fail "read nonetheless"
	says 'data digest error: recv'
	[[ $(state) == live ]]
	disconnect
	[[ $(recoveries) == 0 ]]
	all_is_well
}

# A tag may be in use again when the second answer comes; then that is answered too early, or twice.
test_answers_to_nothing() {
	local reused='not sent yet|wrong offset|short data-in|genctr mismatch'
	refused 'got bad c2hdata.command_id' read=unknown
	refused 'genctr mismatch' read=other_generation
	refused "genctr mismatch" read=late_data
	refused "an answer to no command|$reused" read=late_data_next
	refused 'genctr mismatch' read=response_twice
	refused "an answer to no command|$reused" read=response_next
	refused 'could not locate request for tag' read=response_of_none
	refused 'an answer of a wrong length' read=giant_response
	refused 'unexpected r2t for a non-write command' read=r2t
	refused 'unsupported pdu type \(4\)' read=command
	all_is_well
}

test_answers_to_writes() {
	refused_at_write 'exceeded data len|unexpected r2t offset' write=r2t_twice
	refused_at_write 'a command that is not sent yet' write=r2t_before_the_end
	refused_at_write 'r2t len is 0' write=r2t_of_nothing
	refused_at_write 'exceeded data len' write=r2t_too_long
	refused_at_write 'got bad r2t.command_id' write=r2t_unknown
	refused_at_write 'an answer of a wrong length' write=giant_r2t
	refused_at_write 'queue 1: send failed: -71' r2t=1048576
	refused_at_write 'unexpected data for a write' write=data
	SIZE=1M refused_at_write 'a command that is not sent yet' write=answered_early
	all_is_well
}

# The write itself is good.
test_answered_twice() {
	refused_after_write 'genctr mismatch|an answer to no command' write=response_twice 64k
	all_is_well
}

# This write is answered before it is asked for more.
test_an_r2t_too_late() {
	refused_after_write 'an answer to no command' write=r2t_late 4k
	all_is_well
}

# The one request for all events must not be queued while it is queued.
test_events() {
	refused 'an event that was not asked for' 'event=flood oaes=256'
	echo 'event=wrong oaes=256' >"$SCRATCH/wrong"
	rogue_disk
	dd if="$DISK" of="$SCRATCH/data" bs=64k count=1 iflag=direct
	[[ $(state) == live ]]
	disconnect
	all_is_well
}

# A queue that is broken before the controller is live: nothing would be received on it, and commands for it wait until
# their time is over.
test_broken_while_others_connect() {
	(($(nproc) > 1)) || lacks "a second processor"
	refused 'a queue was closed while connecting' 'late_term=1 queues=2' nr_io_queues=2
	says 'Received C2HTermReq'
	! says 'timed out' || fail "noticed by a time-out"
	all_is_well
}

# unconnected MESSAGE WRONG: it is a controller that does not come to be.
unconnected() {
	echo "$2" >"$SCRATCH/wrong"
	mark "$2"
	! rogue_connect || fail "connected, although $2"
	said_since "$2" "$1"
	only_the_good_one
}

test_reset_at_each_moment() {
	# While it connects the end of the connection is noticed by the end of the command's time.
	core_timeouts 30 5
	unconnected 'queue 0: no NVMe/TCP handshake with 10.0.0.2:4421: error -104' reset=accept
	unconnected 'queue 0: no NVMe/TCP handshake with 10.0.0.2:4421: error -104' reset=handshake
	unconnected 'queue 0: Connect command failed' reset=connect
	unconnected 'Reading CAP failed' reset=properties
	unconnected 'Property Set error' reset=enable
	unconnected 'Identify Controller failed' reset=identify
	unconnected 'unable to set any I/O queues' reset=features
	unconnected 'queue 1: Connect command failed' reset=io_connect
	usual_timeouts
	unconnected 'unable to set any I/O queues' features=refused
	refused 'starting error recovery' reset=read
	refused_at_write 'starting error recovery' reset=r2t
	refused_at_write 'starting error recovery' reset=data
	all_is_well
}

# numbered_blocks COUNT: what the target gives for its first blocks.
numbered_blocks() {
	python3 -c 'import struct, sys
for number in range(int(sys.argv[1])): sys.stdout.buffer.write(struct.pack("<Q", number) * 64)' "$1"
}

# A stream has no borders: PDUs come in single bytes, or many in one piece.
test_split_and_glued() {
	local wrong options
	for wrong in split=1 glue=1 'split=1 digests=3'; do
		echo "$wrong" >"$SCRATCH/wrong"
		options=()
		[[ $wrong != *digests* ]] || options=(hdr_digest data_digest)
		rogue_disk "${options[@]}"
		dd if=/dev/urandom of="$DISK" bs=4k count=2 oflag=direct
		dd if="$DISK" of="$SCRATCH/data" bs=16k count=1 iflag=direct
		numbered_blocks 32 | cmp - "$SCRATCH/data"
		fio_run --rw=randread --bs=4k --iodepth=16 --size=128k --io_size=128k
		[[ $(state) == live ]]
		disconnect
	done
	[[ $(recoveries) == 0 ]]
	all_is_well
}

# The time for the handshake is that for all of it.
test_handshake_that_drips() {
	echo drip=1 >"$SCRATCH/wrong"
	! rogue_connect || fail "connected"
	says 'queue 0: no NVMe/TCP handshake with 10.0.0.2:4421'
	all_is_well
}

test_a_target_that_never_reads() {
	core_timeouts 5 60
	SIZE=1M refused_at_write 'queue 1: command .* timed out' write=never_read
	usual_timeouts
	all_is_well
}

# The host gives up on the connection when a command of the authentication times out, and has another one to send. That must not
# wait for its own time-out: there is nothing left to send it on.
test_command_for_a_closed_connection() {
	core_timeouts 30 5
	echo auth=silent >"$SCRATCH/wrong"
	! rogue_connect "dhchap_secret=$(nvme gen-dhchap-key --hmac=1 --nqn="$(</etc/nvme/hostnqn)")" || fail "connected"
	usual_timeouts
	[[ $(dmesg_count 'queue 0: command .* timed out') == 1 ]]
	[[ $(dmesg_count 'qid 0 auth_send failed') == 2 ]]
	all_is_well
}

run_tests "$@"
