// SPDX-License-Identifier: GPL-2.0

//! What can be seen of a controller and its queues: attributes in sysfs, files in debugfs. See
//! `Documentation/observability.rst`.

use super::{
    controller::MptcpCtrl,
    queue::Queue, //
};
use crate::{
    net::subflows::Fallback,
    nvme::ops::Attribute,
    observe::debugfs::{
        Directory,
        Show, //
    },
};
use kernel::{
    fmt,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// What has been done with a queue, for those who look: they must not wait for the lock of its state,
/// which is held while it connects.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Phase {
    Unused,
    Connecting,
    Connected,
    Live,
    Stopped,
}

/// The phase, and how often it has been connected.
pub(crate) struct Life {
    phase: Atomic<u32>,
    connects: Atomic<u64>,
}

impl Life {
    pub(crate) const fn new() -> Self {
        Self {
            phase: Atomic::new(Phase::Unused as u32),
            connects: Atomic::new(0),
        }
    }

    /// For the holder of the lock of the queue's state.
    pub(crate) fn enter(&self, phase: Phase) {
        if matches!(phase, Phase::Connected) {
            self.connects
                .store(self.connects.load(Relaxed).wrapping_add(1), Relaxed);
        }
        self.phase.store(phase as u32, Relaxed);
    }

    fn word(&self) -> &'static str {
        const NAMES: [(Phase, &str); 5] = [
            (Phase::Unused, "unused"),
            (Phase::Connecting, "connecting"),
            (Phase::Connected, "connected"),
            (Phase::Live, "live"),
            (Phase::Stopped, "stopped"),
        ];
        let phase = self.phase.load(Relaxed);
        NAMES
            .iter()
            .find(|(p, _)| *p as u32 == phase)
            .map_or("unused", |(_, name)| name)
    }
}

impl Show for Queue {
    fn show(&self, out: &SeqFile) {
        seq_print!(out, "queue {}\n", self.id());
        seq_print!(out, "state {}\n", self.life.word());
        seq_print!(out, "cpu {}\n", self.cpu());
        seq_print!(out, "connects {}\n", self.life.connects.load(Relaxed));
        self.observed.show(out);
    }
}

impl MptcpCtrl {
    /// Makes the controller's directory in debugfs, once it has a name.
    pub(crate) fn publish(&self) -> Result {
        let mut dir = Directory::new(fmt!("nvme{}", self.instance()))?;
        for queue in self.queues() {
            dir.add(fmt!("queue{}", queue.id()), queue.clone())?;
        }
        *self.debugfs.lock() = Some(dir);
        Ok(())
    }

    /// Undoes [`publish`](Self::publish), while the controller still has its name.
    pub(crate) fn unpublish(&self) {
        let dir = self.debugfs.lock().take();
        drop(dir);
    }

    /// Writes the value of an attribute in sysfs.
    pub(crate) fn write_attribute(
        &self,
        which: Attribute,
        out: &mut impl fmt::Write,
    ) -> fmt::Result {
        let used = || self.used_queues();
        match which {
            Attribute::Subflows => {
                let least = used()
                    .map(|queue| queue.observed.health().map_or(0, |(usable, _)| usable))
                    .min();
                out.write_fmt(fmt!("{}", least.unwrap_or(0)))
            }
            Attribute::Fallback => {
                let worst = used()
                    .filter_map(|queue| queue.observed.health())
                    .map(|(_, connection)| connection.fallback)
                    .max();
                out.write_str(worst.unwrap_or(Fallback::None).word())
            }
            Attribute::Policy => out.write_str(if self.requires_mptcp() {
                "require"
            } else {
                "prefer"
            }),
            Attribute::Congestion => match used().find_map(|queue| queue.observed.health()) {
                Some((_, connection)) => out.write_fmt(fmt!("{}", connection.congestion())),
                None => Ok(()),
            },
        }
    }
}
