#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In-band authentication by DH-HMAC-CHAP.
# debug: two_way
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

setup() {
	local host
	host=$NVMET/hosts/$(</etc/nvme/hostnqn)
	links 1
	target
	HOST_KEY=$(nvme gen-dhchap-key --hmac=1 --nqn="$(</etc/nvme/hostnqn)")
	CTRL_KEY=$(nvme gen-dhchap-key --hmac=1 --nqn=$NQN)
	mkdir "$host"
	echo "$HOST_KEY" >"$host/dhchap_key"
	echo 0 >$NVMET/subsystems/$NQN/attr_allow_any_host
	ln -s "$host" $NVMET/subsystems/$NQN/allowed_hosts/
}

test_one_way() {
	connect_fails 'write error' mptcp
	connect_fails 'write error' mptcp "dhchap_secret=$CTRL_KEY"
	connect mptcp "--dhchap-secret=$HOST_KEY"
	[[ $(attr dhchap_secret) == "$HOST_KEY" ]]
	verify --bs=64k --size=2m
	# Each new connection authenticates.
	nvme reset /dev/$CTRL
	wait_for 20 in_state live
	verify --bs=64k --size=2m
}

# The host wants to know that the target is the right one.
test_two_way() {
	local host
	host=$NVMET/hosts/$(</etc/nvme/hostnqn)
	echo "$CTRL_KEY" >"$host/dhchap_ctrl_key"
	echo ffdhe2048 >"$host/dhchap_dhgroup"
	connect_fails 'write error' mptcp "dhchap_secret=$HOST_KEY" "dhchap_ctrl_secret=$HOST_KEY"
	connect mptcp "--dhchap-secret=$HOST_KEY" "--dhchap-ctrl-secret=$CTRL_KEY"
	verify --bs=64k --size=2m
}

run_tests "$@"
