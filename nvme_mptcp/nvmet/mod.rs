// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of the NVMe target core and of the target's PDU engine.
//!
//! C headers: `drivers/nvme/target/nvmet.h`, `nvme_mptcp/ffi/target_engine.h`

pub(crate) mod answer;
pub(crate) mod engine;
pub(crate) mod params;
pub(crate) mod port;
pub(crate) mod transport;

use crate::ffi::bindings;
use kernel::workqueue::Queue;

/// The workqueue on which nvmet, and all that tears down connections, works.
///
/// nvmet flushes it before it frees a port, so what is queued here may use the port.
pub(crate) fn workqueue() -> &'static Queue {
    // SAFETY: nvmet allocates the workqueue when it is loaded, and this module keeps nvmet loaded.
    unsafe { Queue::from_raw(bindings::nvmet_wq.cast()) }
}

/// Waits for all that is on [`workqueue`] now. May sleep.
pub(crate) fn flush_workqueue() {
    // SAFETY: As in `workqueue()`.
    unsafe { bindings::__flush_workqueue(bindings::nvmet_wq) };
}
