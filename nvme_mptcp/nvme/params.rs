// SPDX-License-Identifier: GPL-2.0

//! The module's parameters (`/sys/module/nvme_mptcp/parameters`). All may be read in any context.

use crate::ffi::bindings;
use kernel::ffi::c_int;

/// Priority of the packets of new connections (`SO_PRIORITY`), if above 0.
pub(crate) fn so_priority() -> c_int {
    // SAFETY: Reads a module parameter.
    unsafe { bindings::host_engine_so_priority() }
}

/// Refuse targets that do not speak MPTCP.
pub(crate) fn require_mptcp() -> bool {
    // SAFETY: As above.
    unsafe { bindings::host_param_require_mptcp() }
}

/// Serve the transport `tcp` too.
pub(crate) fn replace_tcp() -> bool {
    // SAFETY: As above.
    unsafe { bindings::host_param_replace_tcp() }
}

/// Whether nvme-tcp is loaded, in whose place [`replace_tcp`] is to be. May sleep.
pub(crate) fn nvme_tcp_is_there() -> bool {
    // SAFETY: Looks for a name in sysfs.
    unsafe { bindings::host_param_nvme_tcp_is_there() }
}

/// Header digests and data digests for controllers whose user could not ask for them.
pub(crate) fn digests() -> (bool, bool) {
    // SAFETY: As above.
    unsafe {
        (
            bindings::host_param_hdr_digest(),
            bindings::host_param_data_digest(),
        )
    }
}
