// SPDX-License-Identifier: GPL-2.0

//! The gather send of the host: as many queued PDUs as fit, in one send.
//!
//! An MPTCP socket copies what it sends, and locks itself and pushes to its subflows at every call.
//! So the unit of sending is a batch, not a page: command PDUs with their in-capsule data, and
//! H2CData PDUs with theirs, digests included.
//!
//! What did not go out is put back to the head of the send list in its old order, so the rest of a
//! PDU that was cut is always what is sent next. A request whose PDUs are all out is not looked at
//! any more: its response may already have completed it.

use crate::{
    net::{
        gate::Gate,
        gather::Vector,
        ledger::{
            Fate,
            Ledger, //
        },
        mptcp::Socket,
    },
    nvme::{
        engine::EngineQueue,
        request::SendRequest, //
    },
    observe::{
        counters::{
            Counters,
            SentBatch, //
        },
        trace, //
    },
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// PDUs of a batch. More than this many small commands rarely wait at a time, and the ledger of
/// 64 is one and a half KiB.
const PDUS: usize = 64;

/// What the send lock of a queue protects.
pub(crate) struct Sender {
    /// The connection, from when it is up until the queue is stopped.
    socket: Option<Arc<Socket>>,
    /// There was one, and it is closed.
    closed: bool,
    /// What sending on it has failed with: nothing more may follow what is out, perhaps a part of a PDU.
    broken: Option<Error>,
    batch: KBox<Batch>,
}

/// The memory of one batch, so that no send allocates.
#[pin_data]
struct Batch {
    vector: Vector,
    ledger: Ledger<SendRequest, PDUS>,
}

/// What came of an attempt to send.
#[derive(PartialEq)]
pub(crate) enum Sent {
    /// Nothing was waiting.
    Nothing,
    /// All of a batch is out; there may be more.
    All,
    /// The connection has enough for now; the gate tells when it takes more.
    NoRoom,
}

impl Sender {
    /// A sender without a connection.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            socket: None,
            closed: false,
            broken: None,
            batch: KBox::init(
                init!(Batch {
                    vector <- Vector::init(),
                    ledger: Ledger::new(),
                }),
                GFP_KERNEL,
            )?,
        })
    }

    /// Sets the connection to send on, or takes it away.
    pub(crate) fn set_socket(&mut self, socket: Option<Arc<Socket>>) {
        self.socket = socket;
        self.closed = false;
        self.broken = None;
    }

    /// The connection is closed: what is given to the queue from now on fails. What waits in it
    /// already is forgotten, because whoever closes a connection cancels the requests that are
    /// started, or they time out. For when the queue's work is stopped.
    pub(crate) fn set_closed(&mut self, queue: &EngineQueue) {
        if !self.closed {
            queue.forget();
        }
        self.closed = true;
        self.refuse_all(queue);
    }

    /// What sending on this connection has failed with, if it has.
    pub(crate) fn broken(&self) -> Option<Error> {
        self.broken
    }

    /// Fails what waits in the queue.
    pub(crate) fn refuse_all(&self, queue: &EngineQueue) {
        while let Some(req) = queue.pop() {
            req.refuse();
        }
    }

    /// Whether MPTCP waits for memory, and for somebody who has it try again.
    pub(crate) fn is_stuck(&self) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.is_stuck())
    }

    /// Has the socket try again after a while. Sleeps.
    pub(crate) fn retry(&self) {
        if let Some(socket) = &self.socket {
            socket.retry();
        }
    }

    /// Sends one batch. Sleeps for the socket lock only.
    ///
    /// # Errors
    ///
    /// When the connection is broken, or the peer asked for data that is not there. `broken` is told
    /// first, and says whether the requests of the batch are to fail; otherwise somebody cancels them.
    /// Nothing may be sent on this connection then ([`broken()`](Self::broken)).
    pub(crate) fn send_batch(
        &mut self,
        queue: &EngineQueue,
        gate: &Gate,
        counters: &Counters,
        broken: impl Fn(Error) -> bool,
    ) -> Result<Sent> {
        let sent = self.try_batch(queue, gate, counters, broken);
        self.broken = sent.as_ref().err().copied();
        sent
    }

    fn try_batch(
        &mut self,
        queue: &EngineQueue,
        gate: &Gate,
        counters: &Counters,
        broken: impl Fn(Error) -> bool,
    ) -> Result<Sent> {
        let Some(socket) = &self.socket else {
            // Authentication goes on after a command of it has timed out. While a connection is only
            // stopped its requests wait for it to be closed, so that nothing of them arrives later.
            if self.closed {
                self.refuse_all(queue);
            }
            return Ok(Sent::Nothing);
        };
        if !queue.pending() {
            return Ok(Sent::Nothing);
        }
        let Batch { vector, ledger } = &mut *self.batch;

        match gate.room(socket) {
            0 => return Ok(Sent::NoRoom),
            room => vector.limit(room),
        }
        let described = Self::fill(queue, vector, ledger);
        if ledger.is_empty() {
            return described.map(|()| Sent::Nothing).inspect_err(|e| {
                broken(*e);
            });
        }
        let mut count = SentBatch {
            pdus: ledger.len(),
            done: 0,
            segments: vector.len(),
            bytes: ledger.bytes(),
            sent: 0,
        };
        let sent = described.and_then(|()| socket.send(vector, queue.pending()));
        vector.clear();

        let all = ledger.bytes();
        let fails = sent.as_ref().is_err_and(|e| broken(*e));
        let mut settled = Ok(());
        ledger.settle(*sent.as_ref().unwrap_or(&0), |req, fate| {
            if matches!(fate, Fate::Done | Fate::Next) {
                count.done = count.done.saturating_add(1);
            }
            let put = match fate {
                Fate::Done => Ok(()),
                Fate::Next => queue.requeue_next_pdu(req),
                _ if sent.is_err() => {
                    if fails {
                        req.fail();
                    }
                    Ok(())
                }
                Fate::Partial(bytes) => queue.put_back(req, bytes),
                Fate::Unsent => queue.put_back(req, 0),
            };
            settled = settled.and(put);
        });
        count.sent = *sent.as_ref().unwrap_or(&0);
        counters.sent(&count);
        trace::batch_sent(|| {
            let sent = sent.as_ref().map_or_else(|e| e.to_errno(), |n| *n as i32);
            let (requests, segments) = (count.pdus as u32, count.segments as u32);
            (
                queue.ctrl().instance(),
                queue.id(),
                requests,
                segments,
                all as u32,
                sent,
            )
        });
        settled.inspect_err(|e| {
            broken(*e);
        })?;
        Ok(if gate.sent(socket, sent?, all) {
            Sent::All
        } else {
            Sent::NoRoom
        })
    }

    /// Describes waiting PDUs until the batch is full.
    ///
    /// # Errors
    ///
    /// When a request cannot be described. It has been failed then, and the batch must not be sent,
    /// because the connection is going down.
    fn fill(
        queue: &EngineQueue,
        vector: &mut Vector,
        ledger: &mut Ledger<SendRequest, PDUS>,
    ) -> Result {
        while !ledger.is_full() {
            let Some(req) = queue.pop() else {
                break;
            };
            match req.describe(vector) {
                Ok(pdu) if pdu.bytes == 0 => {
                    queue.put_back(req, 0)?;
                    break;
                }
                Ok(pdu) => {
                    // There was room, and nobody else pushes.
                    if !ledger.push(req, pdu.bytes, pdu.left, pdu.more) {
                        req.fail();
                        return Err(EINVAL);
                    }
                }
                Err(e) => {
                    req.fail();
                    return Err(e);
                }
            }
        }
        Ok(())
    }
}
