// SPDX-License-Identifier: GPL-2.0

//! Error codes that the kernel crate knows by name in some releases only (not in 7.2).

use kernel::{
    bindings,
    error::Error,
    ffi::c_int, //
};

fn code(number: u32) -> Error {
    Error::from_errno((number as c_int).wrapping_neg())
}

/// Something cannot work over this transport (`EOPNOTSUPP`).
pub(crate) fn not_supported() -> Error {
    code(bindings::EOPNOTSUPP)
}

/// There is no connection (`ENOTCONN`).
pub(crate) fn not_connected() -> Error {
    code(bindings::ENOTCONN)
}

/// The peer does not speak the protocol that is wanted (`EPROTONOSUPPORT`).
#[cfg(host)]
pub(crate) fn protocol_not_supported() -> Error {
    code(bindings::EPROTONOSUPPORT)
}

/// There is such a connection already (`EALREADY`).
#[cfg(host)]
pub(crate) fn already() -> Error {
    code(bindings::EALREADY)
}

/// It has begun and goes on (`EINPROGRESS`).
#[cfg(host)]
pub(crate) fn in_progress() -> Error {
    code(bindings::EINPROGRESS)
}

/// Not an address of this kind of network (`EAFNOSUPPORT`).
#[cfg(target)]
pub(crate) fn family_not_supported() -> Error {
    code(bindings::EAFNOSUPPORT)
}

/// Whether a receive has failed because of what the peer has sent (`EPROTO`, `EIO`), not because the connection has ended.
#[cfg(target)]
pub(crate) fn breaks_protocol(e: Error) -> bool {
    e == code(bindings::EPROTO) || e == code(bindings::EIO)
}
