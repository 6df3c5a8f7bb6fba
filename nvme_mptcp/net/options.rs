// SPDX-License-Identifier: GPL-2.0

//! Options of MPTCP sockets.
//!
//! An MPTCP socket is not a `tcp_sock`, so none of the kernel's `tcp_sock_set_*()` may be used on
//! it: every option goes through the socket's own `setsockopt`, which hands it on to the subflows.
//! Options set before connecting reach the subflows that the path manager adds later.

use super::mptcp::Socket;
use crate::ffi::bindings;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// The name of a congestion control, or none.
///
/// # Invariants
///
/// A string that ends within the array; empty for none.
pub(crate) struct Congestion([c_char; bindings::FFI_CONGESTION_MAX as usize]);

impl Congestion {
    /// What the parameter `congestion` of the module names now. Sleeps.
    pub(crate) fn of_parameter() -> Self {
        let mut name = [0; bindings::FFI_CONGESTION_MAX as usize];
        // SAFETY: There is as much room as the function wants.
        unsafe { bindings::ffi_param_congestion(name.as_mut_ptr()) };
        // INVARIANT: The function has written a string.
        Self(name)
    }
}

impl Socket {
    /// Sets an integer socket option. May sleep.
    fn set_option(&self, level: u32, name: u32, value: c_int) -> Result {
        // SAFETY: The socket is live by the type invariant.
        to_result(unsafe {
            bindings::ffi_setsockopt_int(self.as_ptr(), level as c_int, name as c_int, value)
        })
    }

    /// Sends small segments at once (`TCP_NODELAY`): a command that waits for an acknowledgement is
    /// a slow command.
    pub(crate) fn set_nodelay(&self) -> Result {
        self.set_option(bindings::IPPROTO_TCP, bindings::TCP_NODELAY, 1)
    }

    /// Drops what has not been sent when the socket is closed, so that no stale data leaves later
    /// (`SO_LINGER` 0). Sleeps for the socket lock.
    pub(crate) fn set_no_linger(&self) {
        // SAFETY: The socket is live, and we do not hold its lock.
        unsafe { bindings::ffi_sock_no_linger(self.as_ptr()) };
    }

    /// Sets the congestion control of all subflows, if one is named. May sleep, and load a module.
    ///
    /// # Errors
    ///
    /// `ENOENT` when there is none of that name.
    pub(crate) fn set_congestion(&self, name: &Congestion) -> Result {
        // SAFETY: The socket is live, and the name is a string by the type invariant.
        to_result(unsafe { bindings::ffi_sock_set_congestion(self.as_ptr(), name.0.as_ptr()) })
    }

    /// Sets the priority of the packets of all subflows (`SO_PRIORITY`).
    pub(crate) fn set_priority(&self, priority: c_int) -> Result {
        self.set_option(bindings::SOL_SOCKET, bindings::SO_PRIORITY, priority)
    }

    /// The type of service with which the peer has connected over IPv4, otherwise 0. May sleep.
    #[cfg(target)]
    pub(crate) fn received_tos(&self) -> u8 {
        // SAFETY: The socket is live, and we do not hold its lock.
        unsafe { bindings::ffi_sock_received_tos(self.as_ptr()) }
    }

    /// Sets the type of service of the packets of all subflows, as far as they use IPv4.
    ///
    /// There is no such thing for IPv6: MPTCP sockets refuse `IPV6_TCLASS` (7.3).
    pub(crate) fn set_tos(&self, tos: u8) -> Result {
        self.set_option(bindings::SOL_IP, bindings::IP_TOS, c_int::from(tos))
    }

    /// Lets a listener bind to an address that old connections still use (`SO_REUSEADDR`).
    #[cfg(target)]
    pub(crate) fn set_reuse_address(&self) -> Result {
        self.set_option(bindings::SOL_SOCKET, bindings::SO_REUSEADDR, 1)
    }

    /// Binds the first subflow to a network interface (`SO_BINDTODEVICE`).
    #[cfg(host)]
    pub(crate) fn bind_to_interface(&self, name: &CStr) -> Result {
        // SAFETY: The socket is live, and `name` has the length given.
        to_result(unsafe {
            bindings::ffi_setsockopt_str(
                self.as_ptr(),
                bindings::SOL_SOCKET as c_int,
                bindings::SO_BINDTODEVICE as c_int,
                name.as_char_ptr(),
                name.count_bytes() as u32,
            )
        })
    }

    /// Bounds how long a blocking receive and a blocking send or connect wait, in jiffies.
    #[cfg(host)]
    pub(crate) fn set_timeouts(&self, receive: c_long, send: c_long) {
        // SAFETY: The socket is live.
        unsafe { bindings::ffi_sk_set_timeouts(self.as_ptr(), receive, send) };
    }
}
