// SPDX-License-Identifier: GPL-2.0

//! NVMe over MPTCP target.

use kernel::prelude::*;

#[path = "../ffi/mod.rs"]
mod ffi;
#[path = "../net/mod.rs"]
mod net;

module! {
    type: Target,
    name: "nvmet_mptcp",
    authors: ["nvme-mptcp developers"],
    description: "NVMe over MPTCP target transport",
    license: "GPL",
    alias: ["nvmet-transport-3", "nvmet-transport-4"],
}

struct Target;

impl kernel::Module for Target {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Target)
    }
}
