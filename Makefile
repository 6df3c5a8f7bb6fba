# SPDX-License-Identifier: GPL-2.0
#
# The front door. `make help` tells what there is.
#
# Without KDIR the modules are built for the newest stock Debian kernel of SERIES, in a build root of Debian's own tools:
# nothing of the machine's own toolchain is used. KERNEL=debug is the same source built by clang with x86_64_defconfig and scripts/debug.config:
# KASAN, lockdep, kmemleak and others. With KDIR it is the ordinary out-of-tree build.

SERIES ?= 7.3
KERNEL ?= stock
export SERIES KERNEL

Q := $(if $(V),,@)

all: ## build nvme_mptcp.ko and nvmet_mptcp.ko
ifdef KDIR
	$(Q)scripts/probe-kernel $(KDIR)
	$(Q)$(MAKE) -C $(KDIR) M=$(CURDIR) modules
else
	$(Q)scripts/build modules
endif

tool: ## build nvme-mptcp, the program, with its man pages and completions, in out/tool
	$(Q)scripts/tool build

deb: all tool ## Debian packages of the modules, the tool and the selftests, in out/deb
	$(Q)scripts/deb

demo: all ## one VM, four NICs: nvme-tcp on one NIC against nvme-mptcp on all
	$(Q)scripts/demo

test: all ## the kselftests, in VMs (those of the sets below are not in it)
	$(Q)scripts/test

fuzz: all ## COUNT=100000 mutated PDUs to each side, decided by SEED
	$(Q)FUZZ_COUNT=$(or $(COUNT),100000) FUZZ_SEED=$(or $(SEED),$(shell date +%s)) scripts/test --logs out/fuzz fuzz

soak: all ## storms: each COUNT=100 times, then MINUTES=15 of many at random; SEED decides
	$(Q)SOAK_COUNT=$(or $(COUNT),100) SOAK_MINUTES=$(or $(MINUTES),15) SOAK_SEED=$(or $(SEED),$(shell date +%s)) \
		scripts/test --logs out/soak --set soak

boot: all ## two machines with systemd: packages installed, reboots, upgrade, removal
	$(Q)scripts/test --logs out/boot --set boot

faults: ## failing allocations, on the debug kernel
	$(Q)KERNEL=debug scripts/test --logs out/faults --set faults

test-debug: ## a part of the tests on the debug kernel
	$(Q)KERNEL=debug scripts/test --logs out/debug --set debug

test-all: ## everything there is, and what is in make test on all three kernels; takes most of a day without KVM
	$(Q)$(MAKE) check
	$(Q)$(MAKE) test
	$(Q)$(MAKE) test SERIES=7.2
	$(Q)$(MAKE) soak fuzz boot
	$(Q)$(MAKE) test-debug faults
	$(Q)KERNEL=debug scripts/test --logs out/debug-all

bench: all ## nvme-mptcp beside its peers, in one VM; QUICK=1 for less
	$(Q)scripts/bench

check: ## formats, lints, unit tests; no VM
	$(Q)scripts/check
	$(Q)scripts/tool check

install: ## (with KDIR) install the modules for the kernel of KDIR
	$(Q)scripts/probe-kernel $(KDIR)
	$(Q)$(MAKE) -C $(KDIR) M=$(CURDIR) modules_install

PREFIX ?= /usr/local
TOOL ?= out/tool

install-tool: ## install what is in TOOL (default: what make tool built) below DESTDIR and PREFIX
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(TOOL)/nvme-mptcp
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/sbin tools/nvmet/nvmet-config
	mkdir -p $(DESTDIR)$(PREFIX)/lib/systemd/system
	$(Q)for unit in tools/nvmet/nvmet-config tools/nvme-mptcp/nvme-mptcp-connect; do \
		sed 's,=/usr/bin/,=$(PREFIX)/bin/,; s,=/usr/sbin/nvmet,=$(PREFIX)/sbin/nvmet,' $$unit.service \
			>$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/}.service; \
	done
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 $(TOOL)/man/*.1
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 tools/nvmet/nvmet-config.8
	install -D -m 644 $(TOOL)/completions/nvme-mptcp.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/nvme-mptcp
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(TOOL)/completions/_nvme-mptcp
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d $(TOOL)/completions/nvme-mptcp.fish

rust-analyzer: ## write rust-project.json
	$(Q)scripts/build rust-analyzer

clean: ## remove what a build has left in the checkout (the cache stays)
ifdef KDIR
	$(Q)$(MAKE) -C $(KDIR) M=$(CURDIR) clean
else
	$(Q)scripts/build clean
endif

help: ## this list
	$(Q)sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

.PHONY: all tool deb demo test fuzz soak boot faults test-debug test-all bench check install install-tool rust-analyzer clean help
