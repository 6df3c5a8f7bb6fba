#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What is written is what is read: crc32c of every block, at sizes that need no R2T, one and
# several PDUs, over four NICs, with and without digests.
# debug: both_digests
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

TEST_TIMEOUT=300

setup() {
	links
	target
}

verify_all_sizes() {
	connect_raw mptcp "$@"
	verify --bs=4k --size=2m
	verify --bs=64k --size=8m
	verify --bs=1m --size=16m
	verify --bsrange=512-128k --size=4m
}

test_no_digest() {
	verify_all_sizes
}

test_header_digest() {
	verify_all_sizes hdr_digest
}

test_data_digest() {
	verify_all_sizes data_digest
}

test_both_digests() {
	verify_all_sizes hdr_digest data_digest
}

run_tests "$@"
