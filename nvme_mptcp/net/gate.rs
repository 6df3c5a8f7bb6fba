// SPDX-License-Identifier: GPL-2.0

//! Whether the sender of a connection may go on, or waits until the network has taken some of what
//! it has; see [`allowance`](super::allowance) for why it should.
//!
//! A closed gate is opened by the socket's `sk_write_space`. TCP and MPTCP call it at every
//! acknowledgement while somebody wants room (`SOCK_NOSPACE`): from when the sender closes the gate
//! until it sends again. So whoever sends must look at the gate first, and need not be run while it
//! is closed.

use super::{
    allowance::{
        room,
        Subflow, //
    },
    mptcp::Socket, //
};
use crate::ffi::bindings;
use kernel::sync::atomic::{
    Acquire,
    Atomic,
    Full,
    Relaxed, //
};

/// Subflows that are looked at. The kernel's path manager makes three unless told, and 64 at most; data that further ones
/// hold is not counted.
pub(crate) const SUBFLOWS: usize = 16;

/// A connection with less than this in flight needs no look at its subflows, in bytes.
const SMALL: u64 = 64 << 10;

/// What such a connection may be given at a time, in bytes: a usual largest request.
const FIRST: u32 = 256 << 10;

/// A socket that has room, and takes nothing so often in a row, has no memory. Once or twice it may just have got the room.
const REFUSALS: u32 = 8;

/// See the [module](self).
pub(crate) struct Gate {
    closed: Atomic<bool>,
    /// Until so much is acknowledged: a position in the connection's stream.
    until: Atomic<u64>,
    /// Since when, in jiffies.
    since: Atomic<u64>,
    /// How often in a row the socket has taken nothing, although it has room.
    refusals: Atomic<u32>,
}

impl Gate {
    /// An open one.
    pub(crate) const fn new() -> Self {
        Self {
            closed: Atomic::new(false),
            until: Atomic::new(0),
            since: Atomic::new(0),
            refusals: Atomic::new(0),
        }
    }

    /// Opens it, for a new connection.
    #[cfg(host)]
    pub(crate) fn reset(&self) {
        self.closed.store(false, Relaxed);
        self.refusals.store(0, Relaxed);
    }

    /// Whether the sender waits. Any context.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// The socket tells that it has room, its peer having acknowledged what is before `acked`:
    /// true, once, if that is what the sender waits for. Any context.
    pub(crate) fn opens(&self, acked: u64) -> bool {
        // What it waits for was written before it was closed.
        self.closed.load(Acquire) && self.is_time(acked) && self.closed.xchg(false, Full)
    }

    /// Whether the sender should look again.
    ///
    /// While one subflow repairs a loss the peer cannot acknowledge what the others have brought it, and
    /// they must not run dry. What acknowledges their packets calls us too, and what they may hold
    /// lasts for a tick.
    fn is_time(&self, acked: u64) -> bool {
        reached(acked, self.until.load(Relaxed))
            || jiffies().wrapping_sub(self.since.load(Relaxed)) > 1
    }

    /// Bytes that may be handed to the socket now. Closes the gate if there are none.
    /// Sleeps for the socket lock.
    pub(crate) fn room(&self, socket: &Socket) -> u32 {
        let Some(progress) = socket.progress() else {
            return self.open(socket, u32::MAX);
        };
        if progress.unacked() < SMALL {
            return self.open(socket, FIRST);
        }
        if self.is_closed() && !self.is_time(progress.acked) {
            return 0;
        }
        let mut subflows = [Subflow::default(); SUBFLOWS];
        match room(socket.subflows(&mut subflows)) {
            Ok(bytes) => self.open(socket, u32::try_from(bytes).unwrap_or(u32::MAX)),
            Err(missing) => {
                // No further than what is written, or it would never open.
                let missing = missing.min(progress.unacked());
                self.close(socket, progress.acked.wrapping_add(missing));
                0
            }
        }
    }

    fn open(&self, socket: &Socket, room: u32) -> u32 {
        self.closed.store(false, Relaxed);
        socket.have_room();
        room
    }

    /// The socket has taken so many of the bytes it was given. If that was not all, closes the gate until it has room.
    /// Returns whether it was all.
    pub(crate) fn sent(&self, socket: &Socket, taken: usize, given: usize) -> bool {
        if taken == given {
            self.refusals.store(0, Relaxed);
            return true;
        }
        // If it has taken nothing, more room than now is wanted, as long as there is something that will make some.
        let until = socket.progress().map_or(0, |progress| {
            let more = u64::from(taken == 0).min(progress.unacked());
            progress.acked.wrapping_add(more)
        });
        self.close(socket, until);
        let refused = taken == 0 && !self.is_closed();
        let before = self.refusals.load(Relaxed);
        self.refusals
            .store(if refused { before.saturating_add(1) } else { 0 }, Relaxed);
        false
    }

    /// Whether the socket takes nothing for want of memory, which nobody will tell the end of: the sender should wait a
    /// while. TCP waits as well then (`sk_stream_wait_memory()`), but not for who must not sleep there.
    pub(crate) fn is_starved(&self) -> bool {
        self.refusals.load(Relaxed) >= REFUSALS
    }

    fn close(&self, socket: &Socket, until: u64) {
        self.until.store(until, Relaxed);
        self.since.store(jiffies(), Relaxed);
        socket.want_room();
        // A full barrier: either `opens()` sees that the gate is closed, or we see what it has been
        // called for.
        self.closed.xchg(true, Full);
        let acked = socket.progress().map_or(0, |progress| progress.acked);
        if reached(acked, until) && socket.is_writeable() {
            self.closed.store(false, Relaxed);
        }
    }
}

/// How far a connection has come: positions in its stream of bytes, which wrap around.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    /// The peer has acknowledged what is before.
    pub(crate) acked: u64,
    /// We have written what is before.
    pub(crate) written: u64,
}

impl Progress {
    fn unacked(self) -> u64 {
        self.written.wrapping_sub(self.acked)
    }
}

fn jiffies() -> u64 {
    // SAFETY: Reads a counter.
    unsafe { bindings::ffi_jiffies() as u64 }
}

/// Whether position `a` is not before `b`.
fn reached(a: u64, b: u64) -> bool {
    a.wrapping_sub(b) < 1 << 63
}

#[cfg(host)]
#[kernel::prelude::kunit_tests(nvme_mptcp_gate)]
mod tests {
    use super::*;

    #[test]
    fn positions_wrap_around() {
        assert!(reached(5, 5) && reached(6, 5) && !reached(4, 5));
        assert!(reached(3, u64::MAX - 3) && !reached(u64::MAX - 3, 3));
        let progress = Progress {
            acked: u64::MAX - 9,
            written: 10,
        };
        assert_eq!(progress.unacked(), 20);
    }

    #[test]
    fn an_open_one_does_not_open() {
        let gate = Gate::new();
        assert!(!gate.is_closed());
        assert!(!gate.opens(u64::MAX));
    }

    #[test]
    fn a_closed_one_opens_once_and_in_time() {
        let gate = Gate::new();
        gate.until.store(1000, Relaxed);
        // Within a tick: after more it would open for that.
        let opened = loop {
            let now = jiffies();
            gate.since.store(now, Relaxed);
            gate.closed.store(true, Relaxed);
            let opened = gate.opens(999);
            if jiffies() == now {
                break opened;
            }
        };
        assert!(!opened && gate.is_closed());
        assert!(gate.opens(1000) && !gate.is_closed());
        assert!(!gate.opens(1000));
    }

    #[test]
    fn one_that_is_closed_for_more_than_a_tick_opens() {
        let gate = Gate::new();
        gate.until.store(1000, Relaxed);
        gate.since.store(jiffies().wrapping_sub(2), Relaxed);
        gate.closed.store(true, Relaxed);
        assert!(gate.opens(0) && !gate.is_closed());
    }
}
