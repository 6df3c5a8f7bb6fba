// SPDX-License-Identifier: GPL-2.0

//! The module's parameters (`/sys/module/nvmet_mptcp/parameters`). All may be read in any context.

use crate::ffi::bindings;
use core::num::NonZeroU32;
use kernel::ffi::c_int;

/// Priority of the packets of new connections (`SO_PRIORITY`), if above 0.
pub(crate) fn so_priority() -> c_int {
    // SAFETY: Reads a module parameter.
    unsafe { bindings::target_engine_priority() }
}

/// Refuse hosts that do not speak MPTCP.
pub(crate) fn require_mptcp() -> bool {
    // SAFETY: As above.
    unsafe { bindings::target_param_require_mptcp() }
}

/// Seconds in which a new connection must become a queue of a controller, if that is limited.
pub(crate) fn connect_timeout() -> Option<NonZeroU32> {
    // SAFETY: As above.
    NonZeroU32::new(unsafe { bindings::target_param_connect_timeout() })
}

/// Seconds after which a host that does not go on is dropped, if that is wanted.
pub(crate) fn stall_timeout() -> Option<NonZeroU32> {
    // SAFETY: As above.
    NonZeroU32::new(unsafe { bindings::target_param_stall_timeout() })
}
