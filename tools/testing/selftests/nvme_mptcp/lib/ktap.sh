# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Running tests, each in a shell and a process group of its own, and telling the results as KTAP.

set -u

# Seconds that one test may take, its clean-up not included. A script may set it.
TEST_TIMEOUT=120
# Where the output of every test is kept.
LOGS=${LOGS:-/tmp/nvme_mptcp}
# For files of the running test; removed after it.
SCRATCH=/tmp/nvme_mptcp.scratch

# A debug kernel is several times slower, and all bounds grow with it.
readonly KMEMLEAK=/sys/kernel/debug/kmemleak
SLOW=1
[[ ! -e $KMEMLEAK ]] || SLOW=6

readonly KSFT_PASS=0 KSFT_FAIL=1 KSFT_SKIP=4
readonly TIMED_OUT=124 UNKILLABLE=125
SCRIPT=$(basename "$0" .sh)

# What a test says about itself.

# fail WHY: ends the test.
fail() {
	echo "${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}: $*" >&2
	trap - ERR
	exit $KSFT_FAIL
}

# skip WHY: ends the test. A skip is a failure in a CI run, where everything is there; but not
# what the machine cannot have:
skip() {
	echo "$*" >"$SCRATCH/skip"
	trap - ERR
	exit $KSFT_SKIP
}

# lacks WHAT: the machine has no WHAT, and the test is skipped everywhere.
lacks() { skip "this machine lacks $*"; }

# note TEXT: a line of the results, also when the test passes. For measured values.
note() { echo "$*" >>"$SCRATCH/notes"; }

# progress TEXT: a line of the results at once. For tests that take long.
progress() { echo "# $*" >&"$_results"; }

# Waiting. There are no fixed sleeps: a condition is polled, and its time is bounded.

# pause SECONDS: if bash has the loadable builtin (bash-builtins), without a process, which is slow to make on an
# emulated processor. Not by "read -t": if a child ends just when the time is over, it may leave SIGCHLD blocked, and no
# child is ever seen to have ended (bash 5.2).
enable -f sleep sleep 2>/dev/null || true
pause() { sleep "$1"; }

# wait_for SECONDS COMMAND...: polls until COMMAND succeeds. What it says is shown if it never does.
wait_for() {
	local seconds=$(($1 * SLOW)) deadline
	deadline=$((SECONDS + seconds))
	shift
	until "$@" >"$SCRATCH/wait" 2>&1; do
		if ((SECONDS > deadline)); then
			cat "$SCRATCH/wait" >&2
			fail "waited $seconds s in vain for: $*"
		fi
		pause 0.1
	done
}

# mark WHAT: writes that to the kernel's log, for said_since.
mark() { echo "nvme_mptcp selftest: $1" >/dev/kmsg; }

# dmesg_of_test [FROM]: what the kernel has said since the running test began, or since the last line with FROM.
dmesg_of_test() {
	dmesg | awk -v mark="${1:-selftest $TEST begins}" '
		{ text = text $0 "\n" } index($0, mark) { text = "" } END { printf "%s", text }'
}

# dmesg_count REGEX: how many lines of the test's kernel log match.
dmesg_count() { dmesg_of_test | grep -cE -- "$1" || true; }

# says REGEX: the kernel has said so during the test.
says() { dmesg_of_test | grep -E -- "$1" >/dev/null; }

# said_since MARK REGEX: the kernel has said so since that mark.
said_since() { dmesg_of_test "selftest: $1" | grep -E -- "$2"; }

# The rest is machinery.

# What no test may make the kernel say.
readonly COMPLAINTS='WARNING:|BUG:|BUG at|Oops|general protection|Call Trace|KASAN|KCSAN|UBSAN'\
'|panicked|possible (circular|recursive)|inconsistent lock|bad unlock|suspicious RCU'\
'|(detected|self-detected) stall|rcu.*stall|blocked for more than|soft lockup|hard LOCKUP|hung'\
'|refcount_t|corruption|page allocation failure|Objects remaining|[lL]eak'\
'|unregister_netdevice: waiting|duplicate filename|scheduling while atomic|sleeping function'\
'|ODEBUG|lockdep is turned off'

# _what_they_do GROUP: its processes, and where in the kernel they are.
_what_they_do() {
	local group pid rest
	while read -r group pid rest; do
		((group == $1)) || continue
		echo "$pid $rest"
		cat "/proc/$pid/stack" 2>/dev/null || true
	done < <(ps -eo pgid=,pid=,stat=,wchan:32=,args=)
}

# bounded SECONDS COMMAND...: runs COMMAND in a shell and a process group of its own, to which
# all it starts belongs and with which it ends.
bounded() {
	local seconds=$(($1 * SLOW)) deadline pid status
	shift
	set -m
	(
		set -eE -o pipefail
		trap 'echo "${BASH_SOURCE[0]##*/}:$LINENO: status $?: $BASH_COMMAND" >&2' ERR
		"$@"
	) </dev/null &
	pid=$!
	set +m
	deadline=$((SECONDS + seconds))
	while kill -0 $pid 2>/dev/null; do
		if ((SECONDS > deadline)); then
			echo "time is up: more than $seconds s"
			_what_they_do $pid
			# Who waits, and who runs.
			echo w >/proc/sysrq-trigger
			echo l >/proc/sysrq-trigger
			status=$TIMED_OUT
			break
		fi
		pause 0.1
	done
	# Also what it has left running.
	kill -KILL -- -$pid 2>/dev/null
	deadline=$((SECONDS + 10))
	while kill -0 -- -$pid 2>/dev/null; do
		if ((SECONDS > deadline)); then
			echo "processes that cannot be killed:"
			_what_they_do $pid
			return $UNKILLABLE
		fi
		pause 0.1
	done
	wait $pid 2>/dev/null
	return "${status:-$?}"
}

_setup_and_test() {
	if declare -F setup >/dev/null; then
		setup
	fi
	"test_$1"
}

# Has a debug kernel look for memory that nobody points to any more; it says so in its log. Twice, because
# what moves meanwhile is missed, and only once what was freed late is gone. Fails if it cannot, or if one of the others that
# watch has given up.
_look_for_leaks() {
	[[ -e $KMEMLEAK ]] || return 0
	pause 6
	echo scan >$KMEMLEAK
	echo scan >$KMEMLEAK
	cat $KMEMLEAK
	echo clear >$KMEMLEAK
	grep -E '^ *debug_locks: +1$' /proc/lockdep_stats
}

_clean_up() {
	local status=0 step
	# In this order: each needs what comes after it.
	for step in observe_clean host_clean target_clean links_clean; do
		"$step" || status=1
	done
	return $status
}

# The kernel's log without what fault injection says about itself. When two fail at once their lines are mixed, but not
# those of a stack.
_without_injected() {
	sed -E "/FAULT_INJECTION: forcing${INJECTED:-}/,/<\/TASK>/d" | awk '
		/Call Trace:/ { printf "%s", stack; stack = ""; within = 1; injected = 0 }
		!within { print; next }
		{ stack = stack $0 "\n" }
		/should_fail_ex/ { injected = 1 }
		/<\/TASK>/ { if (!injected) printf "%s", stack; stack = ""; within = 0 }
		END { printf "%s", stack }'
}

# Runs the test $1, prints its result. Sets UNUSABLE if later tests could not be trusted.
_run() {
	local name=$1 log=$LOGS/$SCRIPT.$1.log start=$SECONDS status clean=0 watched=0 complaints='' why=''
	TEST=$SCRIPT.$name
	NUMBER=$((NUMBER + 1))
	rm -rf "$SCRATCH"
	mkdir -p "$SCRATCH"
	# What was said before need not be read again and again; a journal has it.
	dmesg --clear
	echo "selftest $TEST begins" >/dev/kmsg

	bounded "$TEST_TIMEOUT" _setup_and_test "$name" >"$log" 2>&1
	status=$?
	# Who skips says why; a program may end with that status, too.
	((status != KSFT_SKIP)) || [[ -e $SCRATCH/skip ]] || status=$KSFT_FAIL
	echo "--- clean-up" >>"$log"
	bounded 60 _clean_up >>"$log" 2>&1
	clean=$?
	if [[ $NUMBER == "$PLANNED" ]]; then
		bounded 120 _look_for_leaks >>"$log" 2>&1
		watched=$?
	fi
	dmesg_of_test >"$log.dmesg"
	complaints=$(_without_injected <"$log.dmesg" | grep -E -- "$COMPLAINTS")

	((clean == 0)) || why+=" could not be cleaned up;"
	((watched == 0)) || why+=" the kernel cannot be watched;"
	[[ -z $complaints ]] || why+=" the kernel complains;"
	case $status in
	"$KSFT_PASS" | "$KSFT_SKIP") ;;
	"$TIMED_OUT") why=" not finished after $TEST_TIMEOUT s;$why" ;;
	"$UNKILLABLE") why=" cannot be killed;$why" ;;
	*) [[ -n $why ]] || why=' ' ;;
	esac

	[[ ! -e $SCRATCH/notes ]] || sed 's/^/# /' "$SCRATCH/notes"
	if [[ -n $why ]]; then
		FAILED=$((FAILED + 1))
		{
			[[ $why == ' ' ]] || echo "$TEST:${why%;}"
			tail -n 60 "$log"
			echo "--- kernel log"
			{ [[ -z $complaints ]] || echo "$complaints" | head -n 5; } && tail -n 60 "$log.dmesg"
		} | sed 's/^/#   /'
		echo "not ok $NUMBER $name # $((SECONDS - start)) s"
	elif ((status == KSFT_SKIP)); then
		SKIPPED=$((SKIPPED + 1))
		echo "ok $NUMBER $name # SKIP $(<"$SCRATCH/skip")"
	else
		echo "ok $NUMBER $name # $((SECONDS - start)) s"
	fi
	rm -rf "$SCRATCH"
	((clean == 0 && status != UNKILLABLE)) || UNUSABLE=1
}

# The tests of the script, in its order.
_tests() {
	shopt -s extdebug
	local name
	for name in $(compgen -A function test_); do
		declare -F "$name"
	done | sort -nk2 | sed 's/^test_\([^ ]*\).*/\1/'
	shopt -u extdebug
}

# run_tests [NAME...]: the last line of a script. Runs all its tests or the named ones.
#   --list		prints "NAME SECONDS" of each, SECONDS being its time limit
run_tests() {
	local names name
	read -ra names -d '' < <(_tests) || true
	if [[ ${1:-} == --list ]]; then
		printf "%s $TEST_TIMEOUT\n" "${names[@]}"
		exit 0
	fi
	for name; do
		declare -F "test_$name" >/dev/null || { echo "$SCRIPT has no test $name" >&2 && exit 2; }
	done
	(($# == 0)) || names=("$@")

	exec {_results}>&1
	NUMBER=0 PLANNED=${#names[@]} FAILED=0 SKIPPED=0 UNUSABLE=0
	echo "TAP version 13"
	echo "1..${#names[@]}"
	if ((EUID != 0)); then
		echo "ok 1 # SKIP only root can run these"
		exit $KSFT_SKIP
	fi
	mkdir -p "$LOGS"
	# The marks of tests that follow each other quickly must not be dropped.
	echo on >/proc/sys/kernel/printk_devkmsg
	mkdir -p "$SCRATCH"
	# Commands may take longer there, too.
	((SLOW == 1)) || { modprobe nvme_core && usual_timeouts; }
	# What an earlier run was killed over.
	bounded 60 _clean_up >"$LOGS/$SCRIPT.log" 2>&1 || true
	for name in "${names[@]}"; do
		# Not "if ! _run": bash ignores -e in all that a condition calls.
		_run "$name"
		if ((UNUSABLE)); then
			echo "Bail out! the kernel is not as it was before $name"
			exit $KSFT_FAIL
		fi
	done
	echo "# Totals: pass:$((NUMBER - FAILED - SKIPPED)) fail:$FAILED xfail:0 xpass:0" \
		"skip:$SKIPPED error:0"
	((FAILED == 0)) || exit $KSFT_FAIL
	((SKIPPED < NUMBER)) || exit $KSFT_SKIP
	exit $KSFT_PASS
}
