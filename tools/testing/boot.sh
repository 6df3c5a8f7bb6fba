#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two machines with Debian and systemd, a host and a target with four NICs each, from the installation of the packages to
# their removal: the quick start, reboots, an upgrade. This script runs where they are started from, and in them.
# vm: none
# set: boot
set -eE -o pipefail
HERE=$(cd "${BASH_SOURCE[0]%/*}" && pwd -P)
TOP=$(cd "$HERE/../.." && pwd -P)
TESTS=(quickstart target_reboots host_reboots upgrade autoconnect_of_the_distribution removal)
SECONDS_EACH=300

# Outside.

# old_packages DIRECTORY: the packages of DIRECTORY/new with a lower version, into DIRECTORY/old.
old_packages() {
	local package
	mkdir "$1/old"
	for package in "$1/new/"*.deb; do
		dpkg-deb --raw-extract "$package" "$1/package"
		sed -i 's/^Version: .*/Version: 0.0.1/' "$1/package/DEBIAN/control"
		dpkg-deb --root-owner-group --build "$1/package" "$1/old" >/dev/null
		rm -r "$1/package"
	done
}

# result NUMBER NAME: waits until both machines say that they have done it, or one of them is gone.
result() {
	local start=$SECONDS
	until [[ -e $shared/host.$2 && -e $shared/target.$2 ]]; do
		for side in host target; do
			kill -0 "${machine[$side]}" 2>/dev/null || [[ -e $shared/$side.$2 ]] || {
				report
				echo "not ok $1 $2 # $((SECONDS - start)) s"
				return 1
			}
		done
		read -rt 0.5 -u "$never" _ || true
	done
	echo "ok $1 $2 # $((SECONDS - start)) s"
}

report() {
	touch "$shared/failed"
	for side in host target; do
		echo "--- $side"
		tail -n 60 "$LOGS/boot.$side.log"
		# Some of it is about shutting down, which the machine cannot tell itself.
		tail -n 10 "$LOGS/boot.$side.log.dmesg"
	done | sed 's/^/#   /'
}

outside() {
	local shared side i status=0
	declare -gA machine
	LOGS=${LOGS:-$TOP/out/test}
	mkdir -p "$LOGS"
	exec {never}<> <(:)
	# Not below /tmp, which is another one in there.
	shared=$(mktemp -d "$TOP/out/boot.XXXXXX")
	# shellcheck disable=SC2064 # now
	trap "touch $shared/failed; kill \"\${machine[@]}\" 2>/dev/null; wait; rm -rf $shared" EXIT
	mkdir "$shared/wire" "$shared/new"
	cp "$TOP/out/deb/"*.deb "$shared/new"
	old_packages "$shared"
	for side in host target; do
		"$TOP/scripts/vm" run --system --wire "$shared/wire" --nics 4 --smp 1 --mem 1G --share "$shared" \
			--timeout $((SECONDS_EACH * ${#TESTS[@]})) --log "$LOGS/boot.$side.log.dmesg" \
			-- "$HERE/boot.sh" --inside $side "$shared" >"$LOGS/boot.$side.log" 2>&1 &
		machine[$side]=$!
		# The first to be started listens, the other one connects: that is about the wires.
		while [[ $side == host && ! -S $shared/wire/3 ]] && kill -0 "${machine[host]}"; do
			read -rt 0.1 -u "$never" _ || true
		done
	done
	echo "TAP version 13"
	echo "1..${#TESTS[@]}"
	for ((i = 0; i < ${#TESTS[@]}; i++)); do
		if ((status)); then
			echo "not ok $((i + 1)) ${TESTS[i]} # not reached"
		else
			result $((i + 1)) "${TESTS[i]}" || status=1
		fi
	done
	return $status
}

# Inside. Each machine counts its boots on its disk, and what it does after each is a function.

done_with() { touch "$SHARED/$SIDE.$1"; }
# until_done WHO WHAT: the other machine has come so far.
until_done() { wait_for 250 come_so_far "$1.$2"; }
come_so_far() {
	[[ ! -e $SHARED/failed ]] || fail "the other machine has failed"
	[[ -e $SHARED/$1 ]]
}

prepare() {
	local i
	for i in 0 1 2 3; do
		printf '[Match]\nName=eth%d\n[Network]\nAddress=10.0.%d.%d/24\nLinkLocalAddressing=no\n' $i $i \
			"$([[ $SIDE == host ]] && echo 1 || echo 2)" >/etc/systemd/network/eth$i.network
	done
	systemctl enable --now systemd-networkd
	/usr/lib/systemd/systemd-networkd-wait-online --timeout=60
	# The kernel is there, but not by its package, which would have an initrd made. A package whose only directory
	# another one has as well would be replaced by that.
	mkdir -p "$SCRATCH/kernel/DEBIAN" "$SCRATCH/kernel/usr/share/doc/linux-image-$(uname -r)"
	echo "stands for the kernel that runs" >"$SCRATCH/kernel/usr/share/doc/linux-image-$(uname -r)/README"
	cat >"$SCRATCH/kernel/DEBIAN/control" <<-END
		Package: linux-image-$(uname -r)
		Version: $(dpkg-deb --field "$SHARED/new/nvme-mptcp-modules-"*.deb Depends | sed 's/.*(= \([^)]*\)).*/\1/')
		Architecture: amd64
		Maintainer: nobody <nobody@localhost.invalid>
		Description: stands for the kernel that runs
	END
	dpkg-deb --build "$SCRATCH/kernel" "$SCRATCH/kernel.deb"
	dpkg -i "$SCRATCH/kernel.deb"
	# As the kernel's package does, with this system's depmod.
	depmod
	state >$KEPT/before
}

# state: every file of the system but logs, caches and what the system itself has for a boot, and what is in /etc.
state() {
	find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /mnt -o -path /var/lib/dpkg \
		-o -path $KEPT -o -path /var/log -o -path /var/cache -o -path /var/lib/apt -o -path /var/tmp -o -path /var/lib/systemd/random-seed \
		-o -path /var/lib/systemd/timers -o -path /var/lib/systemd/network \) -prune -o -print | sort
	find /etc -xdev -type f -exec sha256sum {} + | sort -k 2
	find "/usr/lib/modules/$(uname -r)" | sort
	cat "/usr/lib/modules/$(uname -r)/modules."{dep,alias}
}

# guide NAME [SIDE]: does what the guide says; each machine waits for what the other one does before.
guide() {
	local block side
	guide_blocks "$1" "$SCRATCH/$1"
	cd "$SHARED/old"
	for block in "$SCRATCH/$1/"*; do
		side=${block##*.}
		block=${block##*/}
		[[ -z ${2:-} || $side == "$2" ]] || continue
		side=${side#booted-}
		if [[ $side == "$SIDE" || $side == both ]]; then
			echo "--- $1: $(<"$SCRATCH/$1/$block")"
			DEBIAN_FRONTEND=noninteractive bash -euo pipefail <(sed "s|/dev/sdb|/dev/vdd|" "$SCRATCH/$1/$block") ||
				fail "$1.rst: this fails: $(<"$SCRATCH/$1/$block")"
			done_with "$1.$block"
		fi
		if [[ $side == both ]]; then
			until_done host "$1.$block"
			until_done target "$1.$block"
		elif [[ $side != "$SIDE" ]]; then
			until_done "$side" "$1.$block"
		fi
	done
	cd /
}

# One controller, each of whose connections has a subflow on each NIC.
four_paths() {
	nvme-mptcp status --json >"$SCRATCH/status"
	jq -c '.controllers[] | [.name, .transport, .state, .paths, .fallback, [.nics[] | [.nic, .paths]]]' "$SCRATCH/status"
	jq -e '.controllers | length == 1 and (.[0] | .state == "live" and .paths >= 4 and (.connections | length) as $n |
		([.nics[] | select(.paths >= $n) | .nic] | sort) == ["eth0", "eth1", "eth2", "eth3"])' "$SCRATCH/status"
}
the_data() {
	mountpoint /mnt
	echo 3 >/proc/sys/vm/drop_caches
	(cd /mnt && sha256sum --quiet -c $KEPT/sums)
}
recoveries() { dmesg | grep -c 'starting error recovery' || true; }
install() { DEBIAN_FRONTEND=noninteractive apt-get install -y "$SHARED/$1/"*.deb; }
all_of_version() {
	dpkg-query -W -f '${Package} ${Version} ${Status}\n' 'nvme-mptcp*' | grep -v ' not-installed$' >"$SCRATCH/versions"
	cat "$SCRATCH/versions"
	[[ $(grep -c " $1 install ok installed" "$SCRATCH/versions") == 3 ]]
}

# The first boot.
host_1() {
	prepare
	guide quickstart
	install old
	all_of_version 0.0.1
	wait_for 60 four_paths
	mkfs.ext4 -q -L storage /dev/nvme0n1
	echo 'LABEL=storage /mnt ext4 _netdev,nofail 0 0' >>/etc/fstab
	systemctl daemon-reload
	mount /mnt
	dd if=/dev/urandom of=/mnt/data bs=1M count=16 status=none
	cp -r /usr/lib/systemd /mnt
	(cd /mnt && find . -type f -print0 | xargs -0 sha256sum) >$KEPT/sums
	sync
	the_data
	done_with quickstart
	# It outlives the target's boot, without an error.
	until_done target reboots
	until_done target target_reboots
	wait_for 90 four_paths
	the_data
	done_with target_reboots
	again=194
}

target_1() {
	prepare
	guide quickstart
	install old
	all_of_version 0.0.1
	done_with quickstart
	until_done host quickstart
	done_with reboots
	again=194
}

target_2() {
	systemctl is-active nvmet-config
	systemctl is-active nvme-mptcp-paths
	wait_for 60 nvme-mptcp doctor
	done_with target_reboots
	done_with host_reboots
	until_done host writes
	install new
	all_of_version "$(dpkg-deb --field "$SHARED/new/nvme-mptcp_"*.deb Version)"
	systemctl is-active nvmet-config
	systemctl is-enabled nvmet-config
	done_with upgrade
	until_done host upgrade
	done_with autoconnect_of_the_distribution
	until_done host removed
	systemctl stop nvmet-config
	modprobe -r nvmet_mptcp
	nothing_is_left
	done_with removal
}

# The second boot: connected by our service, mounted by the system.
host_2() {
	wait_for 60 mountpoint /mnt
	systemctl is-active nvme-mptcp-connect
	wait_for 60 four_paths
	jq -e '.controllers[0].transport == "mptcp"' "$SCRATCH/status"
	the_data
	nvme-mptcp doctor
	systemd-analyze || true
	done_with host_reboots
	# Nothing of an upgrade is noticed by who uses the disk.
	fio --name=upgrade --filename=/mnt/fio --size=8m --rw=randrw --bs=16k --verify=crc32c --time_based --runtime=600 \
		--direct=1 --ioengine=libaio --output="$SCRATCH/fio" &
	fio=$!
	wait_for 60 test -s /mnt/fio
	done_with writes
	install new
	all_of_version "$(dpkg-deb --field "$SHARED/new/nvme-mptcp_"*.deb Version)"
	until_done target upgrade
	[[ $(recoveries) == 0 ]]
	four_paths
	kill -INT $fio
	wait $fio || true
	cat "$SCRATCH/fio"
	grep 'err= 0' "$SCRATCH/fio"
	rm /mnt/fio
	the_data
	# From now on as nvme-cli does it.
	rm /etc/nvme-mptcp/connect.conf
	guide dropin booted-host
	done_with upgrade
	again=194
}

# The third boot: connected by nvme-cli's own service, as "tcp".
host_3() {
	wait_for 60 mountpoint /mnt
	wait_for 60 four_paths
	jq -e '.controllers[0] | .transport == "tcp" and (.fallback | not)' "$SCRATCH/status"
	the_data
	done_with autoconnect_of_the_distribution
	umount /mnt
	sed -i /LABEL=storage/d /etc/fstab
	nvme disconnect-all
	modprobe -r nvme_mptcp
	# What the packages did not bring, and the operator wrote.
	rm /etc/modules-load.d/nvme-mptcp.conf
	sed -i '/^-t tcp -a 10\.0\.0\.2 /d' /etc/nvme/discovery.conf
	nothing_is_left
	done_with removed
	done_with removal
}

nothing_is_left() {
	DEBIAN_FRONTEND=noninteractive apt-get purge -y 'nvme-mptcp*'
	systemctl daemon-reload
	! modprobe nvme_mptcp || fail "it is still there"
	! systemctl list-units --all 'nvm*mptcp*' 'nvmet*' | grep '\.service' | grep -v nvme-mptcp-job || fail "units are left"
	state >"$SCRATCH/after"
	diff $KEPT/before "$SCRATCH/after"
	systemctl is-system-running
}

inside() {
	local boot=1
	again=0
	# On its disk, which the tests of what is left behind leave out.
	KEPT=/var/lib/boot.sh
	SIDE=$1 SHARED=$2
	# shellcheck source=selftests/nvme_mptcp/lib/ktap.sh
	. "$HERE/selftests/nvme_mptcp/lib/ktap.sh"
	set +u
	_LIB=$HERE/selftests/nvme_mptcp/lib
	# shellcheck source=selftests/nvme_mptcp/lib/guide.sh
	. "$_LIB/guide.sh"
	SCRATCH=/run/boot.sh
	rm -rf $SCRATCH
	mkdir $SCRATCH
	trap 'echo "$SIDE, boot $boot: ${BASH_SOURCE[0]##*/}:$LINENO: status $?: $BASH_COMMAND" >&2' ERR
	mkdir -p $KEPT
	[[ ! -e $KEPT/boots ]] || boot=$(($(<$KEPT/boots) + 1))
	echo $boot >$KEPT/boots
	echo "--- $SIDE, boot $boot, $(cut -d. -f1 /proc/uptime) s after it began"
	systemctl is-system-running --wait || {
		systemctl --failed
		journalctl -b -p warning
		fail "units have failed"
	}
	echo "--- it runs, after $(cut -d. -f1 /proc/uptime) s"
	"${SIDE}_$boot"
	exit $again
}

case ${1:-} in
--list) printf "%s $SECONDS_EACH\n" "${TESTS[@]}" ;;
--inside) inside "$2" "$3" ;;
*) outside ;;
esac
