#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Header and data digests: the ways to ask for them. (rogue.sh: that they are on the wire; verify.sh: that the data are right.)
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links 1
	target
}

# Each PDU is longer by its digests: 1024 reads of 4 KiB have 1024 data PDUs, and as many responses.
grow_by() {
	reads
	note "bytes received: $READ, without: $PLAIN"
	((READ - PLAIN >= $1))
}

# When the controller is live, its namespaces are still looked for, and partitions on them. (Keep-alives would count, too: they are
# rare here.)
_nothing_is_received() {
	local before
	before=$(bytes received)
	pause 0.5
	[[ $(bytes received) == "$before" ]]
}

reads() {
	local before
	wait_for 20 _nothing_is_received
	before=$(bytes received)
	fio_run --rw=read --bs=4k --size=4m
	READ=$(($(bytes received) - before))
}

plain() {
	connect mptcp --keep-alive-tmo=600
	reads
	PLAIN=$READ
	disconnect
}

test_parameters() {
	plain
	host_parameter hdr_digest 1
	connect mptcp --keep-alive-tmo=600
	grow_by $((1024 * 8))
	disconnect
	host_parameter data_digest 1
	connect mptcp --keep-alive-tmo=600
	grow_by $((1024 * 12))
	# They are for later controllers only.
	host_parameter hdr_digest 0
	host_parameter data_digest 0
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	grow_by $((1024 * 12))
}

test_options() {
	plain
	connect_raw mptcp hdr_digest data_digest keep_alive_tmo=600
	grow_by $((1024 * 12))
}

run_tests "$@"
