// SPDX-License-Identifier: GPL-2.0

//! A look at each connection, once in a while: which subflows it has now, and whether it still has any.
//!
//! The path manager adds subflows without telling us, and they lack what the connection was set up
//! with for storage traffic.
//!
//! When something on the way begins to change data or to remove options, and there is a single
//! subflow, MPTCP goes on as plain TCP (the infinite mapping of RFC 8684, 3.7), and says so to nobody.

use crate::{
    net::mptcp::Socket,
    work::Deadline, //
};

/// How long a connection is taken for what it was when last looked at. A look takes the socket lock.
const INTERVAL_MS: u32 = 1_000;

/// What is known of one connection.
pub(crate) struct Watch {
    /// It spoke MPTCP when last looked at.
    speaks: bool,
    next_look: Deadline,
}

impl Watch {
    /// Begins to watch `socket`. Sleeps for the socket lock.
    pub(crate) fn new(socket: &Socket) -> Self {
        Self {
            speaks: socket.speaks_mptcp(),
            next_look: Deadline::in_ms(INTERVAL_MS),
        }
    }

    /// Whether `socket` has lost MPTCP; true once. Looks once in a while only, when called at all,
    /// and then prepares new subflows as well.
    pub(crate) fn lost(&mut self, socket: &Socket) -> bool {
        if !self.speaks || !self.next_look.passed() {
            return false;
        }
        socket.prepare_subflows();
        self.speaks = socket.speaks_mptcp();
        self.next_look = Deadline::in_ms(INTERVAL_MS);
        !self.speaks
    }
}
