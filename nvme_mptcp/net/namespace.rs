// SPDX-License-Identifier: GPL-2.0

//! A reference-counted network namespace.
//!
//! C header: [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

use crate::ffi::bindings;
use core::ptr::NonNull;
#[cfg(host)]
use kernel::{
    prelude::*,
    str::CStr, //
};

/// A reference to a network namespace, which keeps it from being dismantled.
///
/// # Invariants
///
/// `0` points to a live `struct net` and owns one reference on it.
pub(crate) struct NetNamespace(NonNull<bindings::net>);

// SAFETY: A `struct net` is reference-counted with atomics and may be used from any thread.
unsafe impl Send for NetNamespace {}
// SAFETY: As above; no method needs exclusive access.
unsafe impl Sync for NetNamespace {}

impl NetNamespace {
    /// The network namespace of the current task. For process context.
    ///
    /// A kernel worker is in the initial network namespace, whoever queued the work.
    pub(crate) fn current() -> Self {
        // SAFETY: Called in process context; a running task has an `nsproxy`, which holds its
        // network namespace.
        let net = unsafe { bindings::ffi_current_net() };
        // SAFETY: `get_net()` returns its argument, which is not null for a running task.
        // INVARIANT: `ffi_current_net()` has taken a reference.
        Self(unsafe { NonNull::new_unchecked(net) })
    }

    /// The raw pointer, valid as long as `self`.
    pub(super) fn as_ptr(&self) -> *mut bindings::net {
        self.0.as_ptr()
    }

    /// Whether a network interface of this name is in this namespace now. May sleep.
    #[cfg(host)]
    pub(crate) fn has_interface(&self, name: &CStr) -> bool {
        // SAFETY: The namespace is alive by the type invariant, `name` is a C string.
        let dev = unsafe { bindings::ffi_dev_get_by_name(self.as_ptr(), name.as_char_ptr()) };
        if dev.is_null() {
            return false;
        }
        // SAFETY: `dev_get_by_name()` took a reference on `dev`, which is given back here.
        unsafe { bindings::ffi_dev_put(dev) };
        true
    }
}

impl Clone for NetNamespace {
    fn clone(&self) -> Self {
        // SAFETY: The namespace is alive by the type invariant.
        unsafe { bindings::ffi_get_net(self.as_ptr()) };
        // INVARIANT: A reference has just been taken.
        Self(self.0)
    }
}

impl PartialEq for NetNamespace {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Drop for NetNamespace {
    fn drop(&mut self) {
        // SAFETY: The reference that the type invariant speaks of is given up here.
        unsafe { bindings::ffi_put_net(self.as_ptr()) };
    }
}
