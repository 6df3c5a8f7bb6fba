# SPDX-License-Identifier: GPL-2.0
#
# The front door. `make help` tells what there is.
#
# Without KDIR the modules are built for the newest stock Debian kernel of SERIES, in a build root of Debian's own tools:
# nothing of the machine's own toolchain is used. KERNEL=debug is that kernel rebuilt with KASAN, lockdep, kmemleak and others. With KDIR it is the ordinary out-of-tree build.

SERIES ?= 7.3
KERNEL ?= stock
export SERIES KERNEL

Q := $(if $(V),,@)

all: ## build nvme_mptcp.ko and nvmet_mptcp.ko
ifdef KDIR
	$(Q)$(MAKE) -C $(KDIR) M=$(CURDIR) modules
else
	$(Q)scripts/build modules
endif

demo: all ## one VM, four NICs: nvme-tcp on one NIC against nvme-mptcp on all
	$(Q)scripts/demo

test: all ## all kselftests, in VMs
	$(Q)scripts/test

fuzz: all ## COUNT=100000 mutated PDUs to each side, decided by SEED
	$(Q)FUZZ_COUNT=$(or $(COUNT),100000) FUZZ_SEED=$(or $(SEED),$(shell date +%s)) scripts/test --logs out/fuzz fuzz

soak: all ## storms: each COUNT=100 times, then MINUTES=15 of all at random
	$(Q)SOAK_COUNT=$(or $(COUNT),100) SOAK_MINUTES=$(or $(MINUTES),15) SOAK_SEED=$(or $(SEED),1) \
		scripts/test --logs out/soak --set soak

faults: ## failing allocations, on the debug kernel
	$(Q)KERNEL=debug scripts/test --logs out/faults --set faults

test-debug: ## a part of the tests on the debug kernel
	$(Q)KERNEL=debug scripts/test --logs out/debug --set debug

test-all: ## everything there is, on every kernel; takes most of a day without KVM
	$(Q)scripts/check
	$(Q)$(MAKE) test
	$(Q)$(MAKE) test SERIES=7.2
	$(Q)$(MAKE) soak fuzz
	$(Q)$(MAKE) test-debug faults
	$(Q)KERNEL=debug scripts/test --logs out/debug-all

bench: all ## nvme-mptcp beside its peers, in one VM; QUICK=1 for less
	$(Q)scripts/bench

check: ## formats, lints, unit tests; no VM
	$(Q)scripts/check

install: ## (with KDIR) install the modules for the kernel of KDIR
	$(Q)$(MAKE) -C $(KDIR) M=$(CURDIR) modules_install

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

.PHONY: all demo test fuzz soak faults test-debug test-all bench check install rust-analyzer clean help
