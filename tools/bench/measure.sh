# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# One measurement: fio on $DISK, and the processor time that all of the machine used meanwhile.

# facts: what it was measured on.
facts() {
	jq -n -c --arg kernel "$(uname -r)" --arg cpu "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
		--arg cpus "$(nproc)" --arg virt "$(grep -qw hypervisor /proc/cpuinfo && echo guest || echo none)" \
		--arg fio "$(fio --version)" --arg rate "$RATE" --arg quick "$QUICK" --arg rounds "$ROUNDS" \
		--arg machine "${MACHINE:-}" --arg commit "${COMMIT:-}" --arg date "${DATE:-}" '{facts: $ARGS.named}'
}

# busy: seconds since boot, and processor seconds used by anything since then.
busy() { awk '{ up = $1; getline <"/proc/stat"; print up, ($2 + $3 + $4 + $7 + $8) / 100 }' /proc/uptime; }

# measure read|write BS JOBS DEPTH RAMP SECONDS: random I/O. Prints a line, adds it to the results.
measure() {
	local rw=$1 bs=$2 jobs=$3 depth=$4 ramp=$5 seconds=$6 before after fio
	fio_run --rw="rand$rw" --bs="$bs" --numjobs="$jobs" --iodepth="$depth" --norandommap \
		--time_based --ramp_time="$ramp" --runtime="$seconds" --lat_percentiles=1 --clat_percentiles=0 &
	fio=$!
	# Well within the measured time; the rates are then compared, not the sums.
	sleep $((ramp + 1))
	before=$(busy)
	sleep $((seconds - 2))
	after=$(busy)
	wait $fio
	record "$(jq -c --argjson cpus "$(awk '{ print ($4 - $2) / ($3 - $1) }' <<<"$before $after")" \
		--arg rw "$rw" --arg bs "$bs" --argjson depth $((jobs * depth)) '
		.jobs[0] | {error, rw: $rw, bs: $bs, depth: $depth, cpus: $cpus,
		mib_s: (.[$rw].bw_bytes / 1048576), iops: .[$rw].iops, mean_us: (.[$rw].lat_ns.mean / 1000),
		p99_us: (.[$rw].lat_ns.percentile["99.000000"] / 1000), fio: .[$rw]}' "$SCRATCH/fio.json")"
}

# record JSON: adds case, peer and round.
record() {
	jq -c --arg case "$CASE" --arg peer "$PEER" --argjson round "$ROUND" --argjson nics "$NICS" \
		'{case: $case, peer: $peer, round: $round, nics: $nics} + .' <<<"$1" >>"$RESULTS/results.jsonl"
	tail -n 1 "$RESULTS/results.jsonl" | jq -r '"\(.case) \(.round) \(.peer) \(.nics) NICs \(.rw) \(.bs) depth \(.depth): " +
		"\(.mib_s * 10 | round / 10) MiB/s, \(.iops | round) IOPS, mean \(.mean_us | round) us, " +
		"p99 \(.p99_us | round) us, \(.cpus * 100 | round)% CPU"'
}

# measure_pull read|write HOW: a NIC goes down after a while at full load; a bandwidth log says the rest.
measure_pull() {
	local rw=$1 how=$2 before fio at nic=$((NICS - 1))
	before=$(dmesg | wc -l)
	rm -f "$SCRATCH"/bw*.log
	fio_run --rw="rand$rw" --bs=64k --numjobs=1 --iodepth=64 --norandommap --time_based --runtime=22 \
		--lat_percentiles=1 --clat_percentiles=0 --write_bw_log="$SCRATCH/bw" --log_avg_msec=100 --log_unix_epoch=1 --continue_on_error=all &
	fio=$!
	sleep 7
	at=$(date +%s%3N)
	case $how in
	down) ip -n $TARGET_NS link set tgt$nic down ;;
	silent) impair_nic $nic loss 100% ;;
	esac
	wait $fio
	record "$(jq -c --arg rw "$rw" --arg how "$how" --argjson at "$at" --rawfile log "$SCRATCH/bw_bw.1.log" \
		--argjson resets "$(dmesg | tail -n +$((before + 1)) | grep -cE 'starting error recovery|resetting|Reconnecting' || true)" '
		.jobs[0] | {error: .total_err, rw: $rw, bs: "64k", depth: 64, cpus: 0, how: $how, resets: $resets,
		mib_s: (.[$rw].bw_bytes / 1048576), iops: .[$rw].iops, mean_us: (.[$rw].lat_ns.mean / 1000),
		p99_us: (.[$rw].lat_ns.percentile["99.000000"] / 1000), max_us: (.[$rw].lat_ns.max / 1000),
		at: $at, log: [$log | split("\n")[] | select(. != "") | split(",") | [(.[0] | tonumber), (.[1] | tonumber)]]}' \
		"$SCRATCH/fio.json")"
}
