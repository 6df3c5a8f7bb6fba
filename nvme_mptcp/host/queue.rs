// SPDX-License-Identifier: GPL-2.0

//! One queue: an MPTCP connection, the engine's receive state machine, and the sender.
//!
//! # Life
//!
//! `Allocated` -> `Connected` (socket up, ICReq/ICResp done) -> `Running` (callbacks installed;
//! live once the Connect command has succeeded) -> `Stopped` (no callback, no work any more) ->
//! `Allocated`. Every transition consumes the state before it, and with it what that owned.
//!
//! # Locks
//!
//! `state` is taken first, then `sender` or `reception` (never both), then the socket's own lock.
//! `sender` is only tried where waiting could invert this: in softirq-like paths nothing is taken.

use super::{
    connection::ConnectionParams,
    observed::{
        Life,
        Phase, //
    },
    send::{
        Sender,
        Sent, //
    },
};
use crate::{
    net::{
        address::Address,
        callbacks::{
            Callbacks,
            ConnectionState,
            SocketEvents, //
        },
        errno,
        gate::Gate,
        mptcp::Socket,
        subflows::Fallback, //
    },
    nvme::{
        ctrl::{
            Cause,
            NvmeCtrl,
            State as CtrlState, //
        },
        engine::{
            self,
            EngineQueue,
            Receiver, //
        },
        status::Status,
    },
    observe::{
        queue::Observed,
        trace, //
    },
    work::{
        in_reclaim,
        this_cpu,
        Deadline,
        Worker, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        new_mutex,
        Arc,
        Mutex, //
    },
};

/// How long the queue's work may keep a CPU before others get their turn.
const WORK_BUDGET_MS: u32 = 1;

/// With so many requests in flight a further one is sent by the queue's work, together with those
/// that come until it runs: the time that it waits is hidden by the others.
const INLINE_DEPTH: i32 = 4;

/// The connection of a queue, by what has been done with it.
enum State {
    /// There is none.
    Allocated,
    /// The handshake is done.
    Connected(Receiver),
    /// Data flows, and the queue's work runs. The receiver is where the work finds it.
    Running {
        socket: Arc<Socket>,
        /// Uninstalled by its drop.
        callbacks: Callbacks<Queue>,
    },
    /// Ended, but requests that were sent on it may still wait to be cancelled.
    Stopped(Receiver),
}

impl State {
    fn socket(&self) -> Option<&Arc<Socket>> {
        match self {
            Self::Allocated => None,
            Self::Connected(receiver) | Self::Stopped(receiver) => Some(receiver.socket()),
            Self::Running { socket, .. } => Some(socket),
        }
    }
}

/// One queue of a controller.
#[pin_data]
pub(crate) struct Queue {
    id: u16,
    engine: EngineQueue,
    /// Commands may be sent: the Connect command has succeeded.
    live: Atomic<bool>,
    /// Whether more may be sent now.
    gate: Gate,
    /// Requests have completed since somebody has polled.
    completed: Atomic<bool>,
    /// The task that runs the queue's work.
    worker: Worker,
    /// What the worker itself did on the socket has brought more to receive.
    again: Atomic<bool>,
    /// Requests that have been submitted and not answered on this connection, roughly: of those that
    /// fail to be sent none is answered.
    in_flight: Atomic<i32>,
    pub(super) life: Life,
    #[pin]
    pub(super) observed: Observed,
    #[pin]
    state: Mutex<State>,
    #[pin]
    sender: Mutex<Sender>,
    /// Held while receiving.
    #[pin]
    reception: Mutex<Option<Receiver>>,
}

impl Queue {
    /// The queue `id` without a connection.
    pub(crate) fn new(id: u16, engine: EngineQueue) -> Result<Arc<Self>> {
        let sender = Sender::new()?;
        Arc::pin_init(
            pin_init!(Self {
                id,
                engine,
                live: Atomic::new(false),
                gate: Gate::new(),
                completed: Atomic::new(false),
                worker: Worker::none(),
                again: Atomic::new(false),
                in_flight: Atomic::new(0),
                life: Life::new(),
                observed <- Observed::new(),
                state <- new_mutex!(State::Allocated, "nvme_mptcp_queue"),
                sender <- new_mutex!(sender, "nvme_mptcp_send"),
                reception <- new_mutex!(None, "nvme_mptcp_receive"),
            }),
            GFP_KERNEL,
        )
    }

    /// The controller.
    pub(crate) fn ctrl(&self) -> &NvmeCtrl {
        self.engine.ctrl()
    }

    /// Its number.
    pub(crate) fn id(&self) -> u16 {
        self.id
    }

    /// The CPU that its work runs on, -1 if on any.
    pub(crate) fn cpu(&self) -> c_int {
        self.engine.cpu()
    }

    /// Whether commands may be sent. Any context.
    pub(crate) fn is_live(&self) -> bool {
        self.live.load(Acquire)
    }

    /// `Allocated` -> `Connected`: connects, and shakes hands.
    ///
    /// # Errors
    ///
    /// Each with a message; the queue is `Allocated` then.
    pub(crate) fn connect(&self, params: &ConnectionParams<'_>) -> Result {
        let mut state = self.state.lock();
        self.life.enter(Phase::Connecting);
        let receiver = params
            .open(self.id, &self.engine)
            .inspect_err(|_| self.life.enter(Phase::Unused))?;
        self.observed.connected(receiver.socket().clone());
        self.life.enter(Phase::Connected);
        *state = State::Connected(receiver);
        Ok(())
    }

    /// `Connected` -> `Running`, and then live, by the Connect command of this queue.
    pub(crate) fn start(self: &Arc<Self>) -> Result<(), Status> {
        {
            let mut state = self.state.lock();
            let mut receiver = match core::mem::replace(&mut *state, State::Allocated) {
                State::Connected(receiver) => receiver,
                other => {
                    *state = other;
                    return Err(errno::not_connected().into());
                }
            };
            let socket = receiver.socket().clone();
            receiver.start();
            *self.reception.lock() = Some(receiver);
            self.gate.reset();
            self.in_flight.store(0, Relaxed);
            self.sender.lock().set_socket(Some(socket.clone()));
            if self.id != 0 {
                self.engine.assign_cpu();
            }
            *state = State::Running {
                callbacks: Callbacks::install(socket.clone(), self.clone()),
                socket,
            };
        }

        let connected = if self.id == 0 {
            self.ctrl().connect_admin_queue()
        } else {
            self.ctrl().connect_io_queue(self.id)
        };
        match connected {
            Ok(()) => {
                // A timeout may have stopped the queue just when the answer came.
                let state = self.state.lock();
                if !matches!(*state, State::Running { .. }) {
                    return Err(errno::not_connected().into());
                }
                self.live.store(true, Release);
                self.life.enter(Phase::Live);
                self.trace_connected();
                Ok(())
            }
            Err(status) => {
                self.stop();
                dev_err!(
                    self.ctrl().device(),
                    "queue {}: Connect command failed: {}\n",
                    self.id,
                    status.raw()
                );
                Err(status)
            }
        }
    }

    fn trace_connected(&self) {
        trace::queue_connected(|| {
            let (token, fallback) = self
                .observed
                .with(|socket| socket.connection())
                .map_or((0, Fallback::None), |c| (c.token, c.fallback));
            (self.ctrl().instance(), self.id, token, fallback as u32)
        });
    }

    /// `Running` -> `Stopped`: when this returns nothing is sent or received any more.
    ///
    /// Does nothing in another state. MPTCP has copied what was sent, so no request's pages can be
    /// in flight after this, whatever the subflows still transmit.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        self.engine.release_cpu();
        self.live.store(false, Release);
        match core::mem::replace(&mut *state, State::Allocated) {
            State::Running { socket, callbacks } => {
                socket.shutdown();
                drop(callbacks);
                self.engine.stop_receiving();
                self.engine.stop_work();
                self.sender.lock().set_socket(None);
                if let Some(receiver) = self.reception.lock().take() {
                    *state = State::Stopped(receiver);
                }
                self.life.enter(Phase::Stopped);
                trace::queue_stopped(|| {
                    (self.ctrl().instance(), self.id, self.ctrl().stop_reason())
                });
            }
            other => *state = other,
        }
    }

    /// `Connected` or `Stopped` -> `Allocated`: closes the socket. Does nothing if there is none.
    pub(crate) fn release(&self) {
        let mut state = self.state.lock();
        if !matches!(*state, State::Running { .. }) {
            // A request that passed `is_live()` just before the stop may have queued it again.
            self.engine.stop_work();
            self.observed.gone();
            *state = State::Allocated;
            self.sender.lock().set_closed(&self.engine);
            self.life.enter(Phase::Unused);
        }
    }

    /// Whether there is a connection, and it runs over plain TCP, thus over one path.
    pub(crate) fn fell_back(&self) -> bool {
        self.state
            .lock()
            .socket()
            .is_some_and(|socket| !socket.speaks_mptcp())
    }

    /// The local address of the connection, if there is one.
    pub(crate) fn local_address(&self) -> Option<Address> {
        self.state.lock().socket()?.local_address().ok()
    }

    /// Queues a started request; sends at once if nothing else is waiting, few are in flight and this
    /// is the queue's CPU, so that a lone command waits for no work item.
    ///
    /// If more requests follow it only queues: the last one, or `commit()`, sends them all in one.
    pub(crate) fn submit(&self, rq: crate::block::Request<'_>, last: bool) {
        let few = self.in_flight.fetch_add(1, Relaxed) < INLINE_DEPTH;
        let idle = few && !self.engine.pending();
        self.engine.push(rq);
        if !last {
            return;
        }
        // The path manager allocates memory under the socket's lock. If that is what made the task
        // write back to us, it must not wait for the lock that it holds.
        if idle && self.engine.runs_on(this_cpu()) && !in_reclaim() {
            if let Some(mut sender) = self.sender.try_lock() {
                while matches!(self.send(&mut sender), Ok(Sent::All)) {}
                if sender.is_stuck() {
                    self.engine.kick();
                }
            }
        }
        self.commit();
    }

    /// Has what waits sent, by the queue's work. Any context.
    pub(crate) fn commit(&self) {
        if self.engine.pending() && !self.gate.is_closed() {
            self.engine.kick();
        }
    }

    fn send(&self, sender: &mut Sender) -> Result<Sent> {
        sender
            .send_batch(&self.engine, &self.gate, &self.observed.counters)
            .inspect_err(|e| {
                dev_err!(
                    self.ctrl().device(),
                    "queue {}: send failed: {}\n",
                    self.id,
                    e.to_errno()
                );
                self.ctrl().error_recovery(Cause::Send);
            })
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

        loop {
            let mut busy = false;
            self.again.store(false, Relaxed);
            let mut sender_is_ours = false;

            // If somebody else is sending they take care of what waits.
            if let Some(mut sender) = self.sender.try_lock() {
                match self.send(&mut sender) {
                    Ok(sent) => busy = sent == Sent::All,
                    // Error recovery cancels the rest. But if the controller is connecting it does not
                    // run, and somebody may wait for what is left: it fails as well.
                    Err(_) if self.ctrl().state() != CtrlState::Live && self.engine.pending() => {
                        break
                    }
                    Err(_) => return,
                }
                sender_is_ours = true;
                if sender.is_stuck() && self.engine.receives() {
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

/// The timeout of a request that is completed at once: stops the queue first, so that nothing uses
/// the request any more, and closes its connection, so that nothing of the request arrives later.
pub(crate) fn complete_timed_out(queue: &Queue, rq: crate::block::Request<'_>) {
    queue.stop();
    queue.release();
    engine::complete_timed_out(rq);
}
