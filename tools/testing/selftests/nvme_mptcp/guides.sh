#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The commands of the guides (Documentation/), as they stand there, in two network namespaces: what is eth0 there is
# host0 or tgt0 here. What wants packages or systemd is run by ../../boot.sh, on two machines.
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

# with_target [MODULE]: for guides that want one, under the name that they all use.
with_target() {
	target_module "${1:-mptcp}"
	subsystem nqn.2026-11.example:disk "$(backing nmtest data)"
	port 1
	serve 1 nqn.2026-11.example:disk
}

four_nics() {
	local nic
	for nic in 0 1 2 3; do
		[[ $(tcp_connections host $nic) -ge $(queues) ]] || return 1
	done
}

test_quickstart() {
	local unit=/etc/systemd/system/nvme-mptcp-paths.service
	follow quickstart -e "s|/dev/sdb|$(backing nmtest data)|" -e '/^apt install /d; /^systemctl /d'
	CTRL=$(controllers)
	wait_for_disk
	wait_for 20 four_nics
	verify --bs=64k --size=2m
	[[ -e $unit && -e /etc/nvmet/config.json ]]
	rm -r /etc/nvmet /etc/nvme-mptcp
	disconnect
	on_host nvme-mptcp paths clear --apply
	[[ ! -e $unit ]]
}

test_paths() {
	with_target
	follow paths
	[[ -z $(controllers) ]]
}

test_tool() {
	with_target
	target_tool paths setup --target --apply
	follow tool
	# Both lines of connect-all: it says what, and finds it there.
	[[ $(controllers | wc -l) == 1 ]]
	rm -r /etc/nvme-mptcp
}

test_troubleshooting() {
	with_target
	target_tool paths setup --target tgt0 tgt1 tgt2 tgt3 --apply
	host_tool paths setup --host host0 host1 host2 host3 --apply
	on_host nvme connect -t mptcp -a 10.0.0.2 -s $PORT -n nqn.2026-11.example:disk
	CTRL=$(controllers)
	wait_for 20 four_nics
	follow troubleshooting -e 's/timeout 10/timeout 1/'
	wait_for 20 four_nics
}

# The secret keeps strangers out, and what goes over the wire is encrypted.
test_security() {
	local before
	with_target
	target_tool paths setup --target --apply
	follow security
	CTRL=$(controllers)
	wait_for_disk
	wait_for 20 has_subflows 4
	before=$(esp_bytes)
	verify --bs=64k --size=4m
	note "$(($(esp_bytes) - before)) bytes through IPsec"
	(($(esp_bytes) - before > 8 << 20))
	# While it is connected nvme-cli would find the secret in sysfs.
	disconnect
	! on_host nvme connect -t mptcp -a 10.0.0.2 -s $PORT -n nqn.2026-11.example:disk -q nqn.2026-11.example:host ||
		fail "in without the secret"
	rm /root/ipsec.secret /root/host.key
}
esp_bytes() { ip -n $HOST_NS -s xfrm state | sed -n 's/^\s*\([0-9]*\)(bytes).*/\1/p' | paste -sd+ | bc; }

# All goes through the tunnels, over four paths, and over three when a NIC dies; outside of them nobody answers.
test_wireguard() {
	local before sent
	target_module mptcp
	modprobe wireguard && command -v wg || lacks WireGuard
	follow wireguard -e "s|/dev/sdb|$(backing nmtest data)|"
	CTRL=$(controllers)
	wait_for_disk
	wait_for 20 four_tunnels
	before=$(wireguard_bytes)
	verify --bs=64k --size=4m
	sent=$(($(wireguard_bytes) - before))
	note "$sent bytes through WireGuard"
	((sent > 8 << 20))
	[[ -z $(on_host ss -tHn state established dst 10.0.0.0/16) ]]
	! TRADDR=10.0.0.2 _fabrics mptcp || fail "the port is open outside of the tunnels"
	set-link 3 off
	verify --bs=64k --size=4m
	[[ $(state) == live ]]
	rm /root/wg-*
}
four_tunnels() { [[ $(on_host ss -tHn state established dst 10.1.0.0/16 | wc -l) == $((4 * $(queues))) ]]; }
wireguard_bytes() { on_host wg show all transfer | awk '{ bytes += $3 + $4 } END { print bytes }'; }

test_choosing() {
	with_target
	target_tool paths setup --target --apply
	follow choosing
	[[ -z $(controllers) ]]
}

test_dropin() {
	with_target tcp
	follow dropin
	[[ -z $(controllers) ]]
	rm -r /etc/nvmet
}

test_tuning() {
	local value
	with_target
	value=$(on_host sysctl -n net.ipv4.tcp_rmem)
	follow tuning
	[[ $(on_host sysctl -n net.ipv4.tcp_rmem) != "$value" ]]
}

run_tests "$@"
