// SPDX-License-Identifier: GPL-2.0

//! The memory allocation scope of who has the lock of a connection.

use crate::ffi::bindings;

/// While this exists the current task's allocations may use the memory reserves and do not reclaim.
///
/// For all that takes the lock of a connection: write-back of dirty pages may be waiting for exactly that
/// connection, so who has its lock must neither wait for memory nor be refused the last of it. It is not for
/// sending only: letting go of the lock handles what has come in meanwhile, and charges it to the memory
/// cgroup of whoever has made the socket.
#[must_use = "the scope ends when this is dropped"]
pub(crate) struct NoReclaim(u32);

impl NoReclaim {
    /// Enters the scope.
    pub(crate) fn enter() -> Self {
        // SAFETY: Sets a flag of the current task.
        Self(unsafe { bindings::ffi_memalloc_noreclaim_save() })
    }
}

impl Drop for NoReclaim {
    fn drop(&mut self) {
        // SAFETY: Restores what `enter()` saved. Guards nest, since they live in one task's scopes.
        unsafe { bindings::ffi_memalloc_noreclaim_restore(self.0) };
    }
}
