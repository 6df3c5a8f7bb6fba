// SPDX-License-Identifier: GPL-2.0

//! The gather send: many PDUs, headers, digests and data, in one bounded scatter vector and one
//! `sendmsg`.
//!
//! An MPTCP socket copies what it sends, and locks itself and pushes to its subflows at every call,
//! so the number of calls is what costs. The vector is part of its owner; no send allocates.
//!
//! The accounting of a partial send is in [`ledger`](super::ledger).

use crate::ffi::bindings;
use kernel::prelude::*;

/// Segments of a vector: one 1 MiB transfer of single pages, or about a hundred small commands with
/// their data. The array is 4 KiB.
pub(crate) const SEGMENTS: usize = 256;

/// Bytes of a vector. As much as a socket's send buffer can have room for at a time; more would
/// only be walked over and put back.
pub(crate) const BYTES: u32 = 1 << 20;

/// A bounded scatter vector.
///
/// # Invariants
///
/// The first `used` segments describe `bytes` bytes of memory that stays valid until the vector is
/// cleared.
pub(crate) struct Vector {
    segments: [bindings::bio_vec; SEGMENTS],
    used: usize,
    bytes: u32,
    limit: u32,
}

// SAFETY: The segments point to pages, which may be used from any thread.
unsafe impl Send for Vector {}

/// The free part of a [`Vector`], for the engine to describe a PDU in.
pub(crate) struct Room {
    pub(crate) segments: *mut bindings::bio_vec,
    pub(crate) max_segments: c_uint,
    pub(crate) max_bytes: u32,
}

impl Vector {
    /// An empty vector, made in place because of its size.
    pub(crate) fn init() -> impl Init<Self> {
        // INVARIANT: Nothing is used.
        init!(Self {
            segments <- pin_init::init_zeroed(),
            used: 0,
            bytes: 0,
            limit: BYTES,
        })
    }

    /// Forgets the segments.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.bytes = 0;
    }

    /// Lets the vector have so many bytes, if not more than it can.
    pub(crate) fn limit(&mut self, bytes: u32) {
        self.limit = bytes.min(BYTES);
    }

    /// Number of segments.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// Where the next segments go.
    pub(crate) fn room(&mut self) -> Room {
        let free = self.segments.get_mut(self.used..).unwrap_or_default();
        Room {
            max_segments: free.len() as c_uint,
            segments: free.as_mut_ptr(),
            max_bytes: self.limit.saturating_sub(self.bytes),
        }
    }

    /// Counts segments that have been written to [`Vector::room`].
    ///
    /// # Safety
    ///
    /// That many segments must have been written there, of that many bytes in all, and what they
    /// point to must stay valid until the vector is cleared or dropped unsent.
    pub(crate) unsafe fn commit(&mut self, segments: c_uint, bytes: u32) {
        // INVARIANT: As the caller promises.
        self.used = self.used.saturating_add(segments as usize).min(SEGMENTS);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// For the socket: the segments, their number and their bytes.
    pub(super) fn as_raw(&mut self) -> (*mut bindings::bio_vec, c_uint, usize) {
        (
            self.segments.as_mut_ptr(),
            self.used as c_uint,
            self.bytes as usize,
        )
    }
}
