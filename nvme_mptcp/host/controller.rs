// SPDX-License-Identifier: GPL-2.0

//! The controller: what it owns, and what the nvme core calls in it.
//!
//! # Ownership
//!
//! A controller is owned by the reference count of its `nvme_ctrl` and dropped with the last
//! reference. It owns its queues for all of its life; connections come and go in them. It owns its
//! options from when the connect has succeeded.

use super::{
    connection::ConnectionParams,
    options::Endpoints,
    queue::Queue,
    registry,
    watch::Watch, //
};
use crate::net::options::Congestion;
use crate::nvme::{
    ctrl::NvmeCtrl,
    engine::Engine,
    fabrics::{
        ConnectOptions,
        Opts, //
    },
    ops::{
        Attribute,
        Controller, //
    },
    params, //
};
use crate::observe::debugfs::Directory;
use core::{
    fmt::Write,
    ops::Deref, //
};
use kernel::{
    fmt, new_mutex,
    prelude::*,
    str::Formatter,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
};

/// An NVMe over MPTCP controller.
#[pin_data]
pub(crate) struct MptcpCtrl {
    /// The admin queue, then the I/O queues: as many as were asked for, whatever is granted.
    queues: KVec<Arc<Queue>>,
    endpoints: Endpoints,
    /// The warning about a peer without MPTCP has been given.
    fallback_told: Atomic<bool>,
    /// Targets without MPTCP are refused, as of when it connected last.
    require_mptcp: Atomic<bool>,
    /// Congestion control of its subflows, as of when it was made: what somebody writes into the
    /// parameter later must not keep it from coming back.
    congestion: Congestion,
    /// What can be seen of the queues, as long as the controller has a name.
    #[pin]
    pub(super) debugfs: Mutex<Option<Directory<Queue>>>,
    #[pin]
    pub(super) watch: Mutex<Watch>,
    /// Before the options, which it uses.
    engine: Engine,
    opts: ConnectOptions,
    /// The last to go.
    _counted: registry::Counted,
}

impl MptcpCtrl {
    /// A controller without connections.
    pub(crate) fn new(opts: ConnectOptions, endpoints: Endpoints) -> Result<Pin<KBox<Self>>> {
        let engine = opts.engine()?;
        let mut queues = KVec::new();
        let mut qid = 0;
        while let Some(queue) = engine.queue(qid) {
            queues.push(Queue::new(qid, queue)?, GFP_KERNEL)?;
            qid = qid.checked_add(1).ok_or(EINVAL)?;
        }
        let watch = Watch::new(queues.len())?;
        KBox::pin_init(
            pin_init!(Self {
                queues,
                endpoints,
                fallback_told: Atomic::new(false),
                require_mptcp: Atomic::new(false),
                congestion: Congestion::of_parameter(),
                debugfs <- new_mutex!(None, "nvme_mptcp_debugfs"),
                watch <- new_mutex!(watch, "nvme_mptcp_watch"),
                engine,
                opts,
                _counted: registry::Counted::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// The queue `qid`, 0 for the admin queue.
    pub(crate) fn queue(&self, qid: usize) -> Option<&Arc<Queue>> {
        self.queues.get(qid)
    }

    /// All queues, used or not.
    pub(crate) fn queues(&self) -> &[Arc<Queue>] {
        &self.queues
    }

    /// The admin queue and the I/O queues in use.
    pub(crate) fn used_queues(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.queues.iter().take(self.queue_count() as usize)
    }

    /// The I/O queues from the number `first` to below `end`.
    pub(crate) fn io_queues(&self, first: u32, end: u32) -> &[Arc<Queue>] {
        let first = (first as usize).max(1);
        let end = (end as usize).min(self.queues.len());
        self.queues.get(first..end).unwrap_or_default()
    }

    /// All I/O queues in use.
    pub(crate) fn all_io_queues(&self) -> &[Arc<Queue>] {
        self.io_queues(1, self.queue_count())
    }

    /// Where it connects from and to.
    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The number of queues that requests come to, with the admin queue. Before the tag set is resized it
    /// may have fewer or more hardware queues than the target grants.
    pub(crate) fn mapped_queue_count(&self) -> u32 {
        self.nr_hw_queues()
            .saturating_add(1)
            .min(self.queue_count())
    }

    /// What each of its connections is made with; `new` as long as it has never been live.
    pub(crate) fn connection_params(&self, new: bool) -> ConnectionParams<'_> {
        ConnectionParams {
            endpoints: &self.endpoints,
            interface: self.opts.host_iface(),
            tos: if self.opts.has(Opts::TOS) {
                self.opts.tos()
            } else {
                None
            },
            priority: params::so_priority(),
            congestion: &self.congestion,
            again: !new,
            require_mptcp: self.requires_mptcp(),
        }
    }

    /// Whether its connections must speak MPTCP.
    pub(crate) fn requires_mptcp(&self) -> bool {
        self.require_mptcp.load(Relaxed)
    }

    /// Has the module's parameters hold for the connections from now on.
    pub(crate) fn apply_policy(&self) {
        self.require_mptcp.store(params::require_mptcp(), Relaxed);
    }

    /// Says once if a connection runs over plain TCP, thus over one path.
    pub(crate) fn report_fallback(&self, queue: &Queue) {
        if queue.fell_back() && !self.fallback_told.xchg(true, Relaxed) {
            dev_warn!(
                self.device(),
                "{} does not speak MPTCP (or something on the way removes it): one path only\n",
                self.endpoints.target
            );
        }
    }
}

impl Deref for MptcpCtrl {
    type Target = NvmeCtrl;

    fn deref(&self) -> &NvmeCtrl {
        &self.engine
    }
}

impl Controller for MptcpCtrl {
    fn submit_async_event(&self) {
        self.submit_async();
    }

    fn delete(&self) {
        self.tear_down(true);
        self.end_watching();
        self.unpublish();
        registry::remove(self);
    }

    fn stop(&self) {
        self.stop_recovery();
    }

    fn local_address(&self, buf: &mut [u8], len: usize) -> usize {
        let Some(address) = self
            .queue(0)
            .filter(|queue| queue.is_live())
            .and_then(|queue| queue.local_address())
        else {
            return len;
        };
        // The line ends with a newline, which moves to the new end.
        let start = len.saturating_sub(1);
        let separator = if len > 0 { "," } else { "" };
        let Some(rest) = buf.get_mut(start..) else {
            return len;
        };
        let mut out = Formatter::new(rest);
        let host = address.host();
        if out.write_fmt(fmt!("{separator}src_addr={host}\n")).is_err() {
            return len;
        }
        start.saturating_add(out.bytes_written())
    }

    fn io_work(&self, qid: usize) {
        if let Some(queue) = self.queue(qid) {
            queue.io_work();
        }
    }

    fn error_work(&self) {
        self.recover();
    }

    fn connect_work(&self) {
        self.reconnect();
    }

    fn reset_work(&self) {
        self.reset();
    }

    fn watch_work(&self) {
        self.watch();
    }

    fn attribute(&self, which: Attribute, out: &mut Formatter<'_>) -> fmt::Result {
        self.write_attribute(which, out)
    }

    fn options(&self) -> &ConnectOptions {
        &self.opts
    }
}
