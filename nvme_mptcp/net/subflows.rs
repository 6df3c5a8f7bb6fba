// SPDX-License-Identifier: GPL-2.0

//! What a connection and its subflows are like just now (`ffi/observe.h`).

use super::mptcp::Socket;
use crate::ffi::bindings;
use kernel::{
    fmt,
    prelude::*,
    str::BStr, //
};

/// Why a connection is plain TCP. Ordered: of several, the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(crate) enum Fallback {
    /// It speaks MPTCP.
    None = bindings::ffi_fallback_FFI_FALLBACK_NONE,
    /// The peer has answered without MPTCP.
    Peer = bindings::ffi_fallback_FFI_FALLBACK_PEER,
    /// Nobody has answered as long as it asked for MPTCP.
    Dropped = bindings::ffi_fallback_FFI_FALLBACK_DROPPED,
    /// Because of that the network namespace does not ask for now.
    Blackhole = bindings::ffi_fallback_FFI_FALLBACK_BLACKHOLE,
    /// It spoke MPTCP until something was in its way.
    Lost = bindings::ffi_fallback_FFI_FALLBACK_LOST,
}

impl Fallback {
    fn from_raw(raw: u32) -> Self {
        match raw {
            bindings::ffi_fallback_FFI_FALLBACK_NONE => Self::None,
            bindings::ffi_fallback_FFI_FALLBACK_PEER => Self::Peer,
            bindings::ffi_fallback_FFI_FALLBACK_DROPPED => Self::Dropped,
            bindings::ffi_fallback_FFI_FALLBACK_BLACKHOLE => Self::Blackhole,
            _ => Self::Lost,
        }
    }

    /// As the documentation has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Peer => "peer",
            Self::Dropped => "dropped",
            Self::Blackhole => "blackhole",
            Self::Lost => "lost",
        }
    }
}

/// A connection as a whole.
pub(crate) struct Connection {
    /// Whether it is plain TCP.
    pub(crate) fallback: Fallback,
    /// MPTCP's name of it, 0 without.
    pub(crate) token: u32,
    /// Bytes that MPTCP has sent again.
    pub(crate) retransmitted: u64,
    congestion: [c_char; 16],
}

impl Connection {
    /// The congestion control of its first subflow.
    pub(crate) fn congestion(&self) -> &BStr {
        text(&self.congestion)
    }
}

/// A subflow.
pub(crate) use bindings::ffi_subflow_info as Subflow;

/// A text of C that may fill its array.
pub(crate) fn text(chars: &[c_char]) -> &BStr {
    let len = chars.iter().position(|c| *c == 0).unwrap_or(chars.len());
    BStr::from_bytes(chars.get(..len).unwrap_or_default())
}

impl Socket {
    /// What the connection is like. Sleeps for the socket lock.
    pub(crate) fn connection(&self) -> Connection {
        let mut info: bindings::ffi_connection_info = pin_init::zeroed();
        // SAFETY: The socket is live, and we do not hold its lock.
        unsafe { bindings::ffi_connection_info(self.sk(), &mut info) };
        Connection {
            fallback: Fallback::from_raw(info.fallback),
            token: info.token,
            retransmitted: info.retransmitted,
            congestion: info.congestion,
        }
    }

    /// Calls `f` for every subflow; for a plain TCP connection once. Sleeps for the socket lock, and
    /// holds it while it calls: `f` must not use the socket, nor sleep for long.
    pub(crate) fn each_subflow<F: FnMut(&Subflow)>(&self, mut f: F) {
        /// # Safety
        ///
        /// `arg` points to an `F` that nobody else uses, `info` is valid.
        unsafe extern "C" fn call<F: FnMut(&Subflow)>(info: *const Subflow, arg: *mut c_void) {
            // SAFETY: As this function demands.
            unsafe { (*arg.cast::<F>())(&*info) }
        }
        // SAFETY: The socket is live, and we do not hold its lock. `call::<F>()` gets our `f`.
        unsafe {
            bindings::ffi_each_subflow(self.sk(), Some(call::<F>), (&raw mut f).cast());
        }
    }
}

/// An IPv6 address, or a mapped IPv4 one, for people.
pub(crate) struct Ip<'a>(pub(crate) &'a [u8; 16]);

impl fmt::Display for Ip<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buf = [0u8; 48];
        // SAFETY: The buffer has the length given, and the address sixteen bytes.
        let len =
            unsafe { bindings::ffi_format_ip(buf.as_mut_ptr().cast(), buf.len(), self.0.as_ptr()) };
        let len = usize::try_from(len).unwrap_or(0);
        fmt::Display::fmt(BStr::from_bytes(buf.get(..len).unwrap_or_default()), f)
    }
}

/// An address with a port.
pub(crate) struct IpPort<'a>(pub(crate) &'a [u8; 16], pub(crate) u16);

impl fmt::Display for IpPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = Ip(self.0);
        match self.0 {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ..] => f.write_fmt(fmt!("{ip}:{}", self.1)),
            _ => f.write_fmt(fmt!("[{ip}]:{}", self.1)),
        }
    }
}
