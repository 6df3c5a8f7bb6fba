// SPDX-License-Identifier: GPL-2.0

//! A connection: one queue of a host's controller.
//!
//! # Life
//!
//! 1. [`Queue::start`] makes an accepted socket a queue: it is in the list of all queues, it owns
//!    itself through its engine, and the socket calls it. It is **connecting** until the engine has
//!    answered the ICReq, then **live**.
//! 2. The first of these asks for its release: the connection's end by the host or the network, or
//!    [`Queue::end`] because of a port, a controller or the module. It is **released** from then
//!    on; the engine sees to it that this happens once.
//! 3. A queue that has not connected to a controller in time, or whose host stops in the middle, is
//!    ended by [`Queue::check`], so that strangers cannot keep what it costs.
//! 4. [`Queue::release`], on nvmet's workqueue, consumes the queue's reference on itself: no
//!    callbacks, no io work, all commands done, out of the list. The last reference closes the
//!    socket and frees the rest.

use crate::{
    net::{
        address::Address,
        callbacks::{
            Callbacks,
            ConnectionState,
            SocketEvents, //
        },
        gate::Gate,
        log,
        mptcp::Socket, //
    },
    nvmet::{
        engine::{
            Connection,
            ControllerId,
            Engine,
            Stop, //
        },
        params, //
    },
    observe::{
        debugfs::Directory,
        queue::Observed,
        trace, //
    },
    observed,
    port::Port,
    send::{
        Batch,
        Sent, //
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
};

/// PDUs taken from the socket before what they caused is sent. One send for many answers is what
/// makes MPTCP cheap.
const RECEIVE_BUDGET: c_int = 32;

/// PDUs taken and answers sent before other work of the CPU has its turn.
const WORK_BUDGET: c_int = 64;

/// A connection. See the [module](self) for its life.
#[pin_data]
pub(crate) struct Queue {
    pub(super) engine: Engine<Queue>,
    socket: Arc<Socket>,
    port: Arc<Port>,
    /// Whether more may be sent now.
    gate: Gate,
    local: Address,
    peer: Address,
    /// The number of its controller in the subsystem; 0 until it is connected.
    pub(super) controller_number: Atomic<u32>,
    /// Who has ended it (`Stop`).
    ends_by: Atomic<u32>,
    #[pin]
    pub(super) observed: Observed,
    /// What can be seen of it, from start to release.
    #[pin]
    debugfs: Mutex<Option<Directory<Queue>>>,
    /// Installed from start to release.
    #[pin]
    callbacks: Mutex<Option<Callbacks<Queue>>>,
    /// Held by the io work.
    #[pin]
    io: Mutex<Io>,
}

/// What the io work of a connection has.
struct Io {
    batch: KBox<Batch>,
    /// What has moved when the host was last looked at.
    seen: u64,
}

impl Queue {
    /// Serves a connection that `port` has accepted from `peer`. May sleep.
    pub(crate) fn start(port: Arc<Port>, socket: Socket, peer: Address) -> Result {
        let local = socket.local_address()?;
        // What the network has not taken when a connection ends must not reach the host later.
        socket.set_no_linger();
        Self::set_priority(&socket)?;
        match socket.received_tos() {
            0 => {}
            tos => socket.set_tos(tos)?,
        }

        let socket = Arc::new(socket, GFP_KERNEL)?;
        let queue = Arc::pin_init(
            try_pin_init!(Self {
                engine: Engine::new(port.config(), socket.clone())?,
                controller_number: Atomic::new(0),
                ends_by: Atomic::new(Stop::Closed as u32),
                observed <- Observed::new(),
                debugfs <- new_mutex!(None),
                callbacks <- new_mutex!(None),
                io <- new_mutex!(Io { batch: Batch::new()?, seen: 0 }),
                gate: Gate::new(),
                socket,
                port,
                local,
                peer,
            }),
            GFP_KERNEL,
        )?;
        // Once it is in the list, or has callbacks, it may be released at any moment. The release
        // waits for this lock, so that nothing is done here to a queue that is stopped.
        let mut callbacks = queue.callbacks.lock();
        Engine::start(queue.clone());
        queue.observed.connected(queue.socket.clone());
        // Without debugfs there is less to see, that is all.
        *queue.debugfs.lock() = observed::publish(&queue).ok();
        if let Err(e) = queue.port.queues().add(queue.clone()) {
            queue.engine.release();
            return Err(e);
        }
        if let Some(seconds) = params::connect_timeout() {
            queue.engine.check_in(seconds);
        }
        *callbacks = Some(Callbacks::install(queue.socket.clone(), queue.clone()));
        // What happened before the callbacks were there.
        if queue.socket.state() == ConnectionState::Established {
            queue.engine.kick();
        } else {
            queue.engine.release();
        }
        pr_debug!(
            "queue {}: {} connected by {}\n",
            queue.engine.id(),
            queue.peer,
            if queue.socket.speaks_mptcp() {
                "MPTCP"
            } else {
                "TCP"
            }
        );
        Ok(())
    }

    /// Applies the `so_priority` parameter. May sleep.
    pub(crate) fn set_priority(socket: &Socket) -> Result {
        match params::so_priority() {
            priority if priority > 0 => socket.set_priority(priority),
            _ => Ok(()),
        }
    }

    /// Ends the connection; it is released soon, after what it is just doing. Any context.
    fn end(&self, by: Stop) {
        // Who comes first.
        if !self.engine.is_released() {
            self.ends_by.store(by as u32, Relaxed);
        }
        self.engine.release();
    }

    /// For tracing: its own number, those of its controller and in it.
    fn numbers(&self) -> (i32, u16, u16) {
        let controller = self.controller_number.load(Relaxed);
        (self.engine.id(), controller as u16, self.engine.qid())
    }

    /// The port that has accepted the connection.
    pub(crate) fn port(&self) -> &Port {
        &self.port
    }

    /// Whether this is a connection of `port`.
    pub(crate) fn is_of(&self, port: &Arc<Port>) -> bool {
        Arc::ptr_eq(&self.port, port)
    }

    /// All connections of the transport.
    pub(crate) fn queues(&self) -> &Queues {
        self.port.queues()
    }

    /// The controller that it is a queue of, once it is connected.
    pub(crate) fn controller(&self) -> Option<ControllerId> {
        self.engine.controller()
    }

    /// Whether it is the admin queue of its controller, or connecting.
    pub(crate) fn is_admin(&self) -> bool {
        self.engine.is_admin()
    }

    /// The host's address.
    pub(crate) fn peer(&self) -> Address {
        self.peer
    }

    /// Our address, by which the host has found us.
    pub(crate) fn local_address(&self) -> Address {
        self.local
    }

    /// Allocates the commands of the queue, when it is connected to its controller. May sleep.
    pub(crate) fn allocate_commands(&self) -> Result {
        self.engine.install()?;
        self.controller_number
            .store(self.engine.controller_number().into(), Relaxed);
        trace::queue_connected(|| {
            let connection = self.socket.connection();
            let (id, cntlid, qid) = self.numbers();
            (
                id,
                cntlid,
                qid,
                connection.token,
                connection.fallback as u32,
            )
        });
        // It has connected in time.
        self.engine.check_not();
        Ok(())
    }

    /// Changes when a byte is received, sent, or acknowledged by the host.
    fn moved(&self, io: &Io) -> u64 {
        let acked = self.socket.progress().map_or(0, |progress| progress.acked);
        // The acknowledged bytes are a position, which wraps around.
        self.engine
            .received()
            .wrapping_add(io.batch.sent())
            .wrapping_add(acked)
    }

    /// Looks at the host again later, if it owes us something: the rest of a PDU, or room for our
    /// answers.
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
    fn overdue(&self) -> Option<&'static str> {
        let io = &mut *self.io.lock();

        if self.engine.is_released() {
            return None;
        }
        if self.controller().is_none() {
            return Some("it has not connected to a controller in time");
        }
        if self.engine.is_idle() || params::stall_timeout().is_none() {
            return None;
        }
        let stuck = io.seen == self.moved(io);
        self.check_later(io);
        stuck.then_some("it leaves a PDU unfinished, or takes no answers")
    }

    /// Receives and sends until there is nothing to do, or the budget is used up.
    ///
    /// Returns whether there is more to do.
    fn turn(&self, batch: &mut Batch, steps: &mut c_int) -> Result<bool> {
        loop {
            let before = self.engine.received();
            let mut pending = self.engine.receive(RECEIVE_BUDGET, steps)?;
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
                    return Ok(pending | self.engine.again() || !self.gate.is_closed());
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
}

impl Connection for Queue {
    fn engine(&self) -> &Engine<Self> {
        &self.engine
    }

    fn io_work(&self) {
        let io = &mut *self.io.lock();
        let mut steps = 0;
        // After an error the connection is being ended.
        if let Ok(pending) = self.turn(&mut io.batch, &mut steps) {
            let stuck = self.socket.is_stuck();
            if stuck {
                self.socket.retry();
            }
            if self.engine.keep_polling(steps) || pending || stuck {
                self.engine.kick();
            }
            self.check_later(io);
        }
    }

    fn check(&self) {
        if let Some(why) = self.overdue() {
            if log::allowed() {
                pr_warn!("queue {}: {} dropped: {why}\n", self.engine.id(), self.peer);
            }
            self.end(Stop::Overdue);
        }
    }

    fn release(this: Arc<Self>) {
        trace::queue_stopped(|| {
            let (id, cntlid, qid) = this.numbers();
            (id, cntlid, qid, this.ends_by.load(Relaxed))
        });
        pr_debug!("queue {}: {} released\n", this.engine.id(), this.peer);
        drop(this.callbacks.lock().take());
        // With its reference on us.
        let shown = this.debugfs.lock().take();
        drop(shown);
        this.observed.gone();
        this.engine.stop();
        // Not before: who counts the controllers that are ending counts those whose commands take long.
        this.queues().remove(&this);
    }
}

impl SocketEvents for Queue {
    fn data_ready(&self, _: ConnectionState) {
        self.engine.data_ready();
    }

    fn write_space(&self, acked: u64) {
        if self.gate.opens(acked) {
            self.engine.kick();
        }
    }

    fn state_change(&self, state: ConnectionState) {
        if state == ConnectionState::Closed {
            self.engine.release();
        }
    }
}

/// All connections of the transport that are not released yet.
#[pin_data]
pub(crate) struct Queues {
    #[pin]
    list: Mutex<KVec<Arc<Queue>>>,
}

impl Queues {
    /// None yet.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                list <- new_mutex!(KVec::new()),
            }),
            GFP_KERNEL,
        )
    }

    fn add(&self, queue: Arc<Queue>) -> Result {
        Ok(self.list.lock().push(queue, GFP_KERNEL)?)
    }

    fn remove(&self, queue: &Arc<Queue>) {
        self.list.lock().retain(|other| !Arc::ptr_eq(other, queue));
    }

    /// Ends all connections that `condition` is true for. May sleep.
    pub(crate) fn end_where(&self, by: Stop, condition: impl Fn(&Queue) -> bool) {
        for queue in self.list.lock().iter() {
            if condition(queue) {
                queue.end(by);
            }
        }
    }

    /// Number of controllers whose admin queue is being released, or about to be.
    pub(crate) fn controllers_ending(&self) -> usize {
        self.list
            .lock()
            .iter()
            .filter(|q| q.engine.is_released() && q.is_admin() && q.controller().is_some())
            .count()
    }

    /// The address of the host of a controller.
    pub(crate) fn host_of(&self, controller: ControllerId) -> Option<Address> {
        self.list
            .lock()
            .iter()
            .find(|q| q.is_admin() && q.controller() == Some(controller))
            .map(|q| q.peer)
    }
}
