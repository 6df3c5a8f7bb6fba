#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The commands of the guides (Documentation/), as they stand there, in two network namespaces: what is eth0 there is
# host0 or tgt0 here. The quick start and what wants systemd is run by ../../boot.sh, on two machines.
# vm: --nics 4
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
# shellcheck source=lib/tool.sh
. "${BASH_SOURCE[0]%/*}/lib/tool.sh"
# shellcheck source=lib/guide.sh
. "${BASH_SOURCE[0]%/*}/lib/guide.sh"

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

# follow GUIDE [SED-COMMAND...]: does what it says.
follow() {
	local block side guide=$1 machine
	shift
	guide_blocks "$guide" "$SCRATCH/block"
	for block in "$SCRATCH/block/"*; do
		side=${block##*.}
		[[ $side == host || $side == target || $side == both ]] || continue
		[[ $side != both ]] || side='host target'
		for machine in $side; do
			sed "$@" -e "s/\\beth\([0-3]\)/$([[ $machine == host ]] && echo host || echo tgt)\1/g" "$block" >"$SCRATCH/commands"
			echo "--- $machine: $(<"$SCRATCH/commands")"
			"on_$machine" bash -euo pipefail "$SCRATCH/commands" ||
				fail "$guide.rst: this fails on the $machine: $(<"$SCRATCH/commands")"
		done
	done
}

test_paths() {
	target
	follow paths -e "s/nqn.2026-11.example:disk/$NQN/"
	[[ -z $(controllers) ]]
}

run_tests "$@"
