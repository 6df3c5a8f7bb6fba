#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Every command of the guides (Documentation/), as it stands there: a block after ".. run: host" or ".. run: target" is
# run on that machine. What is eth0 there is host0 or tgt0 here.
# vm: --nics 4
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
# shellcheck source=lib/tool.sh
. "${BASH_SOURCE[0]%/*}/lib/tool.sh"

GUIDES=$_LIB/../../../../../Documentation

setup() {
	[[ -e $GUIDES/quickstart.rst ]] || lacks "the guides"
	links --virtio
	set-link 0 1 2 3 on
	for ns in $HOST_NS $TARGET_NS; do
		ip -n $ns mptcp endpoint flush
		ip -n $ns mptcp limits set subflows 2 add_addr_accepted 0
	done
	modprobe nvmet
	_fabrics_device
	mkdir "$SCRATCH/bin"
	ln -s "$TOOL" "$SCRATCH/bin/nvme-mptcp"
	PATH+=:$SCRATCH/bin:$_LIB/../../../../nvmet
}

# blocks GUIDE: writes $SCRATCH/block/N, whose first line says on which machine.
blocks() {
	rm -rf "$SCRATCH/block"
	mkdir "$SCRATCH/block"
	awk -v out="$SCRATCH/block/" '
		/^\.\. (not )?run: / { side = $1 " " $2 == ".. run:" ? $3 : "nowhere"; next }
		/^::$/ { if (side == "") { print FILENAME ": a block without a machine, line " NR; exit 1 }
			 block = sprintf("%s%03d.%s", out, ++n, side); side = ""; next }
		block && /^    / { print substr($0, 5) > block; next }
		block && /^[^ ]/ { close(block); block = "" }' "$GUIDES/$1.rst"
}

# follow GUIDE [SED-COMMAND...]: does what it says.
follow() {
	local block side guide=$1
	shift
	blocks "$guide"
	for block in "$SCRATCH/block/"*; do
		side=${block##*.}
		[[ $side != nowhere ]] || continue
		sed -i "$@" -e "s/\\beth\([0-3]\)/$([[ $side == host ]] && echo host || echo tgt)\1/g" "$block"
		echo "--- $side: $(<"$block")"
		"on_$side" bash -euo pipefail "$block" || fail "$guide.rst: this fails on the $side: $(<"$block")"
	done
}

test_quickstart() {
	local disk unit=/etc/systemd/system/nvme-mptcp-paths.service
	disk=$(backing nmtest data)
	follow quickstart -e "s|/dev/sdb|$disk|"
	CTRL=$(controllers)
	wait_for_disk
	wait_for 20 _four_nics
	verify --bs=64k --size=2m
	[[ -e $unit && -e /etc/nvmet/config.json ]]
	rm -r /etc/nvmet
	disconnect
	on_host nvme-mptcp paths clear --apply
	[[ ! -e $unit ]]
}

_four_nics() {
	local nic
	for nic in 0 1 2 3; do
		[[ $(tcp_connections host $nic) -ge $(queues) ]] || return 1
	done
}

test_paths() {
	target
	follow paths -e "s/nqn.2026-11.example:disk/$NQN/"
	[[ -z $(controllers) ]]
}

run_tests "$@"
