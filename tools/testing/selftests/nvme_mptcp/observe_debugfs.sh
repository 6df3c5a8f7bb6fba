#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What debugfs tells of queues and their subflows, and that reading it is safe at any time.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

TEST_TIMEOUT=180

setup() {
	links
	target
}

# Every line is as it is documented.
_well_formed() {
	[[ -r $1 ]] && ! grep -Ev '^[a-z_]+ [^ ]+$|^subflow( [a-z_]+=[^ ]+)+$' "$1"
}

test_a_file_each_queue() {
	local qid file subflows
	connect mptcp
	wait_for 20 has_subflows 4
	[[ $(ls $HOST_FILES) == "$CTRL" && $(ls $HOST_FILES/$CTRL | wc -l) == "$(queues)" ]]
	[[ $(ls $TARGET_FILES | wc -l) == "$(queues)" ]]
	for ((qid = 0; qid < $(queues); qid++)); do
		for file in "$(queue_file $qid)" "$(target_file $qid)"; do
			_well_formed "$file"
			[[ $(value state "$file") == live ]]
			[[ $(value transport "$file") == mptcp && $(value fallback "$file") == none ]]
			[[ $(value subflows "$file") == 4 ]]
			[[ $(value congestion "$file") == "$(</proc/sys/net/ipv4/tcp_congestion_control)" ]]
			[[ $(subflow_values state "$file" | uniq -c) =~ ^\ *4\ established$ ]]
			[[ $(subflow_values id "$file" | uniq | wc -l) == 4 ]]
		done
		subflows=$(subflow_values interface "$(queue_file $qid)" | xargs)
		[[ $subflows == 'host0 host1 host2 host3' ]] || fail "host: $subflows"
		subflows=$(subflow_values interface "$(target_file $qid)" | xargs)
		[[ $subflows == 'tgt0 tgt1 tgt2 tgt3' ]] || fail "target: $subflows"
		# Both ends speak of the same.
		[[ $(subflow_values local "$(queue_file $qid)") == "$(subflow_values remote "$(target_file $qid)")" ]]
		[[ $(subflow_values remote "$(queue_file $qid)") == "$(subflow_values local "$(target_file $qid)")" ]]
	done
	# And so does ss.
	[[ $(for file in $HOST_FILES/$CTRL/*; do value token $file; done | sort) == \
		"$(connections host | sed -n 's/.*[ \t]token:\([0-9a-f]*\).*/\1/p' | sort)" ]]
	[[ $(value controller "$(target_file 1)") == "$(attr cntlid)" ]]
	disconnect
	[[ -z $(ls $HOST_FILES) ]]
	wait_for 20 _none_left
}
_none_left() {
	ls $TARGET_FILES
	[[ -z $(ls $TARGET_FILES) ]]
}

test_ipv6_and_tcp() {
	local file
	unserve 1
	rmdir $NVMET/ports/1
	port 1 ::
	serve 1
	on_host ip mptcp limits set subflows 0 add_addr_accepted 0
	FAMILY=6 connect mptcp --nr-io-queues=1 -a "$(FAMILY=6 target_ip 0)"
	file=$(queue_file 1)
	_well_formed "$file"
	[[ $(subflow_values remote "$file") == "[fd00::2]:4420" ]]
	[[ $(subflow_values interface "$file") == host0 ]]
	disconnect
	wait_for 20 _none_left
	connect tcp --nr-io-queues=1
	file=$(target_file 1)
	_well_formed "$file"
	[[ $(value transport "$file") == tcp && $(value fallback "$file") == peer && $(value token "$file") == 0 ]]
	[[ $(subflow_values local "$file") == 10.0.0.2:4420 && $(subflow_values interface "$file") == tgt0 ]]
}

# sums KEY FILE...
sums() {
	local key=$1
	shift
	for file; do value "$key" "$file"; done | sum
}

# about A B: A is at least B, and not more than a sixteenth greater.
about() { (($1 >= $2 && $1 - $2 <= $2 / 16)) || fail "$1 is not about $2"; }

# The counters say what fio says, but for headers; and what went out of one end came in at the other.
test_counters() {
	local size=$((32 << 20)) host i before received pdus batches
	connect mptcp
	wait_for 20 has_subflows 4
	for ((i = 1; i < $(queues); i++)); do
		host+=" $(queue_file $i)"
	done
	# shellcheck disable=SC2086 # a list
	before=$(sums bytes_sent $host)
	fio_run --rw=write --bs=32k --iodepth=16 --size=32m
	# shellcheck disable=SC2086
	about $(($(sums bytes_sent $host) - before)) $size
	# shellcheck disable=SC2086
	received=$(sums bytes_received $host)
	fio_run --rw=read --bs=32k --iodepth=16 --size=32m
	# shellcheck disable=SC2086
	about $(($(sums bytes_received $host) - received)) $size

	# 1024 commands, 1024 H2CData PDUs and 1024 commands at least, in fewer sends.
	# shellcheck disable=SC2086
	pdus=$(sums pdus_sent $host) batches=$(sums batches_sent $host)
	note "host: $pdus PDUs in $batches batches"
	((pdus >= 3072 && batches < pdus))
	# shellcheck disable=SC2086
	(($(sums segments_sent $host) > pdus))
	# shellcheck disable=SC2086
	(($(sums largest_batch $host) > 1))
	# The handshake (128 bytes) is sent before the counting begins.
	wait_for 10 _quiet_and_equal
}
_quiet_and_equal() {
	local i host target
	for ((i = 1; i < $(queues); i++)); do
		host=$(queue_file $i) target=$(target_file $i)
		echo "queue $i: $(value bytes_sent "$host") sent, $(value bytes_received "$target") received;" \
			"$(value bytes_sent "$target") sent, $(value bytes_received "$host") received"
		# MPTCP may have repeated some on another subflow.
		[[ $(value bytes_received "$target") == $(($(value bytes_sent "$host") + 128)) ]] &&
			[[ $(value bytes_sent "$target") == "$(value bytes_received "$host")" ]] &&
			(($(subflow_values bytes_received "$host" | sum) >= $(value bytes_received "$host"))) || return 1
	done
}

# Those who look do not wait for those who connect.
test_while_connecting() {
	connect mptcp --reconnect-delay=1
	on_host nft add table inet hole '{ chain output { type filter hook output priority 0;
		tcp flags & syn != 0 drop; }; }'
	nvme reset /dev/$CTRL &
	wait_for 20 _is connecting 0
	[[ $(value transport "$(queue_file 0)") == none ]]
	[[ $(attr mptcp_subflows) == 0 && $(attr mptcp_fallback) == none && -z $(attr mptcp_congestion) ]]
	on_host nft flush ruleset
	wait_for 40 in_state live
	_is live 0
	[[ $(value connects "$(queue_file 1)") == 2 ]]
}
_is() {
	cat "$(queue_file "$2")"
	[[ $(value state "$(queue_file "$2")") == "$1" ]]
}

# reader: reads all files for as long as there is $SCRATCH/read, and counts the rounds.
reader() {
	local rounds=0
	while [[ -e $SCRATCH/read ]]; do
		cat $HOST_FILES/*/* $TARGET_FILES/*/* /sys/class/nvme/nvme*/mptcp_* >/dev/null 2>&1 || true
		rounds=$((rounds + 1))
		echo $rounds >$SCRATCH/rounds
	done
}

test_reading_under_load() {
	local i readers
	: >$SCRATCH/read
	reader &
	readers=$!
	reader &
	readers+=" $!"
	for ((i = 0; i < 3; i++)); do
		connect mptcp
		fio_start --rw=randrw --verify=crc32c --verify_fatal=1 --bs=16k --iodepth=16 --size=16m --time_based --runtime=4
		wait_for 20 io_runs
		nvme reset /dev/$CTRL
		wait_for 20 in_state live
		fio_finish
		disconnect
		# A file that is just open keeps the module.
		wait_for 20 rmmod nvme_mptcp
		unserve 1
		wait_for 20 rmmod nvmet_mptcp
		target_module mptcp
		serve 1
	done
	rm $SCRATCH/read
	# Each is about to write how far it has come.
	# shellcheck disable=SC2086 # a list
	wait $readers
	note "$(<$SCRATCH/rounds) rounds"
	(($(<$SCRATCH/rounds) > 10))
}

# A file that stays open: the module cannot go, the controller can.
test_an_open_file() {
	local fd
	connect mptcp
	exec {fd}<"$(queue_file 1)"
	read -r -u $fd _
	! rmmod nvme_mptcp || fail "the module is gone, with a file of it open"
	disconnect
	[[ -z $(ls $HOST_FILES) ]]
	! cat <&$fd || fail "there is something to read of a controller that is gone"
	exec {fd}<&-
	rmmod nvme_mptcp
}

run_tests "$@"
