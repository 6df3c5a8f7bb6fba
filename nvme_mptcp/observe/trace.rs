// SPDX-License-Identifier: GPL-2.0

//! Tracepoints (`ffi/trace_host.h`, `ffi/trace_target.h`).
//!
//! One that is off costs a jump that is not taken: not even its arguments are computed.

use crate::ffi::bindings;

/// Declares a safe function for each tracepoint, in the way of `kernel::tracepoint::declare_trace`,
/// which only knows tracepoints of the kernel itself. Its argument tells the event's values, and is
/// called only if somebody wants them.
macro_rules! tracepoints {
    ($prefix:ident; $($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?);)*) => {$(
        $(#[$meta])*
        #[inline(always)]
        pub(crate) fn $name(values: impl FnOnce() -> ($($type,)*)) {
            #[cfg(CONFIG_TRACEPOINTS)]
            kernel::macros::paste! {
                // SAFETY: The key of a tracepoint that C has defined.
                let wanted = unsafe {
                    kernel::jump_label::static_branch_unlikely!(
                        bindings::[<__tracepoint_ $prefix $name>],
                        bindings::tracepoint,
                        key
                    )
                };
                if wanted {
                    let ($($arg,)*) = values();
                    // SAFETY: The values are plain numbers, and arrays that stay until the return.
                    unsafe {
                        bindings::[<rust_do_trace_ $prefix $name>]($(Value::raw(&$arg)),*)
                    };
                }
            }
        }
    )*};
}

/// What C gets for a value.
trait Value {
    type Raw;
    fn raw(&self) -> Self::Raw;
}

macro_rules! plain_values {
    ($($type:ty)*) => {$(
        impl Value for $type {
            type Raw = Self;
            fn raw(&self) -> Self {
                *self
            }
        }
    )*};
}

plain_values!(i32 u16 u32);

/// An address, which C copies.
impl Value for [u8; 16] {
    type Raw = *const u8;
    fn raw(&self) -> *const u8 {
        self.as_ptr()
    }
}

#[cfg(host)]
tracepoints! {
    nvme_mptcp_;

    /// A queue has been connected, and is live.
    fn queue_connected(ctrl: i32, qid: u16, token: u32, fallback: u32);

    /// A queue that was connected has been stopped.
    fn queue_stopped(ctrl: i32, qid: u16, reason: u32);

    /// A batch has been given to the socket, which has taken `sent` of it, or an error.
    fn batch_sent(ctrl: i32, qid: u16, requests: u32, segments: u32, bytes: u32, sent: i32);

    /// Bytes have been taken from the socket, and have completed requests.
    fn received(ctrl: i32, qid: u16, bytes: u32, completed: u32);

    /// A reconnect has succeeded (0) or failed.
    fn reconnect(ctrl: i32, attempt: i32, status: i32);

    /// A queue has a path that it had not.
    fn subflow_added(ctrl: i32, qid: u16, local: [u8; 16], remote: [u8; 16]);

    /// A queue has a path no more.
    fn subflow_lost(ctrl: i32, qid: u16, local: [u8; 16], remote: [u8; 16]);
}

#[cfg(target)]
tracepoints! {
    nvmet_mptcp_;

    /// A connection has become a queue of a controller.
    fn queue_connected(id: i32, cntlid: u16, qid: u16, token: u32, fallback: u32);

    /// A connection is being released.
    fn queue_stopped(id: i32, cntlid: u16, qid: u16, reason: u32);

    /// A batch has been given to the socket, which has taken `sent` of it, or an error.
    fn batch_sent(id: i32, qid: u16, answers: u32, segments: u32, bytes: u32, sent: i32);

    /// Bytes have been taken from the socket.
    fn received(id: i32, qid: u16, bytes: u32);
}
