#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Pages that are used again while the network still has data of theirs to repeat: nothing of what is in them then
# ever goes out, and what was given up does not arrive later. peer/recycle.py uses such pages, and watches the wire.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() { links 2; }

# Nothing that arrives at the target by these NICs gets any further. The watcher sees it nonetheless.
blackhole() {
	local nic
	on_target nft add table inet hole '{ chain in { type filter hook input priority 0; }; }'
	for nic; do
		on_target nft add rule inet hole in iifname "tgt$nic" drop
	done
}
repair() { on_target nft flush ruleset; }

# recycle LENGTH: writes that much, and uses its pages again when the write has ended.
recycle() {
	mkfifo $SCRATCH/hold
	on_target "$_LIB/../peer/recycle.py" watch tgt0 tgt1 >$SCRATCH/wire &
	wait_for 20 grep watching $SCRATCH/wire
	"$_LIB/../peer/recycle.py" write $DISK 0 $1 <$SCRATCH/hold >$SCRATCH/pages &
	exec {HOLD}>$SCRATCH/hold
}

# arrived NIC OLD|NEW: packets with it that have arrived since the pages were used again.
arrived() {
	awk -v nic="tgt$1" -v what="$2" 'NR == FNR { since = $1; next }
		$1 > since && $2 == nic && $3 == what { n++ } END { print n + 0 }' $SCRATCH/pages $SCRATCH/wire
}
_repeated() {
	echo "$(arrived "$1" OLD) old packets on NIC $1 after the pages were used again"
	(($(arrived "$1" OLD) >= 2))
}

# nothing_new: no packet ever had anything of what the pages were used for; and the watcher would have seen it.
nothing_new() {
	! grep NEW $SCRATCH/wire || fail "a page that was used again went out"
	"$_LIB/../peer/recycle.py" print NEW 65536 | dd of=$DISK bs=64k seek=64 oflag=direct iflag=fullblock
	wait_for 10 grep NEW $SCRATCH/wire
}

# One NIC swallows its part. The other brings that as well, so the write ends; the first goes on to repeat what it has.
test_written_by_another_path() {
	target
	connect mptcp --keep-alive-tmo=60 --nr-io-queues=1
	wait_for 20 has_subflows 2
	blackhole 1
	recycle $((1 << 20))
	wait_for 60 grep written $SCRATCH/pages
	wait_for 60 _repeated 1
	repair
	wait_for 60 _repaired
	note "old packets repeated after the write had ended: $(arrived 1 OLD)"
	"$_LIB/../peer/recycle.py" print OLD $((1 << 20)) | cmp -n $((1 << 20)) - "$(_backing_path nmtest)"
	nothing_new
	[[ $(recoveries) == 0 ]]
}
# The subflow has delivered all that it had.
_repaired() {
	on_host ss -tiHnO state established dst "$(target_ip 1):$PORT" | grep . &&
		! on_host ss -tiHnO state established dst "$(target_ip 1):$PORT" | grep -E 'unacked:|backoff:'
}

# No path is left, so the write, which has its data in the capsule, times out and fails. When the network is back
# nothing of it is sent any more.
given_up() {
	core_timeouts 4 4
	connect_raw mptcp nr_io_queues=1 keep_alive_tmo=60 reconnect_delay=1 ctrl_loss_tmo=600 fast_io_fail_tmo=0
	[[ $1 == plain ]] || wait_for 20 has_subflows 2
	blackhole 0 1
	recycle 8192
	wait_for 60 grep failed $SCRATCH/pages
	grep OLD $SCRATCH/wire >$SCRATCH/sent || fail "nothing was on its way"
	note "old packets sent before the write was given up: $(wc -l <$SCRATCH/sent)"
	repair
	wait_for 40 in_state live
	# What a connection that was not closed at once would repeat, it would repeat within this time.
	pause 10
	[[ $(arrived 0 OLD) == 0 && $(arrived 1 OLD) == 0 ]] || fail "sent although given up: $(tail $SCRATCH/wire)"
	cmp -n 8192 /dev/zero "$(_backing_path nmtest)"
	nothing_new
}

test_given_up() {
	target
	modprobe nvme_mptcp
	given_up mptcp
}

# The same without MPTCP, when the socket is one of MPTCP's only by name.
test_given_up_by_one_path() {
	target --module tcp
	modprobe nvme_mptcp
	given_up plain
	says 'does not speak MPTCP'
}

run_tests "$@"
