// SPDX-License-Identifier: GPL-2.0

//! A port: a listening MPTCP socket and the connections that it accepts.
//!
//! The listener belongs to the network namespace of the process that enables the port. The accept
//! work owns it while it accepts; closing the port takes it away for good, so that no connection is
//! accepted afterwards.

use crate::{
    net::{
        address::Address,
        callbacks::{
            Callbacks,
            ConnectionState,
            SocketEvents, //
        },
        errno,
        log,
        mptcp::Socket,
        namespace::NetNamespace,
        options::Congestion, //
    },
    nvmet::{
        self,
        params,
        port::PortConfig, //
    },
    queue::Queue,
    queues::Queues,
};
use kernel::{
    impl_has_work, new_mutex, new_work,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    workqueue::{
        Work,
        WorkItem, //
    },
};

/// Connections that may wait to be accepted, and that are accepted before other work has its turn.
const BACKLOG: c_int = 128;

/// How long until a connection that could not be accepted is tried again.
const RETRY: Delta = Delta::from_millis(100);

/// An enabled port.
#[pin_data]
pub(crate) struct Port {
    config: PortConfig,
    address: Address,
    queues: Arc<Queues>,
    #[pin]
    listener: Mutex<Option<Listener>>,
    #[pin]
    accept_work: Work<Port>,
}

/// The listening socket of an open port. Its callbacks go first.
struct Listener {
    callbacks: Callbacks<Arrivals>,
    socket: Arc<Socket>,
}

/// What the listener calls when a connection arrives.
struct Arrivals(Arc<Port>);

impl_has_work! {
    impl HasWork<Self> for Port { self.accept_work }
}

impl Port {
    /// Listens on the port's address, in the network namespace of the current process. May sleep.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the port asks for TLS, or the network's reason; both are in the kernel log.
    pub(crate) fn open(queues: Arc<Queues>, config: PortConfig) -> Result<Arc<Self>> {
        let id = config.id();
        if config.wants_tls() {
            pr_err!(
                "port {id}: there is no TLS over MPTCP; set addr_tsas to none, or use nvmet-tcp\n"
            );
            return Err(errno::not_supported());
        }
        let net = NetNamespace::current();
        let address = config.address(&net).inspect_err(|&e| {
            if e == errno::family_not_supported() {
                pr_err!("port {id}: its address family is neither ipv4 nor ipv6\n");
            } else {
                let (host, service) = (config.traddr(), config.trsvcid());
                pr_err!("port {id}: malformed address '{host}' or service id '{service}'\n");
            }
        })?;
        if let Err(wanted) = config.settle_inline_data_size() {
            pr_warn!("port {id}: param_inline_data_size {wanted} is more than a PDU may carry, and reduced to that\n");
        }

        let socket = Self::listen(&net, &address).inspect_err(|e| {
            pr_err!("port {id}: cannot listen on {address}: {e:?}\n");
        })?;
        let port = Arc::pin_init(
            pin_init!(Self {
                config,
                address,
                queues,
                listener <- new_mutex!(None),
                accept_work <- new_work!("Port::accept_work"),
            }),
            GFP_KERNEL,
        )?;
        let events = Arc::new(Arrivals(port.clone()), GFP_KERNEL)?;
        *port.listener.lock() = Some(Listener {
            callbacks: Callbacks::install(socket.clone(), events),
            socket,
        });
        // For those who arrived before the callbacks were there.
        port.accept_soon();
        pr_info!("port {id}: listening on {address}\n");
        Ok(port)
    }

    /// A socket that listens on `address`.
    fn listen(net: &NetNamespace, address: &Address) -> Result<Arc<Socket>> {
        let socket = Socket::new(net, address)?;
        socket.set_reuse_address()?;
        socket.set_nodelay()?;
        Queue::set_priority(&socket)?;
        socket.set_congestion(&Congestion::of_parameter())?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?;
        Ok(Arc::new(socket, GFP_KERNEL)?)
    }

    /// Stops listening, and waits for the accept work. May sleep.
    pub(crate) fn close(&self) {
        drop(self.listener.lock().take());
    }

    /// The configuration, valid until all connections of the port are released.
    pub(crate) fn config(&self) -> &PortConfig {
        &self.config
    }

    /// All connections of the transport.
    pub(crate) fn queues(&self) -> &Arc<Queues> {
        &self.queues
    }

    /// Whether the port listens on all addresses of the machine.
    pub(crate) fn is_wildcard(&self) -> bool {
        self.address.is_any()
    }

    /// Serves a connection, or closes it.
    fn serve(self: &Arc<Self>, socket: Socket) {
        let started = match socket.peer_address() {
            Ok(peer) if params::require_mptcp() && !socket.speaks_mptcp() => {
                if log::allowed() {
                    pr_warn!(
                        "port {}: {peer} refused: it does not speak MPTCP\n",
                        self.config.id()
                    );
                }
                // With a reset, so that the host knows at once.
                socket.set_no_linger();
                return;
            }
            Ok(peer) => Queue::start(self.clone(), socket, peer),
            Err(e) => Err(e),
        };
        match started {
            // It is served, or it has left while it waited.
            Ok(()) => {}
            Err(e) if e == errno::not_connected() => {}
            Err(e) if log::allowed() => {
                pr_err!(
                    "port {}: cannot serve a connection: {e:?}\n",
                    self.config.id()
                );
            }
            Err(_) => {}
        }
    }
}

/// Any context.
trait AcceptSoon {
    /// Has the accept work run.
    fn accept_soon(&self);
}

impl AcceptSoon for Arc<Port> {
    fn accept_soon(&self) {
        // If it is queued already it will see all that has arrived.
        let _ = nvmet::workqueue().enqueue(self.clone());
    }
}

impl WorkItem for Port {
    type Pointer = Arc<Self>;

    /// Accepts the connections that wait.
    fn run(this: Arc<Self>) {
        let guard = this.listener.lock();
        let Some(listener) = &*guard else {
            return;
        };
        for _ in 0..BACKLOG {
            match listener.socket.accept() {
                Ok(Some(socket)) => {
                    // The connection has inherited the callbacks of the listener.
                    listener.callbacks.disinherit(&socket);
                    this.serve(socket);
                }
                Ok(None) => return,
                Err(e) => {
                    if log::allowed() {
                        pr_warn!("port {}: failed to accept: {e:?}\n", this.config.id());
                    }
                    // For want of memory, say. What waits is not announced again.
                    drop(guard);
                    fsleep(RETRY);
                    this.accept_soon();
                    return;
                }
            }
        }
        // As many as come must not keep the port from being closed.
        this.accept_soon();
    }
}

impl SocketEvents for Arrivals {
    fn data_ready(&self, state: ConnectionState) {
        if state == ConnectionState::Listening {
            self.0.accept_soon();
        }
    }

    fn write_space(&self, _acked: u64) {}

    fn state_change(&self, _: ConnectionState) {}
}
