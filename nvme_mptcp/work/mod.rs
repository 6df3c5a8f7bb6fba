// SPDX-License-Identifier: GPL-2.0

//! What the kernel crate lacks for work items and their surroundings: time budgets and the memory
//! allocation scope of work that brings a disk back.

use crate::ffi::bindings;
use kernel::ffi::c_ulong;
#[cfg(host)]
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// The point in time at which a work item should let others run.
pub(crate) struct Deadline(c_ulong);

impl Deadline {
    /// This many milliseconds from now.
    pub(crate) fn in_ms(ms: u32) -> Self {
        // SAFETY: Plain arithmetic.
        let (now, delta) = unsafe { (bindings::ffi_jiffies(), bindings::ffi_msecs_to_jiffies(ms)) };
        Self(now.wrapping_add(delta))
    }

    /// Whether it has passed.
    pub(crate) fn passed(&self) -> bool {
        // SAFETY: Reads a counter.
        let now = unsafe { bindings::ffi_jiffies() };
        // As `time_after()`: jiffies wrap around.
        (self.0.wrapping_sub(now) as isize) < 0
    }
}

/// A number of milliseconds in jiffies.
pub(crate) fn msecs_to_jiffies(ms: u32) -> c_ulong {
    // SAFETY: Plain arithmetic.
    unsafe { bindings::ffi_msecs_to_jiffies(ms) }
}

/// Memory accesses before it come before those after it, for all CPUs. (The kernel crate's differ from
/// release to release.)
#[cfg(host)]
pub(crate) fn full_barrier() {
    // SAFETY: Has no other effect.
    unsafe { bindings::ffi_smp_mb() };
}

/// The CPU we are on; a hint only, the task may move at any time.
pub(crate) fn this_cpu() -> u32 {
    // SAFETY: Reads a per-CPU number.
    unsafe { bindings::ffi_this_cpu() }
}

/// Which task runs a work item, so that it can be told from others.
///
/// Locks of a socket, when released, call back about what has happened meanwhile. A work item that is the
/// cause of such a call need not be queued anew.
#[cfg(host)]
pub(crate) struct Worker(Atomic<usize>);

#[cfg(host)]
impl Worker {
    /// Nobody yet.
    pub(crate) const fn none() -> Self {
        Self(Atomic::new(0))
    }

    /// The current task is it, until the returned guard is dropped.
    #[must_use = "the task stops being it when this is dropped"]
    pub(crate) fn enter(&self) -> Working<'_> {
        // SAFETY: Tells which task this is.
        let task = unsafe { bindings::ffi_current_task() };
        self.0.store(task, Relaxed);
        Working(self)
    }

    /// Whether the caller is it, and not an interrupt on top of it. Any context.
    pub(crate) fn is_current(&self) -> bool {
        // SAFETY: As above.
        match unsafe { bindings::ffi_current_task() } {
            0 => false,
            task => task == self.0.load(Relaxed),
        }
    }
}

/// See [`Worker::enter`].
#[cfg(host)]
pub(crate) struct Working<'a>(&'a Worker);

#[cfg(host)]
impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0 .0.store(0, Relaxed);
    }
}

/// Whether the current task is reclaiming memory, and so may hold any lock under which memory is
/// allocated.
pub(crate) fn in_reclaim() -> bool {
    // SAFETY: Reads a flag of the current task.
    unsafe { bindings::ffi_in_reclaim() }
}

/// Waits until every task that was preempted anywhere in the kernel has run on to where it sleeps or leaves it. For the
/// end of a module whose functions tell that they end before they do. May sleep for seconds.
#[cfg(host)]
pub(crate) fn wait_for_tasks() {
    // SAFETY: Called where sleeping is allowed.
    unsafe { bindings::ffi_synchronize_rcu_tasks() };
}

/// While this exists the current task's allocations do not start I/O to get memory.
///
/// For bringing a disk back: pages that are to be written to just that disk cannot be what we wait for.
#[must_use = "the scope ends when this is dropped"]
pub(crate) struct NoIo(u32);

impl NoIo {
    /// Enters the scope.
    pub(crate) fn enter() -> Self {
        // SAFETY: Sets a flag of the current task.
        Self(unsafe { bindings::ffi_memalloc_noio_save() })
    }
}

impl Drop for NoIo {
    fn drop(&mut self) {
        // SAFETY: Restores what `enter()` saved. Guards nest, since they live in one task's scopes.
        unsafe { bindings::ffi_memalloc_noio_restore(self.0) };
    }
}

#[cfg(host)]
#[kernel::prelude::kunit_tests(nvme_mptcp_work)]
mod tests {
    use super::*;
    use crate::net::reclaim::NoReclaim;
    use kernel::time::{
        delay::fsleep,
        Delta, //
    };

    #[test]
    fn a_deadline_passes() {
        let (soon, late) = (Deadline::in_ms(1), Deadline::in_ms(3_600_000));
        fsleep(Delta::from_millis(50));
        assert!(soon.passed() && !late.passed());
    }

    #[test]
    fn the_worker_is_who_has_entered() {
        let worker = Worker::none();
        assert!(!worker.is_current());
        {
            let _working = worker.enter();
            assert!(worker.is_current());
        }
        assert!(!worker.is_current());
    }

    #[test]
    fn scopes_nest() {
        assert!(!in_reclaim());
        let outer = NoReclaim::enter();
        {
            let _inner = NoReclaim::enter();
            assert!(in_reclaim());
        }
        assert!(in_reclaim());
        drop(outer);
        assert!(!in_reclaim());
    }
}
