// SPDX-License-Identifier: GPL-2.0

//! NVMe over MPTCP target.
//!
//! A drop-in for nvmet-tcp: the same wire format (by the kernel's own code, see [`nvmet::engine`]),
//! the same configuration, on sockets that speak MPTCP with hosts that do, and TCP with those that
//! do not.
//!
//! - [`transport`] answers nvmet's calls.
//! - [`port`] listens and accepts.
//! - [`queue`] is a connection from accept to release.
//! - [`queues`] is the list of them.
//! - [`send`] sends many answers at once.

#[path = "../ffi/mod.rs"]
mod ffi;
#[path = "../net/mod.rs"]
mod net;
#[path = "../nvmet/mod.rs"]
mod nvmet;
#[path = "../observe/mod.rs"]
mod observe;

mod observed;
mod port;
mod queue;
mod queues;
mod send;
mod transport;

use kernel::prelude::*;
use nvmet::transport::Registration;
use queue::Queue;

module! {
    type: Target,
    name: "nvmet_mptcp",
    authors: ["nvme-mptcp developers"],
    description: "NVMe over MPTCP target transport",
    license: "GPL",
    alias: ["nvmet-transport-4"],
}

/// The loaded module. Unloading it drops the registration, which ends all connections.
struct Target {
    _registration: Registration<Queue>,
    _debugfs: observe::debugfs::Root,
}

impl kernel::Module for Target {
    fn init(module: &'static ThisModule) -> Result<Self> {
        // First, and gone last: connections have their directories in it.
        let debugfs = observe::debugfs::Root::new();
        Ok(Target {
            _registration: transport::register(module)?,
            _debugfs: debugfs,
        })
    }
}
