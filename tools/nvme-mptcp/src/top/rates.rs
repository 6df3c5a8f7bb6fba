// SPDX-License-Identifier: GPL-2.0

//! The difference of two looks, as rates. Pure logic.

use crate::facts::{Connection, Facts, Side};
use crate::netlink::diag::Tcp;
use crate::observe::Queue;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What moves in one place, per second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rate {
    pub name: String,
    pub paths: usize,
    pub sent: f64,
    pub received: f64,
    pub retransmits: f64,
    /// The shortest and longest of the paths that have one.
    pub rtt_us: Option<(u32, u32)>,
    /// PDUs in a batch, if the module tells and there were any.
    pub batch: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    pub nics: Vec<Rate>,
    /// Of controllers, and of ports of the target.
    pub owners: Vec<Rate>,
    /// What could not be looked at.
    pub blind: Vec<String>,
}

impl Rates {
    pub fn between(before: &Facts, after: &Facts, seconds: f64) -> Self {
        let old: BTreeMap<(SocketAddr, SocketAddr), &Tcp> = before
            .connections
            .iter()
            .flat_map(|connection| &connection.subflows)
            .map(|path| ((path.local, path.remote), path))
            .collect();
        let mut nics: BTreeMap<u32, Rate> = BTreeMap::new();
        let mut owners: BTreeMap<String, Rate> = BTreeMap::new();
        // Those that have no connection just now as well.
        for controller in &after.controllers {
            owners.insert(controller.name.clone(), named(&controller.name));
        }
        for connection in &after.connections {
            let owner = owner(connection);
            for path in &connection.subflows {
                let before = old.get(&(path.local, path.remote)).copied();
                let name = path.nic.as_deref().unwrap_or("(gone)");
                let index = path.interface.unwrap_or(u32::MAX);
                nics.entry(index)
                    .or_insert_with(|| named(name))
                    .add(before, path, seconds);
                owners
                    .entry(owner.clone())
                    .or_insert_with(|| named(&owner))
                    .add(before, path, seconds);
            }
        }
        for (name, queues) in &after.observed.controllers {
            let before = before
                .observed
                .controllers
                .get(name)
                .map_or(&[][..], |queues| queues);
            if let Some(rate) = owners.get_mut(name) {
                rate.batch = batch(before, queues);
            }
        }
        let mut owners: Vec<Rate> = owners.into_values().collect();
        owners.sort_by_key(|rate| (rate.name.len(), rate.name.clone()));
        Self {
            nics: nics.into_values().collect(),
            owners,
            blind: after.blind.clone(),
        }
    }
}

fn named(name: &str) -> Rate {
    Rate {
        name: name.to_string(),
        ..Rate::default()
    }
}

fn owner(connection: &Connection) -> String {
    match (connection.side, &connection.controller, &connection.port) {
        (Side::Target, _, Some(port)) => format!("port {port}"),
        (_, Some(controller), _) => controller.clone(),
        _ => "(shared address)".to_string(),
    }
}

impl Rate {
    /// A path that is new has moved all it has since.
    fn add(&mut self, before: Option<&Tcp>, path: &Tcp, seconds: f64) {
        let per_second = |now: u64, then: Option<u64>| {
            now.saturating_sub(then.unwrap_or(0)) as f64 / seconds.max(0.001)
        };
        self.paths += 1;
        self.sent += per_second(path.sent, before.map(|path| path.sent));
        self.received += per_second(path.received, before.map(|path| path.received));
        self.retransmits += per_second(
            path.retransmits.into(),
            before.map(|path| path.retransmits.into()),
        );
        if path.rtt_us > 0 {
            let (least, most) = self.rtt_us.unwrap_or((path.rtt_us, path.rtt_us));
            self.rtt_us = Some((least.min(path.rtt_us), most.max(path.rtt_us)));
        }
    }
}

/// PDUs per batch of what was sent meanwhile.
fn batch(before: &[Queue], after: &[Queue]) -> Option<f64> {
    let sum = |queues: &[Queue]| {
        let all = queues.iter();
        all.fold((0u64, 0u64), |sum, queue| {
            (sum.0 + queue.pdus, sum.1 + queue.batches)
        })
    };
    let (before, after) = (sum(before), sum(after));
    let batches = after
        .1
        .checked_sub(before.1)
        .filter(|batches| *batches > 0)?;
    Some(after.0.checked_sub(before.0)? as f64 / batches as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{connection, facts};

    #[test]
    fn what_moved_by_nic_and_by_controller() {
        let mut before = facts(2);
        before.connections = vec![connection("nvme0", &[0, 1])];
        let mut after = before.clone();
        let paths = &mut after.connections[0].subflows;
        paths[0].sent += 3000;
        paths[1].received += 1000;
        paths[1].rtt_us = 700;
        paths[1].retransmits += 4;
        let rates = Rates::between(&before, &after, 2.0);
        let names: Vec<&str> = rates.nics.iter().map(|nic| nic.name.as_str()).collect();
        assert_eq!(names, ["eth0", "eth1"]);
        assert_eq!(
            (rates.nics[0].sent, rates.nics[1].received),
            (1500.0, 500.0)
        );
        assert_eq!((rates.nics[0].paths, rates.nics[1].retransmits), (1, 2.0));
        assert_eq!(rates.owners.len(), 1);
        assert_eq!(
            (rates.owners[0].sent, rates.owners[0].received),
            (1500.0, 500.0)
        );
        assert_eq!(rates.owners[0].rtt_us, Some((500, 700)));
    }

    #[test]
    fn a_path_that_came_meanwhile_counts_from_its_beginning() {
        let mut before = facts(2);
        before.connections = vec![connection("nvme0", &[0])];
        let mut after = before.clone();
        after.connections = vec![connection("nvme0", &[0, 1])];
        after.connections[0].subflows[1].sent = 50;
        assert_eq!(Rates::between(&before, &after, 1.0).nics[1].sent, 50.0);
    }

    #[test]
    fn pdus_in_a_batch() {
        let queue = |batches, pdus| Queue {
            batches,
            pdus,
            ..Queue::default()
        };
        assert_eq!(
            batch(&[queue(1, 1)], &[queue(2, 5), queue(1, 2)]),
            Some(3.0)
        );
        assert_eq!(batch(&[queue(1, 1)], &[queue(1, 1)]), None);
        // The controller is a new one of the same name.
        assert_eq!(batch(&[queue(9, 9)], &[queue(1, 1)]), None);
    }
}
