# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Shared by the scripts beside it: messages, host tools, and a cache of build results
# that survives a kill at any moment.
#
# The cache holds finished results only. A result is built in a temporary directory of
# the cache, under a lock of its own, and renamed to its final name as the last step:
# the final name either does not exist or is complete. The name carries a key made from
# everything the result is made of, so that changing an input makes a new name, and an
# old result is never used for a new recipe.

export LC_ALL=C.UTF-8
# depmod, mkfs and their like are not in every user's path.
PATH+=:/usr/sbin:/sbin
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
PROG=$(basename "$0")
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/nvme-mptcp
MIRROR=${MIRROR:-http://deb.debian.org/debian}
KEYRING=${KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
mkdir -p "$CACHE/lock" "$CACHE/tmp" "$CACHE/log"
# Mounts and overlays want the real path, and so does a comparison with one.
CACHE=$(cd "$CACHE" && pwd -P)
# shellcheck disable=SC2034 # used by the scripts that source this file
readonly TOP PROG CACHE MIRROR KEYRING

# Progress goes to stderr: stdout is for the path or the output that was asked for.
say() { printf '%s: %s\n' "$PROG" "$*" >&2; }
die() {
	printf '%s: error: %s\n' "$PROG" "$*" >&2
	exit 1
}

# need_tools COMMAND:PACKAGE...: installs the packages of absent commands when root,
# otherwise prints the one command that does. A file may stand in place of a command.
need_tools() {
	local item what missing=()
	for item; do
		what=${item%%:*}
		if [[ $what = /* ]]; then
			[[ -e $what ]] && continue
		else
			command -v "$what" >/dev/null && continue
		fi
		missing+=("${item#*:}")
	done
	((${#missing[@]})) || return 0
	command -v apt-get >/dev/null ||
		die "missing: ${missing[*]} (Debian package names), and this host has no apt-get"
	((EUID == 0)) || die "missing tools; run: sudo apt-get install ${missing[*]}"
	say "installing ${missing[*]} on this host"
	local lock
	exec {lock}>"$CACHE/lock/apt"
	flock "$lock"
	local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
	{
		"${apt[@]}" install -y --no-install-recommends "${missing[@]}" ||
			{ "${apt[@]}" update &&
				"${apt[@]}" install -y --no-install-recommends "${missing[@]}"; }
	} >"$CACHE/log/apt" 2>&1 {lock}>&- || {
		cat "$CACHE/log/apt" >&2
		die "could not install: ${missing[*]}"
	}
	exec {lock}>&-
}

# key INPUT...: a short name for a combination of inputs. Give it the text of the
# functions that build as well (declare -f, which drops comments).
key() { printf '%s\0' "$@" | sha256sum | cut -c1-12; }

# Removes a tree, but never what may be mounted in it: a tree that was cut off while
# something was mounted there would otherwise take host files with it.
remove_tree() {
	local mnt
	while read -r mnt; do
		umount -l -- "$mnt" 2>/dev/null || die "$mnt is still mounted; cannot remove $1"
	done < <(awk -v dir="$1/" 'index($5 "/", dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r)
	rm -rf --one-file-system -- "$1"
}

# have NAME: whether the cache has NAME; if so, notes that it is in use.
have() { [[ -e $CACHE/$1 ]] && touch -c "$CACHE/$1"; }

# sweep NAME: removes what interrupted runs left, of NAME, whose lock is ours, and of any other
# name that nobody builds now.
sweep() {
	local old name
	for old in "$CACHE/tmp/"*.????????; do
		[[ -d $old ]] || continue
		name=$(basename "${old%.*}")
		(
			[[ $name == "$1" ]] || flock -n 9 || exit 0
			say "removing what an interrupted run left: $old"
			remove_tree "$old"
		) 9>"$CACHE/lock/$name"
	done
}

# publish NAME SECONDS WHAT FUNCTION [ARG...]: makes $CACHE/NAME if it does not exist.
# FUNCTION gets ARGs, has $WORK set to an empty directory, and puts the result at
# $WORK/out, a file or a directory. It runs in a subshell, and any failing command ends it.
#
# The lock is inherited by every child, so what a killed run left running keeps it
# until it ends: two builders never meet, and what the lock covers is ours to remove.
publish() {
	local name=$1 seconds=$2 what=$3 WORK old lock log=$CACHE/log/${1//\//_} start=$SECONDS
	shift 3
	! have "$name" || return 0
	mkdir -p "$(dirname "$CACHE/$name")"
	exec {lock}>"$CACHE/lock/${name//\//_}"
	if ! flock -n "$lock"; then
		say "waiting for another run that makes the same: $what"
		flock "$lock"
	fi
	if [[ ! -e $CACHE/$name ]]; then
		sweep "${name//\//_}"
		WORK=$(mktemp -d "$CACHE/tmp/${name//\//_}.XXXXXXXX")
		chmod 755 "$WORK"
		((seconds < 3)) || say "$what (once; usually takes $seconds s)"
		# Not "( ... ) || die": bash ignores -e in what stands before ||.
		local status=0
		set +e
		(
			set -eE
			trap 'echo "failed with status $?, line $LINENO: $BASH_COMMAND"' ERR
			"$@"
			# Here, so that what outlives a killed run completes its work.
			mv -T "$WORK/out" "$CACHE/$name"
			remove_tree "$WORK"
		) >"$log" 2>&1 </dev/null
		status=$?
		set -e
		if ((status)); then
			tail -n 40 "$log" >&2
			remove_tree "$WORK"
			die "$what: failed (status $status); the whole log: $log"
		fi
		((seconds < 3)) || say "$what: done in $((SECONDS - start)) s"
		# Results of former recipes and releases, once nobody has used them for two weeks.
		find "$CACHE" -maxdepth 3 -path "$CACHE/lock" -prune -o \
			-name '*-????????????' -mtime +14 -prune -print | while read -r old; do
			remove_tree "$old"
		done
	fi
	exec {lock}>&-
}

# step WHAT: says in the log of a build where it is, and when.
step() { echo "[$(date +%T)] $*"; }

# contain COMMAND...: when root, runs COMMAND with mounts and processes of its own,
# which the kernel removes with it, however it ends, or when the caller is killed.
# Otherwise mmdebstrap does the same by itself with a user namespace.
contain() {
	local own=(unshare --mount --pid --fork --kill-child --mount-proc)
	((EUID == 0)) || own=()
	# The system's own tools only: a python3 of a version manager takes longer to start than to run.
	PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv --pdeathsig KILL "${own[@]}" "$@"
}

# bootstrap PACKAGES OUT [PATTERN...]: a trixie root as a directory OUT, with backports known
# to apt, less the files that match PATTERNs. It goes through a tar stream, so that the files are
# the caller's own, root or not, and can be removed like any others.
bootstrap() {
	local packages=$1 out=$2 mode=root own=() exclude
	shift 2
	((EUID == 0)) || mode=unshare own=(--no-same-owner)
	mkdir "$out" "$WORK/tmp"
	chmod 1777 "$WORK/tmp"
	# Not by --dpkgopt: mmdebstrap would pipe every essential package through a filter in Python.
	exclude=$(printf 'path-exclude=%s\\n' "$@" "/usr/share/"{man,locale,doc,info,lintian}"/*")
	TMPDIR=$WORK/tmp contain mmdebstrap --mode=$mode --variant=apt --architectures=amd64 \
		--keyring="$KEYRING" --include="$packages" \
		--aptopt='APT::Install-Recommends "false"' \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
		--dpkgopt=force-unsafe-io \
		--essential-hook="printf '$exclude\n' >\"\$1/etc/dpkg/dpkg.cfg.d/small\"" \
		--format=tar trixie - \
		"deb [signed-by=$KEYRING] $MIRROR trixie main" \
		"deb [signed-by=$KEYRING] $MIRROR trixie-backports main" |
		tar -x -C "$out" "${own[@]}" --exclude='./dev/*'
}
