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
    send::Sender,
};
use crate::{
    block::Request,
    net::{
        address::Address,
        callbacks::{
            Callbacks,
            ConnectionState, //
        },
        errno,
        gate::Gate,
        mptcp::Socket,
        subflows::Fallback, //
    },
    nvme::{
        ctrl::NvmeCtrl,
        engine::{
            EngineQueue,
            Receiver, //
        },
        request,
        status::Status,
    },
    observe::{
        queue::Observed,
        trace, //
    },
    work::Worker,
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

mod io;

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
        self.stop_in(&mut self.state.lock());
    }

    fn stop_in(&self, state: &mut State) {
        self.engine.release_cpu();
        self.live.store(false, Release);
        match core::mem::replace(state, State::Allocated) {
            State::Running { socket, callbacks } => {
                // First, or a target that sends all the time would keep the work from letting go of the
                // socket lock, which all that follows needs.
                self.engine.stop_receiving();
                self.sender.lock().set_socket(None);
                socket.shutdown();
                drop(callbacks);
                self.engine.stop_work();
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
        self.release_in(&mut self.state.lock());
    }

    fn release_in(&self, state: &mut State) {
        if !matches!(*state, State::Running { .. }) {
            // A request that passed `is_live()` just before the stop may have queued it again.
            self.engine.stop_work();
            self.observed.gone();
            *state = State::Allocated;
            self.sender.lock().set_closed(&self.engine);
            self.life.enter(Phase::Unused);
        }
    }

    /// `Running` -> `Allocated` because of a request that has timed out: nothing uses the request after this, and
    /// nothing of it arrives later. Does nothing and returns false if it has been answered meanwhile, since whoever
    /// waited for that may be about to connect the queue again.
    fn end_for(&self, rq: &Request<'_>) -> bool {
        let mut state = self.state.lock();
        let outstanding = rq.is_in_flight();
        if outstanding {
            self.stop_in(&mut state);
            self.release_in(&mut state);
        }
        outstanding
    }

    /// Whether it is live, and its connection has not ended since, which nobody minds while the controller is
    /// connecting. Sleeps.
    pub(crate) fn is_sound(&self) -> bool {
        let state = self.state.lock();
        let established = state
            .socket()
            .is_some_and(|socket| socket.state() == ConnectionState::Established);
        self.is_live() && established && self.engine.receives()
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
}

/// The timeout of a request that is completed at once, and its queue's connection ended before. If it is answered just
/// now it may be on its way again already, and is left alone.
pub(crate) fn complete_timed_out(queue: &Queue, rq: Request<'_>) {
    if queue.end_for(&rq) {
        request::complete_timed_out(rq);
    }
}
