// SPDX-License-Identifier: GPL-2.0

//! What is to be done, before it is: pure logic.

use super::persist::{self, Unit};
use crate::netlink::pm::{Endpoint, Limits};
use crate::netlink::route::Nic;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The limit that is set, if not more NICs need more. A path that is not used costs nothing.
const USUAL: u32 = 8;

#[derive(Debug, PartialEq)]
pub enum Step {
    Limits(Limits),
    /// With the name of its NIC.
    Add(String, Endpoint),
    Delete(Endpoint),
    WriteUnit(Unit),
    RemoveUnit(Unit),
}

impl Step {
    /// The same for hands.
    pub fn as_command(&self) -> String {
        match self {
            Self::Limits(limits) => format!(
                "ip mptcp limits set subflows {} add_addr_accepted {}",
                limits.subflows, limits.add_addr_accepted
            ),
            Self::Add(nic, endpoint) => {
                format!(
                    "ip mptcp endpoint add {} dev {nic} {}",
                    endpoint.address,
                    endpoint.flags()
                )
            }
            Self::Delete(endpoint) => format!("ip mptcp endpoint delete id {}", endpoint.id),
            Self::WriteUnit(unit) => unit.as_command(),
            Self::RemoveUnit(unit) => {
                format!(
                    "systemctl disable --now {}; rm {}",
                    persist::NAME,
                    unit.quoted_file()
                )
            }
        }
    }
}

#[derive(Default)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// What would have to go, but live connections need.
    pub kept: Vec<IpAddr>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Once, whoever else has asked for the same: the kernel refuses the second.
    pub fn push(&mut self, step: Step) {
        if !self.steps.contains(&step) {
            self.steps.push(step);
        }
    }

    fn keep(&mut self, address: IpAddr) {
        if !self.kept.contains(&address) {
            self.kept.push(address);
        }
    }

    fn limits(&mut self, wanted: Limits, there: Limits) {
        if wanted != there {
            self.push(Step::Limits(wanted));
        }
    }
}

/// An endpoint for each address of the NICs. What is as wanted stays as it is, so that doing it twice disturbs no
/// connection.
pub fn setup(
    nics: &[&Nic],
    host: bool,
    limits: Limits,
    there: &[Endpoint],
    needed_by_connections: &[IpAddr],
) -> Plan {
    let mut plan = Plan::default();
    let addresses: usize = nics.iter().map(|nic| nic.addresses.len()).sum();
    let needed = USUAL.max(u32::try_from(addresses).unwrap_or(USUAL));
    let accepted = if host { needed } else { 0 };
    plan.limits(
        Limits {
            subflows: limits.subflows.max(needed),
            add_addr_accepted: limits.add_addr_accepted.max(accepted),
        },
        limits,
    );
    let mut seen = BTreeSet::new();
    for nic in nics {
        for own in &nic.addresses {
            // An address on two NICs is one endpoint, that of the first.
            if !seen.insert(own.address) {
                continue;
            }
            let wanted = Endpoint {
                id: 0,
                address: own.address,
                port: None,
                interface: Some(nic.index),
                signal: !host,
                subflow: host,
                backup: false,
                fullmesh: false,
            };
            if let Some(old) = there
                .iter()
                .find(|old| old.address == own.address && old.port.is_none())
            {
                let same = Endpoint {
                    id: old.id,
                    ..wanted.clone()
                };
                if *old == same {
                    continue;
                }
                if needed_by_connections.contains(&old.address) {
                    plan.keep(old.address);
                    continue;
                }
                plan.push(Step::Delete(old.clone()));
            }
            plan.push(Step::Add(nic.name.clone(), wanted));
        }
    }
    plan
}

/// Without NICs everything goes, the limits too.
pub fn clear(
    nics: Option<&[&Nic]>,
    limits: Limits,
    default: Limits,
    there: &[Endpoint],
    needed_by_connections: &[IpAddr],
) -> Plan {
    let mut plan = Plan::default();
    for endpoint in there {
        let own = |nic: &&Nic| nic.has(endpoint.address) || endpoint.interface == Some(nic.index);
        if !nics.is_none_or(|nics| nics.iter().any(own)) {
            continue;
        }
        if needed_by_connections.contains(&endpoint.address) {
            plan.keep(endpoint.address);
        } else {
            plan.push(Step::Delete(endpoint.clone()));
        }
    }
    if nics.is_none() {
        plan.limits(default, limits);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::route::Address;

    const FEW: Limits = Limits {
        subflows: 2,
        add_addr_accepted: 0,
    };

    fn nic(index: u32, address: &str) -> Nic {
        Nic {
            index,
            name: format!("eth{index}"),
            up: true,
            carrier: true,
            loopback: false,
            hardware: true,
            kind: None,
            master: None,
            speed_mbit: None,
            addresses: vec![Address {
                address: address.parse().unwrap(),
                prefix: 24,
            }],
            sent: 0,
            received: 0,
        }
    }

    fn commands(plan: &Plan) -> Vec<String> {
        plan.steps.iter().map(Step::as_command).collect()
    }

    /// The endpoints after a plan, with ids as the kernel would give them.
    fn done(plan: &Plan) -> Vec<Endpoint> {
        let added = plan.steps.iter().filter_map(|step| match step {
            Step::Add(_, endpoint) => Some(endpoint.clone()),
            _ => None,
        });
        let number = |(index, endpoint): (usize, Endpoint)| Endpoint {
            id: index as u8 + 1,
            ..endpoint
        };
        added.enumerate().map(number).collect()
    }

    #[test]
    fn a_host_makes_subflows_and_a_target_announces() {
        let nic = nic(1, "10.0.1.1");
        let plan = setup(&[&nic], true, FEW, &[], &[]);
        assert_eq!(
            commands(&plan),
            [
                "ip mptcp limits set subflows 8 add_addr_accepted 8",
                "ip mptcp endpoint add 10.0.1.1 dev eth1 subflow"
            ]
        );
        let plan = setup(&[&nic], false, FEW, &[], &[]);
        assert_eq!(
            commands(&plan),
            [
                "ip mptcp limits set subflows 8 add_addr_accepted 0",
                "ip mptcp endpoint add 10.0.1.1 dev eth1 signal"
            ]
        );
    }

    #[test]
    fn twice_is_once() {
        let (one, two) = (nic(1, "10.0.1.1"), nic(2, "10.0.2.1"));
        let there = done(&setup(&[&one, &two], true, FEW, &[], &[]));
        let enough = Limits {
            subflows: 8,
            add_addr_accepted: 9,
        };
        assert!(setup(&[&one, &two], true, enough, &there, &[]).is_empty());
    }

    #[test]
    fn nothing_is_done_twice() {
        let (one, two) = (nic(1, "10.0.1.1"), nic(2, "10.0.1.1"));
        let plan = setup(&[&one, &one, &two], true, FEW, &[], &[]);
        assert_eq!(
            commands(&plan)[1..],
            ["ip mptcp endpoint add 10.0.1.1 dev eth1 subflow"]
        );
        // Nor undone the next time.
        let there = done(&plan);
        assert_eq!(setup(&[&one, &two], true, FEW, &there, &[]).steps.len(), 1);
        let mut plan = Plan::default();
        for id in [2, 1, 2] {
            let mut endpoint = there[0].clone();
            endpoint.id = id;
            plan.push(Step::Delete(endpoint));
        }
        let both = [
            "ip mptcp endpoint delete id 2",
            "ip mptcp endpoint delete id 1",
        ];
        assert_eq!(commands(&plan), both);
    }

    #[test]
    fn an_endpoint_of_the_other_kind_is_replaced() {
        let nic = nic(1, "10.0.1.1");
        let there = done(&setup(&[&nic], true, FEW, &[], &[]));
        let plan = setup(&[&nic], false, FEW, &there, &[]);
        assert_eq!(
            commands(&plan)[1..],
            [
                "ip mptcp endpoint delete id 1",
                "ip mptcp endpoint add 10.0.1.1 dev eth1 signal"
            ]
        );
    }

    #[test]
    fn clearing_a_nic_leaves_the_others() {
        let (one, two) = (nic(1, "10.0.1.1"), nic(2, "10.0.2.1"));
        let there = done(&setup(&[&one, &two], true, FEW, &[], &[]));
        assert_eq!(
            commands(&clear(Some(&[&two]), FEW, FEW, &there, &[])),
            ["ip mptcp endpoint delete id 2"]
        );
        let many = Limits {
            subflows: 8,
            add_addr_accepted: 8,
        };
        let all = commands(&clear(None, many, FEW, &there, &[]));
        assert_eq!(all.len(), 3);
        assert_eq!(all[2], "ip mptcp limits set subflows 2 add_addr_accepted 0");
    }

    #[test]
    fn what_a_connection_began_from_stays() {
        let (one, two) = (nic(1, "10.0.1.1"), nic(2, "10.0.2.1"));
        let there = done(&setup(&[&one, &two], true, FEW, &[], &[]));
        let needed = ["10.0.1.1".parse().unwrap()];
        let plan = clear(None, FEW, FEW, &there, &needed);
        assert_eq!(commands(&plan), ["ip mptcp endpoint delete id 2"]);
        assert_eq!(plan.kept, needed);
        let plan = setup(&[&one], false, FEW, &there, &needed);
        assert_eq!((commands(&plan).len(), plan.kept.len()), (1, 1));
    }
}
