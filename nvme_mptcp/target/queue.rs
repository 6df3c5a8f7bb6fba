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
//!    socket and frees the rest. With an admin queue all queues of its controller end.

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
    queues::Queues,
    send::Batch,
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

mod io;

use io::Io;

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
    /// It is the admin queue of its controller. The engine cannot tell while it is being connected.
    admin: Atomic<bool>,
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
                admin: Atomic::new(false),
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
    pub(crate) fn end(&self, by: Stop) {
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

    /// Whether it is the admin queue of its controller.
    pub(crate) fn is_admin(&self) -> bool {
        self.admin.load(Relaxed)
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
        self.admin.store(self.engine.is_admin(), Relaxed);
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
}

impl Connection for Queue {
    fn engine(&self) -> &Engine<Self> {
        &self.engine
    }

    fn io_work(&self) {
        self.work();
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
        if let (true, Some(controller)) = (this.is_admin(), this.controller()) {
            this.queues()
                .end_where(Stop::Closed, |queue| queue.controller() == Some(controller));
        }
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
