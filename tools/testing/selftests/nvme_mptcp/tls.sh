#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# There is no TLS on MPTCP sockets: whatever asks for it is refused, with the reason, and
# nothing is created.
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	links 1
	target
	modprobe nvme_mptcp
}

refused() {
	connect_fails 'not supported' mptcp "$@"
	says "nvme_mptcp: .*${1%%=*}.*TLS"
	[[ $(on_host ss -tHn | wc -l) == 0 ]]
}

test_tls() {
	refused tls
}

test_concat() {
	refused concat dhchap_secret="$(nvme gen-dhchap-key)"
}

test_keyring() {
	refused "keyring=$(_serial keyring)"
}

test_tls_key() {
	refused "tls_key=$(_serial keyring)"
}

# _serial TYPE: of the kernel's own .nvme keyring, in decimal.
_serial() {
	local serial
	modprobe nvme_keyring
	serial=$(awk '/keyring.* \.nvme:/ { print $1 }' /proc/keys)
	[[ -n $serial ]] || lacks "the .nvme keyring (CONFIG_NVME_TCP_TLS)"
	echo $((16#$serial))
}

test_target_port_with_tls() {
	unserve 1
	echo tls1.3 >$NVMET/ports/1/addr_tsas || lacks "addr_tsas tls1.3 (CONFIG_NVME_TARGET_TCP_TLS)"
	! serve 1 || fail "the port listens"
	says 'nvmet_mptcp: .*TLS'
}

run_tests "$@"
