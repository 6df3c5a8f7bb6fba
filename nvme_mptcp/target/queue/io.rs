// SPDX-License-Identifier: GPL-2.0

//! Data flow of a connection: turns of receiving and sending, and whether the host does its part.

use super::Queue;
use crate::{
    net::{
        errno,
        log, //
    },
    nvmet::params,
    observe::trace,
    send::{
        Batch,
        Sent, //
    },
};
use kernel::prelude::*;

/// PDUs taken from the socket before what they caused is sent. One send for many answers is what
/// makes MPTCP cheap.
const RECEIVE_BUDGET: c_int = 32;

/// The same for strangers: who is not connected yet, or to the discovery subsystem. They get little memory at a
/// time, so they must take these answers before there are more.
const STRANGER_BUDGET: c_int = 4;

/// PDUs taken and answers sent before other work of the CPU has its turn.
const WORK_BUDGET: c_int = 64;

/// Why a connection is dropped that is no queue of a controller.
const NOT_CONNECTED: &str = "it has not connected to a controller in time";

/// What the io work of a connection has.
pub(super) struct Io {
    pub(super) batch: KBox<Batch>,
    /// What has moved when the host was last looked at.
    pub(super) seen: u64,
}

impl Queue {
    /// Changes when a byte is received, sent, or acknowledged by the host.
    fn moved(&self, io: &Io) -> u64 {
        let acked = self.socket.progress().map_or(0, |progress| progress.acked);
        // The acknowledged bytes are a position, which wraps around.
        self.engine
            .received()
            .wrapping_add(io.batch.sent())
            .wrapping_add(acked)
    }

    /// Looks at the host again later, if it owes us something.
    fn check_later(&self, io: &mut Io) {
        if self.engine.is_idle() {
            return;
        }
        if let Some(seconds) = params::stall_timeout() {
            if self.engine.check_in(seconds) {
                io.seen = self.moved(io);
            }
        }
    }

    /// Whether the host has not done what it should have done by now, and what that is.
    pub(super) fn overdue(&self) -> Option<&'static str> {
        if self.engine.is_released() {
            return None;
        }
        // Before the lock, since the io work may be waiting for memory to send its ICResp.
        let late = || self.controller().is_none() && params::connect_timeout().is_some();
        if late() {
            return Some(NOT_CONNECTED);
        }
        let io = &mut *self.io.lock();

        // It may have been refused meanwhile.
        if late() {
            return Some(NOT_CONNECTED);
        }
        // The io work has looked while we waited for it.
        if self.engine.check_is_armed() {
            return None;
        }
        self.engine.settle();
        if self.engine.is_idle() || params::stall_timeout().is_none() {
            return None;
        }
        let stuck = io.seen == self.moved(io);
        self.check_later(io);
        stuck.then(|| {
            if self.engine.has_failed() {
                "its controller has failed, and it does not reset it"
            } else {
                "it leaves a PDU or a write unfinished, or takes no answers"
            }
        })
    }

    /// Receives and sends until there is nothing to do, or the budget is used up.
    ///
    /// Returns whether there is more to do.
    fn turn(&self, batch: &mut Batch, steps: &mut c_int) -> Result<bool> {
        loop {
            let before = self.engine.received();
            let stranger = self.controller().is_none() || self.engine.is_discovery();
            let mut pending = match stranger {
                true if self.engine.has_answers() => false,
                true => self.engine.receive(STRANGER_BUDGET, steps)?,
                false => self.engine.receive(RECEIVE_BUDGET, steps)?,
            };
            let received = self.engine.received().wrapping_sub(before);
            if received > 0 {
                self.observed.counters.received(received as usize);
                trace::received(|| (self.engine.id(), self.engine.qid(), received as u32));
            }

            match batch.send(
                &self.engine,
                &self.socket,
                &self.gate,
                &self.observed.counters,
            ) {
                Ok(Sent::All(answers)) => {
                    *steps = steps.saturating_add(answers as c_int);
                    pending = true;
                }
                Ok(Sent::Nothing) => pending |= self.engine.has_answers(),
                // If it has opened meanwhile, others shall have their turn first all the same.
                Ok(Sent::NoRoom) => {
                    let opened = !self.gate.is_closed() && !self.gate.is_starved();
                    return Ok(pending | self.engine.again() || opened);
                }
                Err(e) => {
                    self.engine.fail(e);
                    return Err(e);
                }
            }
            // Sending, too, may have brought more to receive.
            pending |= self.engine.again();
            if !pending || *steps >= WORK_BUDGET {
                return Ok(pending);
            }
        }
    }

    /// The io work: a turn, and what is to be done after it. May sleep.
    pub(super) fn work(&self) {
        let io = &mut *self.io.lock();
        let mut steps = 0;
        match self.turn(&mut io.batch, &mut steps) {
            Ok(pending) => {
                // Not here: many connections could be stuck, and keep the work of the others waiting.
                let starved = self.gate.is_starved() && self.engine.has_answers();
                if starved || self.socket.is_stuck() {
                    self.engine.retry_later();
                }
                // Looking at the socket takes its lock, and letting go of it may bring more to receive,
                // which nobody else is told of.
                let again = self.engine.again();
                if self.engine.keep_polling(steps) || pending || again {
                    self.engine.kick();
                }
                self.check_later(io);
            }
            // The connection is being ended. What was wrong the engine has said, but not whose it was.
            Err(e) if errno::breaks_protocol(e) && log::allowed() => pr_warn!(
                "queue {}: {} dropped: it breaks the protocol ({})\n",
                self.engine.id(),
                self.peer,
                e.to_errno()
            ),
            Err(_) => {}
        }
    }
}
