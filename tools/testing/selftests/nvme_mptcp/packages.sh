#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The Debian packages (make deb): what they install works, and nothing is left when they are gone. Reboots, and
# upgrades, are what ../../boot.sh is about.
#
# kernel: stock
# shellcheck source=lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"

DEBS=$_LIB/../../../../../out/deb
REL=$(uname -r)

setup() { compgen -G "$DEBS/*.deb" >/dev/null || lacks "the packages (make deb)"; }

# in_a_machine_without FUNCTION: where nobody has installed the modules yet. The directory of modules is
# read-only here and has ours, so another one is laid over it, for this process alone.
in_a_machine_without() {
	mkdir -p "$SCRATCH/root"
	mount -t tmpfs none "$SCRATCH/root"
	mkdir "$SCRATCH/root/"{upper,work}
	mount -t overlay -o "lowerdir=/usr/lib/modules/$REL,upperdir=$SCRATCH/root/upper,workdir=$SCRATCH/root/work" \
		none "/usr/lib/modules/$REL"
	rm "/usr/lib/modules/$REL/updates/"*
	rmdir "/usr/lib/modules/$REL/updates"
	depmod -a
	"$@"
}

# state: every file of the system, and which modules it knows.
state() {
	find / -xdev -path /proc -prune -o -path /tmp -prune -o -path /var/lib/dpkg -prune -o -path /var/log -prune -o \
		-path /run -prune -o -path /var/cache -prune -o -print | sort
	find "/usr/lib/modules/$REL" | sort
	cat "/usr/lib/modules/$REL/modules."{dep,alias}
}

# The dependency on the kernel's package cannot be had here; the rest of dpkg is as everywhere.
debs() { dpkg --force-depends --path-include='/usr/share/*' "$@"; }

# What the configuration offers in comments is what there is.
_configuration_is_right() {
	local module options option
	while read -r module options; do
		for option in $options; do
			modinfo -F parm "$module" | grep "^${option%%=*}:"
		done
	done < <(sed -n 's/^#options //p' /etc/modprobe.d/nvme-mptcp.conf)
	mkdir "$SCRATCH/modprobe.d"
	sed -n 's/^#\(alias .*\)/\1/p' /etc/modprobe.d/nvme-mptcp.conf >"$SCRATCH/modprobe.d/alias.conf"
	[[ $(modprobe -C "$SCRATCH/modprobe.d" --resolve-alias nvmet-transport-3) == nvmet_mptcp ]]
}

_install_and_remove() {
	local package packages=()
	state >"$SCRATCH/before"
	! modprobe nvme_mptcp || fail "it is there before it is installed"
	# For another kernel it is not.
	! dpkg --no-act -i "$DEBS/nvme-mptcp-modules-"*.deb 2>"$SCRATCH/said" || fail "no dependency on the kernel"
	grep "depends on linux-image-$REL (= " "$SCRATCH/said"
	debs -i "$DEBS"/*.deb
	modprobe nvme_mptcp
	modprobe -r nvme_mptcp
	[[ $(modprobe --show-depends nvmet_mptcp | tail -n 1) == *"/updates/nvmet_mptcp.ko"* ]]
	[[ $(modprobe --resolve-alias nvme-mptcp) == nvme_mptcp ]]
	_configuration_is_right
	[[ $(nvme-mptcp --version) == nvme-mptcp* ]]
	nvme-mptcp status
	[[ -e /usr/share/man/man1/nvme-mptcp-doctor.1.gz && -e /usr/share/man/man8/nvmet-config.8.gz ]]
	bash -c '. /usr/share/bash-completion/completions/nvme-mptcp && complete -p nvme-mptcp'
	/usr/share/nvme-mptcp/selftests/tool_status.sh --list | grep '^four_nics '
	# Again, as an upgrade does.
	debs -i "$DEBS"/*.deb
	modprobe nvme_mptcp
	modprobe -r nvme_mptcp
	for package in "$DEBS"/*.deb; do
		packages+=("$(dpkg-deb --field "$package" Package)")
	done
	debs --purge "${packages[@]}"
	! modprobe nvme_mptcp || fail "it is still there"
	state >"$SCRATCH/after"
	diff "$SCRATCH/before" "$SCRATCH/after"
}

test_install_and_remove() {
	# A mount namespace of its own, for the functions of this shell.
	export SCRATCH DEBS REL
	unshare -m bash -eE -o pipefail -c "$(declare -f fail in_a_machine_without state debs _configuration_is_right _install_and_remove)
		in_a_machine_without _install_and_remove"
}

run_tests "$@"
