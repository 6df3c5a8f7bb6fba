// SPDX-License-Identifier: GPL-2.0

//! What the modules tell in debugfs (Documentation/observability.rst): which connection is whose, and the
//! sizes of batches. Only root can read it, and everything else works without.

use crate::sysfs::Sysfs;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A queue of a controller, or a connection of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Queue {
    pub queue: u32,
    pub state: String,
    /// Why it is TCP.
    pub fallback: Option<String>,
    pub token: Option<u32>,
    pub batches: u64,
    pub pdus: u64,
    pub largest_batch: u64,
    /// Bytes that MPTCP has sent again on another path.
    pub retransmitted: u64,
}

impl Queue {
    fn parse(text: &str) -> Self {
        // "subflow" comes more than once, and is not asked for.
        let values: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect();
        let number = |key: &str| {
            values
                .get(key)
                .and_then(|value| value.parse().ok())
                .unwrap_or(0)
        };
        let word = |key: &str| values.get(key).map(|value| value.to_string());
        let token = values
            .get("token")
            .and_then(|value| u32::from_str_radix(value, 16).ok());
        Self {
            queue: number("queue") as u32,
            state: word("state").unwrap_or_default(),
            fallback: word("fallback").filter(|why| why != "none"),
            token: token.filter(|token| *token != 0),
            batches: number("batches_sent"),
            pdus: number("pdus_sent"),
            largest_batch: number("largest_batch"),
            retransmitted: number("retransmitted"),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// The queues of each controller of this host.
    pub controllers: BTreeMap<String, Vec<Queue>>,
    /// The connections of this target.
    pub target: Vec<Queue>,
}

impl Observed {
    /// The controller whose connection has this token, and the queue.
    pub fn owner(&self, token: u32) -> Option<(&str, &Queue)> {
        self.controllers.iter().find_map(|(name, queues)| {
            let queue = queues.iter().find(|queue| queue.token == Some(token))?;
            Some((name.as_str(), queue))
        })
    }
}

/// What there is; nothing if it cannot be read.
pub fn read(sysfs: &Sysfs) -> Observed {
    let debug = Path::new("sys/kernel/debug");
    let mut observed = Observed::default();
    for name in sysfs.names(debug.join("nvme_mptcp")) {
        let queues = queues(sysfs, &debug.join("nvme_mptcp").join(&name));
        observed.controllers.insert(name, queues);
    }
    for id in sysfs.names(debug.join("nvmet_mptcp")) {
        observed
            .target
            .extend(queues(sysfs, &debug.join("nvmet_mptcp").join(id)));
    }
    observed
}

/// A controller or connection may go while it is being looked at.
fn queues(sysfs: &Sysfs, directory: &Path) -> Vec<Queue> {
    let files = sysfs
        .names(directory)
        .into_iter()
        .filter(|name| name.starts_with("queue"));
    let texts =
        files.filter_map(|file| fs::read_to_string(sysfs.0.join(directory).join(file)).ok());
    texts.map(|text| Queue::parse(&text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values() {
        let queue = Queue::parse(
            "queue 3\nstate live\nnews of-a-later-kernel\ntoken 00ff\nfallback none\nbatches_sent 2\npdus_sent 9\n\
             subflow id=1 local=10.0.0.1:1\nsubflow id=2 local=10.0.0.1:2\n",
        );
        assert_eq!(
            (queue.queue, queue.token, queue.fallback),
            (3, Some(255), None)
        );
        assert_eq!((queue.batches, queue.pdus, queue.largest_batch), (2, 9, 0));
        let queue = Queue::parse("token 0\nfallback lost\n");
        assert_eq!(
            (queue.token, queue.fallback.as_deref()),
            (None, Some("lost"))
        );
    }
}
