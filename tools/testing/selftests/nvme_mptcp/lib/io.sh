# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# I/O of a test, by fio on $DISK.

# fio_run OPTION...: as fio, on $DISK; the result is in $SCRATCH/fio.json.
fio_run() {
	fio --name=test --filename="$DISK" --direct=1 --ioengine=libaio --group_reporting --aux-path="$SCRATCH" \
		--output-format=json --output="$SCRATCH/fio.json" "$@"
}

# verify OPTION...: writes all of a region, reads it back, and checks crc32c of each block.
verify() {
	fio_run --rw=randwrite --verify=crc32c --verify_fatal=1 --iodepth=16 --size=16m "$@"
}

# bandwidth read|write [OPTION...]: prints KiB/s of 128 KiB requests.
bandwidth() {
	local rw=$1
	shift
	fio_run --rw="rand$rw" --bs=128k --numjobs=2 --iodepth=16 --norandommap \
		--time_based --ramp_time=5 --runtime=8 "$@"
	jq ".jobs[0].$rw.bw" "$SCRATCH/fio.json"
}

# ratio A B: A / B with two decimals.
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f\n", a / b }'; }

# at_least A B: compares decimal numbers.
at_least() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }'; }

# mib_s KIB: KiB/s as MiB/s with one decimal.
mib_s() { awk -v kib="$1" 'BEGIN { printf "%.1f\n", kib / 1024 }'; }

# fio_start OPTION...: fio in the background, longer on a slow kernel (what happens meanwhile takes three times as long there); its pid is $FIO. fio_finish waits for it and fails if it saw an error.
fio_start() {
	local option
	for option; do
		shift
		[[ $option != --runtime=* ]] || option=--runtime=$((${option#*=} * (SLOW + 1) / 2))
		set -- "$@" "$option"
	done
	fio --name=load --filename="$DISK" --direct=1 --ioengine=libaio --group_reporting --aux-path="$SCRATCH" \
		--output-format=json --output="$SCRATCH/load.json" "$@" &
	FIO=$!
}
fio_finish() { wait "$FIO" || fail "fio failed: $(tail -n 5 "$SCRATCH/load.json")"; }

# fio_stop: ends the fio of fio_start, and fails if that saw an error, or has ended before. Where a test looks at something while
# there is I/O, this is better than a time.
fio_stop() {
	local status=0
	# bash has its background jobs ignore this signal, until they have a handler of their own.
	wait_for 30 _fio_takes_signals
	kill -INT "$FIO" || fail "fio has ended before: $(tail -n 5 "$SCRATCH/load.json")"
	wait "$FIO" || status=$?
	# When it is told to end it says so, and 128.
	[[ $status == 128 && $(sed -n '/^{/,$p' "$SCRATCH/load.json" | jq '[.jobs[].error] | add') == 0 ]] ||
		fail "fio failed, status $status: $(tail -n 5 "$SCRATCH/load.json")"
}

# Or has ended.
_fio_takes_signals() {
	local state
	state=$(awk '/^(State|SigCgt):/ { printf "%s ", $2 }' "/proc/$FIO/status") || return 0
	echo "$state"
	[[ $state == [ZX]* ]] || ((0x$(cut -d ' ' -f 2 <<<"$state") & 2))
}

# io_runs: the target's disk is being used; for wait_for.
io_runs() {
	local before
	before=$(</sys/block/nmtest/stat)
	pause 0.3
	[[ $(</sys/block/nmtest/stat) != "$before" ]]
}
