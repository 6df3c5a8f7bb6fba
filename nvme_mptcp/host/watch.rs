// SPDX-License-Identifier: GPL-2.0

//! Watches the paths of a live controller: says which are lost, come back or are new, and that a
//! connection has lost MPTCP. Ends one that has lost all of its subflows.
//!
//! No callback tells of these. A look once a second, at idle connections too, costs nothing that
//! could be measured.
//!
//! A path counts for the controller when every queue has it: it is lost with the first queue that
//! loses it, and back when all have it again. So there is one message for one cable, not one for each
//! queue.
//!
//! The path manager adds subflows without telling us, and they lack what the connection was set up
//! with for storage traffic: they get it at the next look.
//!
//! When something on the way begins to change data or to remove options, and there is a single
//! subflow, MPTCP goes on as plain TCP (the infinite mapping of RFC 8684, 3.7), and says so to nobody
//! else.
//!
//! When the last subflow of a connection has been reset, by a firewall say that has forgotten it, MPTCP waits
//! for others for a minute (`net.mptcp.close_timeout`), takes what it is given to send, and says nothing
//! either.
//!
//! The work must not allocate: error recovery waits for it, and reclaim may wait for that.

use super::{
    controller::MptcpCtrl,
    queue::Queue, //
};
use crate::{
    net::{
        log,
        mptcp::Socket,
        subflows::{
            Fallback,
            Ip, //
        },
    },
    nvme::ctrl::{
        Cause,
        State, //
    },
    observe::{
        paths::{
            Path,
            PathSet, //
        },
        trace, //
    },
};
use kernel::{
    fmt,
    prelude::*,
    sync::Arc, //
};

/// How long between two looks.
const INTERVAL_MS: u32 = 1_000;

/// After so many looks the controller is taken to have the paths that it will have.
const SETTLED: u32 = 5;

/// What is known of a controller that has connected.
pub(crate) struct Watch {
    /// The paths of each queue when last looked at.
    queues: KVec<PathSet>,
    /// Those that all queues had.
    paths: PathSet,
    /// Those that all queues have had since the controller connected.
    known: PathSet,
    /// A connection had lost MPTCP.
    lost: bool,
    /// The first queue whose connection had no subflow.
    deserted: Option<u16>,
    /// Looks since the controller connected.
    looks: u32,
    /// The message that it has connected was given.
    told: bool,
}

impl Watch {
    /// For a controller of so many queues.
    pub(crate) fn new(queues: usize) -> Result<Self> {
        Ok(Self {
            queues: KVec::from_elem(PathSet::new(), queues, GFP_KERNEL)?,
            paths: PathSet::new(),
            known: PathSet::new(),
            lost: false,
            deserted: None,
            looks: 0,
            told: false,
        })
    }

    /// The controller connects anew.
    fn forget(&mut self) {
        for paths in &mut self.queues {
            *paths = PathSet::new();
        }
        self.paths = PathSet::new();
        self.known = PathSet::new();
        self.lost = false;
        self.deserted = None;
        self.looks = 0;
        self.told = false;
    }

    /// Looks at all queues. `None` while one of them has no connection.
    fn look<'a>(&mut self, queues: impl Iterator<Item = &'a Arc<Queue>>) -> Option<Seen> {
        let mut seen = Seen {
            queues: 0,
            paths: PathSet::new(),
            lost: false,
            deserted: None,
        };
        for (queue, before) in queues.zip(&mut self.queues) {
            queue.observed.with(Socket::prepare_subflows)?;
            let (now, fallback, alive) = queue.observed.paths()?;
            for path in now.without(before) {
                trace::subflow_added(|| {
                    (queue.ctrl().instance(), queue.id(), path.local, path.remote)
                });
            }
            for path in before.without(&now) {
                trace::subflow_lost(|| {
                    (queue.ctrl().instance(), queue.id(), path.local, path.remote)
                });
            }
            *before = now;
            seen.paths = match seen.queues {
                0 => now,
                _ => seen.paths.common(&now),
            };
            seen.lost |= fallback == Fallback::Lost;
            if !alive && seen.deserted.is_none() {
                seen.deserted = Some(queue.id());
            }
            seen.queues = seen.queues.saturating_add(1);
        }
        Some(seen)
    }
}

/// What a look has found.
struct Seen {
    queues: usize,
    /// The paths that all of them have.
    paths: PathSet,
    /// One of them has lost MPTCP.
    lost: bool,
    /// The first that has no subflow.
    deserted: Option<u16>,
}

/// A path, in a message.
struct Named<'a>(&'a Path);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("{} - {}", Ip(&self.0.local), Ip(&self.0.remote)))
    }
}

/// A number of things, in a message.
struct Count(usize, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        f.write_fmt(fmt!("{} {}{plural}", self.0, self.1))
    }
}

impl MptcpCtrl {
    /// Begins to watch; when the controller is live.
    pub(crate) fn start_watching(&self) {
        self.watch.lock().forget();
        self.watch_in(INTERVAL_MS);
    }

    /// The work of watching: looks, tells, and has itself called again.
    pub(crate) fn watch(&self) {
        // What happens to paths when a connection ends is not theirs.
        if self.state() == State::Live {
            let mut watch = self.watch.lock();
            if let Some(seen) = watch.look(self.used_queues()) {
                self.tell(&mut watch, &seen);
                self.end_deserted(&mut watch, &seen);
            }
        }
        self.watch_in(INTERVAL_MS);
    }

    /// Starts error recovery if a connection has no subflow: not at the first look, because the path manager may
    /// just be replacing them.
    fn end_deserted(&self, watch: &mut Watch, seen: &Seen) {
        match seen.deserted {
            Some(id) if seen.deserted == watch.deserted => {
                dev_warn!(self.device(), "queue {id}: no subflow is left\n");
                self.error_recovery(Cause::Socket);
            }
            _ => watch.deserted = seen.deserted,
        }
    }

    fn tell(&self, watch: &mut Watch, seen: &Seen) {
        let before = core::mem::replace(&mut watch.paths, seen.paths);
        watch.looks = watch.looks.saturating_add(1);
        let count = seen.paths.len();

        if seen.lost && !watch.lost && log::allowed() {
            dev_warn!(
                self.device(),
                "a connection has lost MPTCP (something on the way changes its packets): one path only\n"
            );
        }
        watch.lost = seen.lost;

        if !watch.told {
            // Subflows join one after the other.
            if seen.paths.same(&before) || watch.looks > SETTLED {
                watch.told = true;
                watch.known = seen.paths;
                dev_info!(
                    self.device(),
                    "connected: {} over {}\n",
                    Count(seen.queues, "queue"),
                    Count(count, "path")
                );
            }
            return;
        }
        for path in before.without(&seen.paths) {
            if log::allowed() {
                dev_warn!(
                    self.device(),
                    "path {} lost, {} left\n",
                    Named(path),
                    Count(count, "path")
                );
            }
        }
        for path in seen.paths.without(&before) {
            let what = if watch.known.contains(path) {
                "back"
            } else {
                "new"
            };
            if log::allowed() {
                dev_info!(
                    self.device(),
                    "path {} {what}, {} now\n",
                    Named(path),
                    Count(count, "path")
                );
            }
        }
        for path in seen.paths.iter() {
            watch.known.insert(*path);
        }
    }
}
