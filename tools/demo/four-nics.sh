#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What four NICs are worth to one NVMe controller: nvme-tcp over one of them against nvme-mptcp over
# all. Runs in a virtual machine (make demo), with the tools that a user has. Exits non-zero when
# something that it claims is not so.
set -euo pipefail

readonly NQN=nqn.2026-11.io.nvme-mptcp:demo RATE=100mbit WANTED=3.4
readonly TESTS=tools/testing/selftests/nvme_mptcp
NICS=4
SCRATCH=$(mktemp -d)
# The network of the selftests is drawn in links.sh.
# shellcheck source-path=SCRIPTDIR source=../testing/selftests/nvme_mptcp/lib/links.sh
. "$TESTS/lib/links.sh"

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
run() {
	printf '\033[2m$ %s\033[0m\n' "$*"
	"$@"
}
claim() { # WHAT COMMAND...: says what is so, having looked.
	local what=$1
	shift
	if "$@"; then
		echo "   yes: $what"
	else
		echo "   NO, not true: $what"
		exit 1
	fi
}
at_least() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }'; }

# Namespaces are scanned side by side, so their disks are not numbered by them.
disk_of() {
	grep -lx "$1" /sys/block/nvme*n*/nsid 2>/dev/null | sed -nE 's|/sys/block/(nvme[0-9]+n[0-9]+)/nsid|/dev/\1|p'
}

connect() {
	run on_host nvme connect -t "$1" -a 10.0.0.2 -s 4420 -n $NQN
	for _ in {1..100}; do
		DISK=$(disk_of 1) KEEPS=$(disk_of 2)
		[[ ! -b $DISK || ! -b $KEEPS ]] || return 0
		sleep 0.1
	done
	echo "no disk came" >&2
	exit 1
}

# Prints MiB/s.
measure() {
	fio --name=demo --filename="$DISK" --direct=1 --ioengine=libaio --rw="rand$1" --bs=128k \
		--iodepth=16 --numjobs=2 --group_reporting --norandommap --time_based --ramp_time=5 \
		--runtime=8 --output-format=json | jq ".jobs[0].$1.bw / 1024 * 10 | round / 10"
}

measure_both() {
	READ=$(measure read)
	echo "   read  $READ MiB/s"
	WRITE=$(measure write)
	echo "   write $WRITE MiB/s"
}

step "A host and a target, each in a network namespace, joined by $NICS NICs of $RATE"
links $NICS
for ((i = 0; i < NICS; i++)); do
	tc -n "$HOST_NS" qdisc add dev "host$i" root tbf rate $RATE burst 250k latency 50ms
	tc -n "$TARGET_NS" qdisc add dev "tgt$i" root tbf rate $RATE burst 250k latency 50ms
done
run on_host ip -4 -br addr
echo "The target announces the address of each NIC to hosts that speak MPTCP:"
run on_target ip mptcp endpoint

step "The target: nvmet, served by nvmet_mptcp in place of nvmet-tcp"
run modprobe nvmet_mptcp
echo "Two disks: one that forgets what is written, for measuring, and one that keeps it."
modprobe null_blk nr_devices=1
mkdir /sys/kernel/config/nullb/keeps
cd /sys/kernel/config/nullb/keeps
echo 1 >memory_backed
echo 256 >size
echo 1 >power
cd /sys/kernel/config/nvmet
mkdir -p subsystems/$NQN/namespaces/{1,2} ports/1
echo 1 >subsystems/$NQN/attr_allow_any_host
echo /dev/nullb0 >subsystems/$NQN/namespaces/1/device_path
echo /dev/keeps >subsystems/$NQN/namespaces/2/device_path
echo 1 | tee subsystems/$NQN/namespaces/{1,2}/enable >/dev/null
echo tcp >ports/1/addr_trtype
echo ipv4 >ports/1/addr_adrfam
echo 0.0.0.0 >ports/1/addr_traddr
echo 4420 >ports/1/addr_trsvcid
on_target ln -s "$PWD/subsystems/$NQN" ports/1/subsystems/
cd - >/dev/null

step "nvme-tcp, which uses one NIC"
modprobe nvme-fabrics
connect tcp
measure_both
ONE_READ=$READ ONE_WRITE=$WRITE
run nvme disconnect -n $NQN

step "nvme-mptcp: the same address, the same command but for -t mptcp"
connect mptcp
run nvme list-subsys
measure_both

step "The same connections, seen by MPTCP: a line a queue, with the number of its subflows"
run on_host ss -MHniO state established
for ((i = 0; i < NICS; i++)); do
	count=$(on_host ss -tHn state established src "$(host_ip $i)" | wc -l)
	sent=$(bytes_sent host $i)
	echo "   NIC $i: $count subflows, $((sent >> 20)) MiB sent"
	claim "every queue has a subflow on NIC $i" test "$count" -ge 2
	claim "NIC $i carried data" test "$sent" -gt $((1 << 20))
done

step "Data are what was written: 64 MiB in random order, crc32c of every block"
claim "all blocks verify" fio --name=verify --filename="$KEEPS" --direct=1 --ioengine=libaio \
	--rw=randwrite --bs=64k --size=64m --iodepth=16 --verify=crc32c --verify_fatal=1 \
	--verify_state_save=0 --output="$SCRATCH/verify"

step "Nothing left behind"
run nvme disconnect -n $NQN
rm /sys/kernel/config/nvmet/ports/1/subsystems/$NQN
rmdir /sys/kernel/config/nvmet/ports/1
run rmmod nvme_mptcp nvmet_mptcp

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
step "Result: 128 KiB random I/O, MiB/s, $NICS NICs of $RATE"
printf '   %-28s %8s %8s\n' "" read write
printf '   %-28s %8s %8s\n' "nvme-tcp, one NIC" "$ONE_READ" "$ONE_WRITE"
printf '   %-28s %8s %8s\n' "nvme-mptcp, $NICS NICs" "$READ" "$WRITE"
printf '   %-28s %7sx %7sx\n' "ratio" "$(ratio "$READ" "$ONE_READ")" "$(ratio "$WRITE" "$ONE_WRITE")"
claim "$NICS NICs read at least $WANTED times as fast as one" \
	at_least "$(ratio "$READ" "$ONE_READ")" $WANTED
claim "$NICS NICs write at least $WANTED times as fast as one" \
	at_least "$(ratio "$WRITE" "$ONE_WRITE")" $WANTED
