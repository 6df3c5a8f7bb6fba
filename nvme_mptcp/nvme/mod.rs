// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of the nvme core, of nvme-fabrics and of the host's PDU engine.

pub(crate) mod ctrl;
pub(crate) mod engine;
pub(crate) mod fabrics;
pub(crate) mod ops;
pub(crate) mod params;
mod queues;
pub(crate) mod reference;
pub(crate) mod request;
pub(crate) mod status;
