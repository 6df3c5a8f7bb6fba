// SPDX-License-Identifier: GPL-2.0

//! NVMe over MPTCP host.

use kernel::prelude::*;

#[path = "../ffi/mod.rs"]
mod ffi;
#[path = "../net/mod.rs"]
mod net;

module! {
    type: Host,
    name: "nvme_mptcp",
    authors: ["nvme-mptcp developers"],
    description: "NVMe over MPTCP host transport",
    license: "GPL",
    alias: ["nvme-mptcp"],
}

struct Host;

impl kernel::Module for Host {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Host)
    }
}
