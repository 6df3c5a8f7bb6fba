# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# nvme-mptcp, the program, in a test. Not part of lib.sh: only the scripts tool_*.sh want it.

# From a checkout ("make tool"), or installed.
TOOL=$_LIB/../../../../../out/tool/nvme-mptcp
[[ -x $TOOL ]] || TOOL=$(command -v nvme-mptcp || true)

_needs_tool() { [[ -n $TOOL ]] || skip "there is no nvme-mptcp (make tool)"; }

# tool ARGUMENT..., on either end: on_host tool... is not possible with a function, hence these.
host_tool() { _needs_tool && on_host "$TOOL" "$@"; }
target_tool() { _needs_tool && on_target "$TOOL" "$@"; }

# expect STATUS COMMAND...: it ends so; what it prints is in $SCRATCH/said and in the log.
expect() {
	local want=$1 status=0
	shift
	"$@" >"$SCRATCH/said" 2>&1 || status=$?
	echo "\$ $*"
	cat "$SCRATCH/said"
	((status == want)) || fail "status $status, not $want: $*"
}

# said REGEX: the last expect has printed a line like that.
said() { grep -E -- "$1" "$SCRATCH/said" >/dev/null || fail "it does not say '$1'"; }

# finds host|target NAME [OPTION...]: doctor there finds this problem, and tells a command for it.
finds() {
	local end=$1 name=$2
	shift 2
	expect 1 "${end}_tool" doctor "$@"
	_told problem "$name"
}

# hints host|target NAME [OPTION...]: doctor there gives this hint, and calls it sound.
hints() {
	local end=$1 name=$2
	shift 2
	sound "$end" "$@"
	_told hint "$name"
}

_told() {
	said "^$1: $2\$"
	grep -A 2 "^$1: $2\$" "$SCRATCH/said" | grep '^    [^ ]' >/dev/null || fail "it tells nothing to do"
}

# sound host|target [OPTION...]: doctor there finds nothing.
sound() {
	local end=$1
	shift
	expect 0 "${end}_tool" doctor "$@"
	said '^sound: '
}
