#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Allocations that fail, each in turn. All ends in a clean error, and what is tried afterwards works. Each test states where
# an allocation of ours may fail, and fails itself if one of these has not: then it does not show what it
# says. Needs fault injection, thus KERNEL=debug.
#
#	FAULT_ROUNDS	at most so many failures a test, 400 unless told
#
# set: faults
# debug: add_port lists
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
TEST_TIMEOUT=600
# What is large tells by itself that it has failed.
INJECTED='|: vmalloc error: '

FAULT_ROUNDS=${FAULT_ROUNDS:-400}
readonly FAULTS="/sys/kernel/debug/failslab /sys/kernel/debug/fail_page_alloc"

setup() {
	[[ -e /sys/kernel/debug/failslab ]] || lacks "fault injection (CONFIG_FAILSLAB)"
	links 1
	target data 32
	modprobe nvme_mptcp
	_fabrics_device
	# Each failure says where; a console is slow.
	dmesg -n 4
}

# faults_of MODULE: only allocations count that are made on behalf of it.
faults_of() {
	local dir start end
	read -r start end < <(sort /proc/kallsyms | awk -v module="[$1]" '
		$4 == module && $2 ~ /[tT]/ { start = start ? start : $1; end = $1 } END { print start, end }')
	# Not the page of a slab: the object that is allocated fails in another round. And not links in sysfs: when that of
	# a subsystem fails the nvme core takes a lock that it has already (nvme_init_subsystem(), 7.3).
	only_in fail_page_alloc reject new_slab allocate_slab
	only_in failslab reject kernfs_create_link
	for dir in $FAULTS; do
		echo 32 >"$dir/stacktrace-depth"
		echo "0x$start" >"$dir/require-start"
		echo "0x$end" >"$dir/require-end"
		echo N >"$dir/ignore-gfp-wait"
		echo 0 >"$dir/probability"
		echo -1 >"$dir/times"
		echo 2 >"$dir/verbose"
		echo 0 >"$dir/verbose_ratelimit_interval_ms"
	done
	# What the debug kernel allocates to keep an eye on the others is every other allocation, and not of interest.
	mark_caches '!(kmemleak_*|debug_objects_cache)'
	echo 0 >/sys/kernel/debug/fail_page_alloc/min-order
	echo N >/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem
}

# only_in KIND require|reject FUNCTION...: of this kind only what this function allocates fails, or just that does not. Of
# several it is the first that the compiler has not made a part of another. The function is a regular expression.
only_in() {
	local function start end
	for function in "${@:3}"; do
		read -r start end < <(sort /proc/kallsyms | awk -v name="$function" '
			start && !end { end = $1 } $3 ~ "^" name "$" { start = $1 } END { print start, end }')
		[[ -z $end ]] || break
	done
	[[ -n $end ]] || fail "the kernel has no function ${*:3}"
	echo "0x$start" >"/sys/kernel/debug/$1/$2-start"
	echo "0x$end" >"/sys/kernel/debug/$1/$2-end"
}

# mark_caches PATTERN: only allocations from these caches count.
mark_caches() {
	local cache pattern=$1
	for cache in /sys/kernel/slab/*; do
		# shellcheck disable=SC2053 # a pattern
		if [[ ${cache##*/} == $pattern ]]; then
			echo 1 >"$cache/failslab"
		else
			echo 0 >"$cache/failslab"
		fi
	done
	echo Y >/sys/kernel/debug/failslab/cache-filter
}

# options [PORT [QUEUES]]: of a small controller, as /dev/nvme-fabrics wants them.
options() {
	local options=nqn=$NQN,transport=mptcp,traddr=10.0.0.2,host_traddr=10.0.0.1,nr_io_queues=${2:-1},queue_size=16,reconnect_delay=1
	echo "$options${1:+,trsvcid=$1},hostnqn=$(</etc/nvme/hostnqn),hostid=$(</etc/nvme/hostid)"
}

# fail_each WHAT ARGUMENT...: see peer/fail_nth.py. What must have failed is read from stdin: a line for each, how many
# calls of ours at least, and a regular expression for the way to them, from the inside.
fail_each() {
	local least regex number places missing=() rounds=$LOGS/$TEST.rounds
	on_host "$_LIB/../peer/fail_nth.py" --most "$FAULT_ROUNDS" "$@" >"$rounds" 2>"$SCRATCH/end"
	note "$(<"$SCRATCH/end"): $(awk '{ n[$2]++ } END { for (r in n) { printf "%s%d %s", s, n[r], r; s = ", " } }' "$rounds")"
	sed 's/^[^|]*| //;s/ | /\n/g' "$rounds" >"$SCRATCH/failures"
	while read -r least regex; do
		places=$(sort -u "$SCRATCH/failures" | grep -cE -- "$regex" || true)
		number=$(grep -cE -- "$regex" "$SCRATCH/failures" || true)
		note "$number failures at $places places of $regex"
		((places >= least)) || missing+=("$regex ($places of $least)")
	done
	((${#missing[@]} == 0)) || fail "nothing has failed in: ${missing[*]}"
	! grep -E '^[0-9]+ (ETIMEDOUT|TimeoutError)' "$rounds" || fail "a time-out had to end that"
}

all_works() {
	dmesg -n 8
	connect mptcp
	verify --bs=64k --size=1m
	disconnect
}

# To the default port, so that this is filled in. The second of two I/O queues fails as well, with the first one connected.
test_connect() {
	(($(nproc) > 1)) || lacks "a second processor"
	port 2 0.0.0.0 8009
	serve 2
	grep -aE --line-buffered 'queue 2: ' < <(dmesg --follow-new) >$SCRATCH/second &
	faults_of nvme_mptcp
	fail_each --most 600 --times 2 connect "$(options '' 2)" <<-'END'
		1 ^kstrdup < (ffi_kstrdup .*< )?options::check
		2 ^__kmalloc.* < host_engine_alloc
		5 ^krealloc.* < controller::MptcpCtrl::new
		1 ^krealloc.* < .*::reserve .* < controller::MptcpCtrl::new
		1 ^nvme_init_ctrl < .*Transport::create
		1 ^nvme_add_ctrl < transport::connect
		1 ^debugfs_create_dir < (ffi_debugfs_dir .*< )?transport::connect
		2 ^(__sock_create|sock_create_kern) < queue::Queue::connect
		2 ^kernel_bind < queue::Queue::connect
		1 ^kernel_connect < queue::Queue::connect
		1 ^krealloc.* < queue::Queue::connect
		1 ^__kmalloc.* < host_engine_queue_init
		2 ^__kmalloc.* < host_engine_queue_connect
		1 ^kernel_sendmsg < host_engine_queue_connect
		1 ^nvme_alloc_admin_tag_set < controller::MptcpCtrl::set_up
		1 ^nvmf_connect_admin_queue < queue::Queue::start
		1 ^nvme_init_ctrl_finish < controller::MptcpCtrl::set_up
		1 ^nvme_alloc_io_tag_set < controller::MptcpCtrl::set_up
		1 ^nvmf_connect_io_queue < queue::Queue::start
	END
	[[ -z $(controllers) ]]
	sort $SCRATCH/second | uniq -c
	[[ -s $SCRATCH/second ]] || fail "the second queue has not failed"
	all_works
}

# The lists of controllers and of connections grow with the first one, so their memory fails in modules that are new.
test_lists() {
	faults_of nvme_mptcp
	all_fail_in failslab '_R.*8registry6insert'
	connect_fails 'write error: Cannot allocate memory' mptcp nr_io_queues=1
	all_have_failed failslab
	# Nothing else in our modules uses kvrealloc(), and it is enough that no address is found for what it allocates.
	all_fail_in failslab 'kvrealloc_node_align.*'
	connect_fails 'write error' mptcp nr_io_queues=1
	all_have_failed failslab
	says 'cannot serve a connection: ENOMEM'
	all_works
}
# all_fail_in KIND FUNCTION: all that it allocates of this kind. all_have_failed KIND: and it ends.
all_fail_in() {
	only_in "$1" require "$2"
	echo 100 >"/sys/kernel/debug/$1/times"
	echo 100 >"/sys/kernel/debug/$1/probability"
}
all_have_failed() {
	echo 0 >"/sys/kernel/debug/$1/probability"
	(($(<"/sys/kernel/debug/$1/times") < 100)) || fail "nothing has failed of $1"
}

# Pieces of a page that PDUs live in: when a large page fails a small one is tried, so it takes two failures. (Not in
# host_engine_init_request(): blk_mq_alloc_tag_set() then forgets an srcu_barrier(), and warns of that, 7.3.)
test_pages() {
	local function
	faults_of nvme_mptcp
	all_fail_in fail_page_alloc host_engine_alloc_async
	connect_fails 'write error: Cannot allocate memory' mptcp nr_io_queues=1
	all_have_failed fail_page_alloc
	faults_of nvmet_mptcp
	for function in target_engine_alloc target_engine_install; do
		all_fail_in fail_page_alloc $function
		connect_fails 'write error' mptcp nr_io_queues=1
		all_have_failed fail_page_alloc
	done
	says 'cannot serve a connection: ENOMEM'
	says 'failed to install queue 0 cntlid 1'
	all_works
}

test_add_port() {
	unserve 1
	faults_of nvmet_mptcp
	fail_each --times 5 enable $NVMET/subsystems/$NQN $NVMET/ports/1 <<-'END'
		1 ^(__sock_create|sock_create_kern) < .*add_port
		1 ^(mptcp|sock_common)_setsockopt < ffi_setsockopt_int
		1 ^kernel_bind < .*Socket::bind
		3 ^krealloc.* < .*add_port
	END
	serve 1
	all_works
}

# A listener that cannot make a connection of what it has accepted drops it, and goes on.
test_accept() {
	faults_of nvmet_mptcp
	fail_each --times 2 accept "$(target_ip 0)" $PORT $NQN <<-'END'
		1 ^kernel_accept < .*WorkItem::run
		5 ^krealloc.* < .*WorkItem::run
		1 ^__kmalloc.* < target_engine_alloc
		1 ^nvmet_sq_init < target_engine_alloc
		1 ^debugfs_create_dir < .*WorkItem::run
		1 ^kernel_sendmsg < nvmet_tcp_handle_icreq .*< target_engine_recv
		1 ^nvmet_execute_admin_connect < target_engine_recv
		1 ^sock_sendmsg < ffi_sock_send_bvec .*Connection::io_work
	END
	peer protocol data_in_capsule data_by_r2t
	all_works
}

test_io_of_the_host() {
	faults_of nvme_mptcp
	fail_each --most 60 io "$(options $PORT)" <<-'END'
		1 ^sock_sendmsg < ffi_sock_send_bvec .*queue_rq
		1 ^sock_sendmsg < ffi_sock_send_bvec .*Controller::io_work
	END
	all_works
}

# Whoever submits a request sends it, and when there is no memory for that the queue's work soon tries again: not one waits
# for its time-out.
test_sent_by_who_submits() {
	local dir=/sys/kernel/debug/failslab
	faults_of nvme_mptcp
	connect mptcp
	only_in failslab require '_R.*5queue2io.*5Queue6submit'
	echo 0 >$dir/verbose
	echo 100000 >$dir/times
	echo 30 >$dir/probability
	verify --bs=4k --size=2m --iodepth=1
	echo 0 >$dir/probability
	note "$((100000 - $(<$dir/times))) allocations have failed"
	(($(<$dir/times) <= 99900)) || fail "too few allocations have failed"
	! says 'timed out' || fail "a command has timed out"
	[[ $(recoveries) == 0 ]]
}

test_io_of_the_target() {
	faults_of nvmet_mptcp
	fail_each --most 60 io "$(options $PORT)" <<-'END'
		1 ^sock_sendmsg < ffi_sock_send_bvec .*Connection::io_work
	END
	# The pages for data fail without a word of their own.
	says 'failed to map data'
	all_works
}

# For sends and receives memory is missing everywhere: one in 50 of the packets that anybody in the machine wants to make,
# at either end, in any context. Commands are slow then, or tried again on another connection; data are right.
test_packets() {
	local before left
	connect mptcp --reconnect-delay=1
	verify --bs=16k --size=1m
	packets_fail 2
	verify_meanwhile
	before=$(packets_left)
	wait_for 100 fewer_packets_left $((before - 100))
	left=$(packets_left)
	packets_fail 0
	verify_ends
	note "$((before - left)) packets could not be made; $(recoveries) error recoveries"
	wait_for 60 in_state live
	verify --bs=16k --size=1m
	disconnect
	all_works
}
# packets_fail PERCENT: of all allocations of socket buffers, without a word.
packets_fail() {
	local dir=/sys/kernel/debug/failslab
	mark_caches 'skbuff_*'
	echo N >$dir/ignore-gfp-wait
	echo 0 >$dir/stacktrace-depth
	echo 0 >$dir/require-start
	echo 0xffffffffffffffff >$dir/require-end
	echo 0 >$dir/verbose
	echo 1 >$dir/interval
	[[ $1 == 0 ]] || echo 100000 >$dir/times
	echo "$1" >$dir/probability
}
packets_left() { cat /sys/kernel/debug/failslab/times; }
fewer_packets_left() { (($(packets_left) < $1)); }

# A disk of the target that fails: the host's command does, and nothing else.
test_disk_errors() {
	local disk dir=/sys/kernel/debug/fail_make_request
	disk=$(_backing_path nmtest)
	connect mptcp
	echo 1 >"/sys/block/${disk#/dev/}/make-it-fail"
	echo 0 >$dir/verbose
	for command in "if=$DISK of=/dev/null bs=64k iflag=direct" "if=/dev/zero of=$DISK bs=64k oflag=direct"; do
		echo 1 >$dir/times
		echo 100 >$dir/probability
		# shellcheck disable=SC2086 # a list
		! dd count=1 $command 2>"$SCRATCH/error" || fail "the disk's error is not the host's"
		grep 'Input/output error' "$SCRATCH/error"
		echo 0 >$dir/probability
		[[ $(<$dir/times) == 0 ]]
	done
	[[ $(state) == live && $(recoveries) == 0 ]]
	verify --bs=64k --size=1m
}

# Commands that end with a status that the target has not given (the nvme core's own injection): tried again if they may be.
test_command_errors() {
	local dir
	connect mptcp
	dir=/sys/kernel/debug/$(path_device)/fault_inject
	echo 0 >"$dir/verbose"
	echo 6 >"$dir/status"
	echo 0 >"$dir/dont_retry"
	echo 20 >"$dir/times"
	echo 10 >"$dir/probability"
	verify --bs=16k --size=4m --iodepth=8
	(($(<"$dir/times") < 20)) || fail "no command has failed"
	echo 1 >"$dir/dont_retry"
	echo 1 >"$dir/times"
	echo 100 >"$dir/probability"
	! dd if="$DISK" of=/dev/null bs=4k count=1 iflag=direct || fail "read nonetheless"
	[[ $(<"$dir/times") == 0 ]]
	[[ $(state) == live && $(recoveries) == 0 ]]
	verify --bs=64k --size=1m
}

test_reset() {
	faults_of nvme_mptcp
	# Of all that have a part in it at once. Then of the reset alone: what fails elsewhere keeps it from what comes later.
	fail_each --most 60 reset "$(options $PORT)" <<-'END'
		2 < .*engine_reset_work
	END
	only_in failslab require engine_reset_work
	only_in fail_page_alloc require engine_reset_work
	fail_each --most 150 reset "$(options $PORT)" <<-'END'
		1 ^(__sock_create|sock_create_kern) < .*Queue::connect
		1 ^kernel_connect < .*Queue::connect
		1 ^__kmalloc.* < host_engine_queue_init
		1 ^__kmalloc.* < host_engine_queue_connect
		1 ^nvmf_connect_admin_queue < .*Queue::start
		1 ^nvmf_connect_io_queue < .*Queue::start
	END
	all_works
}

test_disconnect() {
	faults_of nvme_mptcp
	fail_each --most 60 disconnect "$(options $PORT)" <<-'END'
		1 ^sock_sendmsg < ffi_sock_send_bvec
	END
	[[ -z $(controllers) ]]
	all_works
}

run_tests "$@"
