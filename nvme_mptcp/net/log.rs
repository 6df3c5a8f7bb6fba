// SPDX-License-Identifier: GPL-2.0

//! Messages that peers can cause.

use crate::ffi::bindings;

/// Whether one more of the messages that any peer can cause, however often, goes to the kernel log.
pub(crate) fn allowed() -> bool {
    // SAFETY: Counts the calls of the last seconds.
    unsafe { bindings::ffi_may_log() }
}
