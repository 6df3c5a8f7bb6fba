// SPDX-License-Identifier: GPL-2.0

//! How a connection is made: an MPTCP socket, set up and connected, and the NVMe/TCP handshake.

use super::options::Endpoints;
use crate::{
    net::{
        errno,
        mptcp::Socket,
        options::Congestion, //
    },
    nvme::engine::{
        EngineQueue,
        Receiver, //
    },
    work::msecs_to_jiffies,
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// How long a connect may take. nvme-tcp limits the number of SYNs, which takes three seconds; MPTCP
/// sockets have no such option, so the time is bounded instead. If something on the way drops SYNs
/// with MPTCP's option, TCP sends the first one without it after three seconds, and it wants an answer
/// as well (`net.mptcp.syn_retrans_before_tcp_fallback` 2, `net.ipv4.tcp_syn_linear_timeouts` 4).
const CONNECT_TIMEOUT_MS: u32 = 5_000;

/// How long the target may take to answer the ICReq.
const ICRESP_TIMEOUT_MS: u32 = 10_000;

/// What the connections of a controller are made with.
pub(crate) struct ConnectionParams<'a> {
    /// Where from, and where to.
    pub(crate) endpoints: &'a Endpoints,
    /// Network interface of the first subflow.
    pub(crate) interface: Option<&'a CStr>,
    /// Type of service of all packets.
    pub(crate) tos: Option<u8>,
    /// Priority of all packets, if above 0.
    pub(crate) priority: c_int,
    /// Congestion control of its subflows.
    pub(crate) congestion: &'a Congestion,
    /// The controller has been connected before, and is not to be lost for what can be done without.
    pub(crate) again: bool,
    /// Refuse a target that does not speak MPTCP.
    pub(crate) require_mptcp: bool,
}

impl ConnectionParams<'_> {
    /// Makes the connection of the queue `id`. Sleeps, for about 15 seconds at the most.
    ///
    /// # Errors
    ///
    /// Each with a message that names the queue, the target and the errno; nothing is left open.
    pub(crate) fn open(&self, id: u16, engine: &EngineQueue) -> Result<Receiver> {
        let target = &self.endpoints.target;
        let explain = |what: &'static str| {
            move |e: &Error| {
                dev_err!(
                    engine.ctrl().device(),
                    "queue {id}: {what} {target}: error {}\n",
                    e.to_errno()
                );
            }
        };

        let socket = Socket::new(&self.endpoints.net, target)
            .inspect_err(explain("cannot create an MPTCP socket for"))?;
        self.configure(&socket, engine)
            .inspect_err(explain("cannot set up the socket for"))?;
        if let Some(local) = &self.endpoints.local {
            socket
                .bind(local)
                .inspect_err(explain("cannot bind the socket for"))?;
        }
        socket
            .connect(target)
            .inspect_err(explain("cannot connect to"))?;

        let receiver = engine
            .connect(Arc::new(socket, GFP_KERNEL)?)
            .inspect_err(explain("no NVMe/TCP handshake with"))?;
        if self.require_mptcp && !receiver.socket().speaks_mptcp() {
            return Err(errno::protocol_not_supported())
                .inspect_err(explain("require_mptcp is set, but there is no MPTCP with"));
        }
        Ok(receiver)
    }

    /// Options that must be set before connecting, so that they reach later subflows.
    fn configure(&self, socket: &Socket, engine: &EngineQueue) -> Result {
        socket.set_nodelay()?;
        socket.set_no_linger();
        socket.set_timeouts(
            msecs_to_jiffies(ICRESP_TIMEOUT_MS) as c_long,
            msecs_to_jiffies(CONNECT_TIMEOUT_MS) as c_long,
        );
        match socket.set_congestion(self.congestion) {
            Err(e) if self.again => dev_warn!(
                engine.ctrl().device(),
                "the congestion control is gone ({}), going on with the default\n",
                e.to_errno()
            ),
            other => other?,
        }
        if self.priority > 0 {
            socket.set_priority(self.priority)?;
        }
        if let Some(tos) = self.tos {
            socket.set_tos(tos)?;
        }
        if let Some(name) = self.interface {
            socket.bind_to_interface(name)?;
        }
        Ok(())
    }
}
