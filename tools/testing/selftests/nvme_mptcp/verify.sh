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

# some_mib NUMBER: so much, or less on a slow kernel.
some_mib() { echo $(($1 * 1024 / (SLOW > 1 ? 4 : 1)))k; }

verify_all_sizes() {
	connect_raw mptcp "$@"
	verify --bs=4k --size="$(some_mib 2)"
	verify --bs=64k --size="$(some_mib 8)"
	verify --bs=1m --size="$(some_mib 16)"
	verify --bsrange=512-128k --size="$(some_mib 4)"
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
