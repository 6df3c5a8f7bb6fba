// SPDX-License-Identifier: GPL-2.0

//! The gather send of the target: as many answers as fit, in one send.
//!
//! An MPTCP socket copies what it sends, and locks itself and pushes to its subflows at every call.
//! So the unit of sending is a batch, not a page: responses, R2Ts, and C2HData PDUs with their
//! data, digests and responses.
//!
//! What did not go out is put back in its old order, so the rest of an answer that was cut is
//! always what is sent next. An answer that is out completely is the engine's again: its command
//! may be used anew at once.

use crate::{
    net::{
        gate::Gate,
        gather::Vector,
        ledger::{
            Fate,
            Ledger, //
        },
        mptcp::Socket, //
    },
    nvmet::{
        answer::Answer,
        engine::{
            Connection,
            Engine, //
        }, //
    },
    observe::{
        counters::{
            Counters,
            SentBatch, //
        },
        trace, //
    },
};
use kernel::prelude::*;

/// Answers in a batch. A vector has room for about twice as many small reads; but what is not sent
/// is put back one by one, so more would be walked over in vain when the socket is almost full.
const ANSWERS: usize = 64;

/// The memory of one batch, so that no send allocates.
#[pin_data]
pub(crate) struct Batch {
    /// Bytes sent so far.
    sent: u64,
    vector: Vector,
    ledger: Ledger<Answer, ANSWERS>,
}

/// What came of an attempt to send.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Sent {
    /// Nothing was waiting.
    Nothing,
    /// A batch of so many answers is out; there may be more.
    All(usize),
    /// The connection has enough for now; the gate tells when it takes more.
    NoRoom,
}

impl Batch {
    /// An empty batch, made in place because of its size.
    pub(crate) fn new() -> Result<KBox<Self>> {
        KBox::init(
            init!(Self {
                sent: 0,
                vector <- Vector::init(),
                ledger: Ledger::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// The number of bytes sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends one batch. For the io work only. Sleeps for the socket lock only.
    ///
    /// # Errors
    ///
    /// When the connection is broken. Everything has been put back.
    pub(crate) fn send<C: Connection>(
        &mut self,
        engine: &Engine<C>,
        socket: &Socket,
        gate: &Gate,
        counters: &Counters,
    ) -> Result<Sent> {
        let Self {
            sent: total,
            vector,
            ledger,
        } = self;

        if !engine.has_answers() {
            return Ok(Sent::Nothing);
        }
        match gate.room(socket) {
            0 => return Ok(Sent::NoRoom),
            room => vector.limit(room),
        }
        Self::fill(engine, vector, ledger);
        if ledger.is_empty() {
            return Ok(Sent::Nothing);
        }
        let (answers, bytes) = (ledger.len(), ledger.bytes());
        let mut count = SentBatch {
            pdus: answers,
            done: 0,
            segments: vector.len(),
            bytes,
            sent: 0,
        };
        let sent = socket.send(vector, ledger.is_cut() || engine.has_answers());
        vector.clear();

        ledger.settle(*sent.as_ref().unwrap_or(&0), |answer, fate| match fate {
            Fate::Done | Fate::Next => {
                count.done = count.done.saturating_add(1);
                answer.sent();
            }
            Fate::Partial(bytes) => answer.put_back(bytes),
            Fate::Unsent => answer.put_back(0),
        });
        count.sent = *sent.as_ref().unwrap_or(&0);
        counters.sent(&count);
        trace::batch_sent(|| {
            let sent = sent.as_ref().map_or_else(|e| e.to_errno(), |n| *n as i32);
            let (answers, segments) = (count.pdus as u32, count.segments as u32);
            (
                engine.id(),
                engine.qid(),
                answers,
                segments,
                bytes as u32,
                sent,
            )
        });
        let sent = sent?;
        *total = total.saturating_add(sent as u64);
        Ok(if gate.sent(socket, sent, bytes) {
            Sent::All(answers)
        } else {
            Sent::NoRoom
        })
    }

    /// Describes waiting answers until the batch is full.
    fn fill<C: Connection>(
        engine: &Engine<C>,
        vector: &mut Vector,
        ledger: &mut Ledger<Answer, ANSWERS>,
    ) {
        while !ledger.is_full() {
            let Some(answer) = engine.pop() else {
                break;
            };
            let part = answer.describe(vector);
            if part.bytes == 0 {
                answer.put_back(0);
                break;
            }
            // There was room, and nobody else pushes.
            let _ = ledger.push(answer, part.bytes, part.left, false);
        }
    }
}
