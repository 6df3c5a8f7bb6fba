// SPDX-License-Identifier: GPL-2.0

//! NVMe over MPTCP: the host transport.
//!
//! `nvme connect -t mptcp` makes a controller whose every queue is one kernel MPTCP connection,
//! which spreads over all NICs. On the wire it is NVMe/TCP.
//!
//! Flow runs one way: the modules of this directory use `nvme` (the nvme core, fabrics, the PDU
//! engine), `net` (sockets), `block` (blk-mq) and `work`; those use `ffi`, the border with C.

use kernel::prelude::*;

mod connection;
mod controller;
mod dispatch;
mod observed;
mod options;
mod queue;
mod recovery;
mod registry;
mod send;
mod setup;
mod transport;
mod watch;

#[path = "../block/mod.rs"]
mod block;
#[path = "../ffi/mod.rs"]
mod ffi;
#[path = "../net/mod.rs"]
mod net;
#[path = "../nvme/mod.rs"]
mod nvme;
#[path = "../observe/mod.rs"]
mod observe;
#[path = "../work/mod.rs"]
mod work;

module! {
    type: Host,
    name: "nvme_mptcp",
    authors: ["The nvme-mptcp developers"],
    description: "NVMe over MPTCP host transport",
    license: "GPL",
    alias: ["nvme-mptcp"],
}

/// The module. Its fields are dropped in this order: no new controllers, then none at all, then
/// nobody uses the engine any more.
#[pin_data]
struct Host {
    #[pin]
    transport: nvme::fabrics::Registration<transport::Mptcp>,
    in_place_of_tcp: Option<Pin<KBox<nvme::fabrics::Registration<transport::InPlaceOfTcp>>>>,
    controllers: registry::Registry,
    debugfs: observe::debugfs::Root,
    engine: nvme::engine::EngineModule,
}

impl kernel::InPlaceModule for Host {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            engine: nvme::engine::EngineModule::new()?,
            debugfs: observe::debugfs::Root::new(),
            controllers: registry::Registry::new(),
            // These last, because users may connect from then on.
            in_place_of_tcp: replace_tcp()?,
            transport <- nvme::fabrics::Registration::new(),
        })
    }
}

/// Registers the transport `tcp`, if the user wants that.
fn replace_tcp() -> Result<Option<Pin<KBox<nvme::fabrics::Registration<transport::InPlaceOfTcp>>>>>
{
    if !nvme::params::replace_tcp() {
        return Ok(None);
    }
    // Fabrics takes the first one that has a name.
    let first = !nvme::params::nvme_tcp_is_there();
    let registration = KBox::pin_init(nvme::fabrics::Registration::new(), GFP_KERNEL)?;
    if first {
        pr_info!("serving the transport tcp too, in place of nvme-tcp\n");
    } else {
        pr_warn!(
            "replace_tcp: nvme-tcp came first, and serves the transport tcp until it is removed\n"
        );
    }
    Ok(Some(registration))
}
