// SPDX-License-Identifier: GPL-2.0

//! Data flow of a running queue: who sends and receives, when, and in which context.

use super::Queue;
use crate::{
    block::Request,
    net::{
        callbacks::{
            ConnectionState,
            SocketEvents, //
        },
        reclaim::NoReclaim, //
    },
    nvme::ctrl::{
        Cause,
        State as CtrlState, //
    },
    observe::trace,
    send::{
        Sender,
        Sent, //
    },
    work::{
        full_barrier,
        in_reclaim,
        this_cpu,
        Deadline, //
    },
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Relaxed,
        Release, //
    }, //
};

/// How long the queue's work may keep a CPU before others get their turn.
const WORK_BUDGET_MS: u32 = 1;

/// With so many requests in flight a further one is sent by the queue's work, together with those
/// that come until it runs: the time that it waits is hidden by the others.
const INLINE_DEPTH: i32 = 4;

/// So many batches a task sends that has submitted a request: its own, and what others may have given to the queue
/// meanwhile. The rest is for the queue's work, which has a budget.
const INLINE_BATCHES: usize = 2;

impl Queue {
    /// Queues a started request; sends at once if nothing else is waiting, few are in flight and this
    /// is the queue's CPU, so that a lone command waits for no work item.
    ///
    /// If more requests follow it only queues: the last one, or `commit()`, sends them all in one.
    pub(crate) fn submit(&self, rq: Request<'_>, last: bool) {
        let few = self.in_flight.fetch_add(1, Relaxed) < INLINE_DEPTH;
        let idle = few && !self.engine.pending();
        self.engine.push(rq);
        if !last {
            return;
        }
        let mut waits = false;
        // The path manager allocates memory under the socket's lock. If that is what made the task
        // write back to us, it must not wait for the lock that it holds.
        if idle && self.engine.runs_on(this_cpu()) && !in_reclaim() {
            if let Some(mut sender) = self.sender.try_lock() {
                let _scope = NoReclaim::enter();
                for _ in 0..INLINE_BATCHES {
                    if !matches!(self.send(&mut sender), Ok(Sent::All)) {
                        break;
                    }
                }
                waits = self.waits_for_memory(&sender);
            }
            // Who has given something to the queue since, and found the sender locked, relies on us: the
            // lock must be seen to be free before we look whether something waits.
            full_barrier();
        }
        if waits {
            // Not before: the work must find the sender free, as it is to try again what nobody else will.
            self.engine.kick();
        } else {
            self.commit();
        }
    }

    /// Has what waits sent, by the queue's work. Any context.
    pub(crate) fn commit(&self) {
        if self.engine.pending() && !self.gate.is_closed() {
            self.engine.kick();
        }
    }

    fn send(&self, sender: &mut Sender) -> Result<Sent> {
        if let Some(e) = sender.broken() {
            // For a controller that has gone live nonetheless.
            self.ctrl().error_recovery(Cause::Send);
            if self.fails_at_once() {
                sender.refuse_all(&self.engine);
            }
            return Err(e);
        }
        sender.send_batch(&self.engine, &self.gate, &self.observed.counters, |e| {
            self.send_failed(e)
        })
    }

    /// Whether only time helps: nobody will tell that there is memory again.
    fn waits_for_memory(&self, sender: &Sender) -> bool {
        (self.gate.is_starved() && self.engine.pending()) || sender.is_stuck()
    }

    /// The connection cannot be used any more. Whether its requests fail at once.
    fn send_failed(&self, e: Error) -> bool {
        dev_err!(
            self.ctrl().device(),
            "queue {}: send failed: {}\n",
            self.id,
            e.to_errno()
        );
        // What comes from now on waits, or takes another path. If it were sent, and failed, again and
        // again, its retries would be over before error recovery has begun. Before that is asked for: if the
        // controller is just going live it is too early for it, and who makes it live looks at this next.
        self.live.store(false, Release);
        self.ctrl().error_recovery(Cause::Send);
        self.fails_at_once()
    }

    /// Whether nobody cancels the requests of a connection that is broken. Error recovery and a reset do,
    /// once nothing of them can arrive any more; but they may be waiting for an admin command before.
    fn fails_at_once(&self) -> bool {
        self.id == 0 || !matches!(self.ctrl().state(), CtrlState::Live | CtrlState::Resetting)
    }

    /// Receives what is there. Returns the bytes taken.
    fn receive(&self) -> Result<usize> {
        let mut reception = self.reception.lock();
        let Some(receiver) = &mut *reception else {
            return Ok(0);
        };
        let (bytes, completed) = receiver.receive()?;
        if bytes > 0 {
            self.observed.counters.received(bytes);
            trace::received(|| (self.ctrl().instance(), self.id, bytes as u32, completed));
        }
        if completed > 0 {
            self.completed.store(true, Relaxed);
            self.in_flight.fetch_sub(completed as i32, Relaxed);
        }
        Ok(bytes)
    }

    /// The queue's work: sends and receives in turns, within a budget of time.
    pub(crate) fn io_work(&self) {
        let deadline = Deadline::in_ms(WORK_BUDGET_MS);
        let _working = self.worker.enter();
        let _scope = NoReclaim::enter();

        loop {
            let mut busy = false;
            self.again.store(false, Relaxed);
            let mut sender_is_ours = false;

            // If somebody else is sending they take care of what waits.
            if let Some(mut sender) = self.sender.try_lock() {
                match self.send(&mut sender) {
                    Ok(sent) => busy = sent == Sent::All,
                    // What is left fails as well, in the next run.
                    Err(_) if self.fails_at_once() && self.engine.pending() => break,
                    Err(_) => return,
                }
                sender_is_ours = true;
                if self.waits_for_memory(&sender) && self.engine.receives() {
                    sender.retry();
                    busy = true;
                }
            }
            match self.receive() {
                Ok(bytes) => busy |= bytes > 0,
                Err(_) => return,
            }
            busy |= self.again.load(Relaxed);
            busy |= sender_is_ours && self.engine.pending() && !self.gate.is_closed();

            if !busy || !self.engine.receives() {
                return;
            }
            if deadline.passed() {
                break;
            }
        }
        self.engine.kick();
    }

    /// Whether requests have completed since this was last asked.
    ///
    /// A poller must not sleep, because block devices are polled under RCU, and an MPTCP socket
    /// cannot be read without: so the queue's work receives, and the poller spins until it has.
    pub(crate) fn poll(&self) -> bool {
        self.completed.load(Relaxed) && self.completed.xchg(false, Relaxed)
    }
}

impl SocketEvents for Queue {
    fn data_ready(&self, _state: ConnectionState) {
        if !self.engine.receives() {
            return;
        }
        // The work itself made room for it, and will look again.
        if self.worker.is_current() {
            self.again.store(true, Relaxed);
        } else {
            self.engine.kick();
        }
    }

    fn write_space(&self, acked: u64) {
        if self.gate.opens(acked) {
            self.engine.kick();
        }
    }

    fn state_change(&self, state: ConnectionState) {
        match state {
            ConnectionState::Closed | ConnectionState::Finishing => {
                self.ctrl().error_recovery(Cause::Socket);
            }
            ConnectionState::Established | ConnectionState::Listening => {}
            ConnectionState::Other(raw) => dev_info!(
                self.ctrl().device(),
                "queue {}: socket state {}\n",
                self.id,
                raw
            ),
        }
    }
}
