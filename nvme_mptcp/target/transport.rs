// SPDX-License-Identifier: GPL-2.0

//! The transport as nvmet sees it.

use crate::{
    ffi::bindings,
    net::address::Address,
    nvmet::{
        engine::{
            ControllerId,
            Stop,
            SubmissionQueueId, //
        },
        port::PortConfig,
        transport::{
            Refusal,
            Registration,
            Transport, //
        },
    },
    port::Port,
    queue::Queue,
    queues::Queues,
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The transport type of nvmet-tcp, in whose place this module serves.
const TYPE_TCP: u32 = bindings::NVMF_TRTYPE_TCP;

/// The transport type of kernels whose nvmet knows the name `mptcp`.
const TYPE_MPTCP: u32 = 4;

/// Controllers that may be in the middle of being torn down while another one is accepted.
const TEARDOWN_BACKLOG: usize = 128;

/// Registers the transport with nvmet. May sleep.
pub(crate) fn register(module: &'static ThisModule) -> Result<Registration<Queue>> {
    // The one that may be taken comes last: then no port can have been enabled already.
    Registration::new(module, [TYPE_MPTCP, TYPE_TCP], Queues::new()?).inspect_err(|&e| {
        if e == EBUSY {
            pr_err!("nvmet-tcp is loaded and serves the same ports\n");
            pr_err!("unload it first: modprobe -r nvmet-tcp\n");
        }
    })
}

impl Transport for Queue {
    type Context = Queues;
    type Port = Port;

    fn add_port(queues: &Arc<Queues>, config: PortConfig) -> Result<Arc<Port>> {
        Port::open(queues.clone(), config)
    }

    fn remove_port(queues: &Queues, port: Arc<Port>) {
        port.close();
        queues.end_where(Stop::Port, |queue| queue.is_of(&port));
    }

    fn delete_controller(queues: &Queues, controller: ControllerId) {
        queues.end_where(Stop::Controller, |queue| {
            queue.controller() == Some(controller)
        });
    }

    fn install_queue(
        queues: &Queues,
        queue: SubmissionQueueId,
    ) -> core::result::Result<(), Refusal> {
        let queue = queues.connecting(queue).ok_or(Refusal::Unknown)?;
        if queue.engine.is_admin() && queues.controllers_ending() > TEARDOWN_BACKLOG {
            return Err(Refusal::Busy);
        }
        queue.allocate_commands().map_err(|_| Refusal::Internal)
    }

    fn discovery_address(&self) -> Option<Address> {
        self.port().is_wildcard().then(|| self.local_address())
    }

    fn host_address(queues: &Queues, controller: ControllerId) -> Result<Address> {
        queues.host_of(controller).ok_or(EINVAL)
    }

    fn shutdown(queues: &Queues) {
        queues.end_where(Stop::Module, |_| true);
    }
}
