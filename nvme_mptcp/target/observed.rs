// SPDX-License-Identifier: GPL-2.0

//! What can be seen of a connection in debugfs. See `Documentation/observability.rst`.

use crate::{
    observe::debugfs::{
        Directory,
        Show, //
    },
    queue::Queue,
};
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

impl Show for Queue {
    fn show(&self, out: &SeqFile) {
        let engine = &self.engine;
        let (state, controller) = match self.controller_number.load(Relaxed) {
            0 => ("connecting", 0),
            number => ("live", number),
        };
        seq_print!(out, "queue {}\nstate {state}\n", engine.qid());
        seq_print!(out, "controller {controller}\n");
        seq_print!(out, "id {}\ncpu {}\n", engine.id(), engine.cpu());
        seq_print!(out, "port {}\n", self.port().config().id());
        seq_print!(
            out,
            "local {}\npeer {}\n",
            self.local_address(),
            self.peer()
        );
        self.observed.show(out);
    }
}

/// The directory of a connection, which keeps the connection alive.
pub(crate) fn publish(queue: &Arc<Queue>) -> Result<Directory<Queue>> {
    let mut dir = Directory::new(fmt!("{}", queue.engine.id()))?;
    dir.add(fmt!("queue"), queue.clone())?;
    Ok(dir)
}
