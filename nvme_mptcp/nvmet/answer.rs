// SPDX-License-Identifier: GPL-2.0

//! The answers that an [`Engine`](super::engine::Engine) wants sent.

use crate::{
    ffi::bindings,
    net::gather::Vector, //
};
use core::ptr::NonNull;

/// An answer to send: the command that it answers.
///
/// # Invariants
///
/// The command was popped from a live queue, and neither sent completely nor put back since.
pub(crate) struct Answer(pub(super) NonNull<bindings::nvmet_tcp_cmd>);

// SAFETY: A command belongs to whoever popped it, on any thread.
unsafe impl Send for Answer {}

impl Answer {
    /// Describes what is unsent of it in the free part of `vector`, which is to be cleared before
    /// the answer is settled.
    pub(crate) fn describe(&self, vector: &mut Vector) -> Part {
        let mut pdu: bindings::target_engine_pdu = pin_init::zeroed();
        let room = vector.room();
        // SAFETY: The command is popped by the type invariant, so what it describes stays; there is
        // the room that is told.
        unsafe {
            bindings::target_engine_describe(
                self.0.as_ptr(),
                room.segments,
                room.max_segments,
                room.max_bytes,
                &mut pdu,
            );
            vector.commit(pdu.segments, pdu.bytes);
        }
        Part {
            bytes: pdu.bytes,
            left: pdu.left,
        }
    }

    /// All of it is out. The command is the engine's again.
    pub(crate) fn sent(self) {
        // SAFETY: By the type invariant, and it ends here.
        unsafe { bindings::target_engine_sent(self.0.as_ptr()) };
    }

    /// `bytes` of it are out; the rest becomes the next answer.
    pub(crate) fn put_back(self, bytes: u32) {
        // SAFETY: By the type invariant, and it ends here.
        unsafe {
            bindings::target_engine_advance(self.0.as_ptr(), bytes);
            bindings::target_engine_put_back(self.0.as_ptr());
        }
    }
}

/// How much of an answer a vector has.
pub(crate) struct Part {
    /// Bytes described.
    pub(crate) bytes: u32,
    /// Bytes for which there was no room.
    pub(crate) left: u32,
}
