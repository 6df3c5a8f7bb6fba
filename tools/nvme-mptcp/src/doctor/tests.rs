// SPDX-License-Identifier: GPL-2.0

//! A sound host, and one broken thing at a time.

use super::*;
use crate::netlink::pm::Limits;
use crate::probe::Outcome;
use crate::sysfs::{Controller, Port, Subsystem};
use crate::testing::{connection, facts, own, peer};

/// Four NICs, one controller with a path on each.
fn sound() -> Look {
    let mut facts = facts(4);
    facts.connections = vec![connection("nvme0", &[0, 1, 2, 3])];
    let way = |number: u8| Way {
        nic: format!("eth{number}"),
        from: own(number),
        to: peer(number),
        route: Some(Route {
            interface: u32::from(number) + 10,
            gateway: None,
        }),
    };
    Look {
        ways: (0..4).map(way).collect(),
        facts,
        ..Look::default()
    }
}

/// The names of the problems after something has been broken.
fn problems(break_it: impl FnOnce(&mut Look)) -> Vec<&'static str> {
    found(Severity::Problem, break_it)
}

fn hints(break_it: impl FnOnce(&mut Look)) -> Vec<&'static str> {
    found(Severity::Hint, break_it)
}

fn found(severity: Severity, break_it: impl FnOnce(&mut Look)) -> Vec<&'static str> {
    let mut look = sound();
    break_it(&mut look);
    let findings = diagnose(&look);
    for finding in &findings {
        assert!(
            !finding.mend.is_empty(),
            "{} tells nothing to do",
            finding.name
        );
    }
    let wanted = findings
        .iter()
        .filter(|finding| finding.severity == severity);
    wanted.map(|finding| finding.name).collect()
}

#[test]
fn sound_is_sound() {
    assert_eq!(diagnose(&sound()), []);
}

#[test]
fn modules() {
    assert_eq!(
        problems(|look| look.facts.host_module = Module::Missing),
        ["module-missing"]
    );
    assert_eq!(
        problems(|look| look.facts.host_module = Module::Installed),
        ["module-not-loaded"]
    );
}

#[test]
fn mptcp_is_off_or_not_there() {
    assert_eq!(
        problems(|look| look.facts.mptcp_enabled = Some(false)),
        ["mptcp-disabled"]
    );
    assert_eq!(
        problems(|look| look.facts.mptcp_enabled = None),
        ["kernel-without-mptcp"]
    );
    assert_eq!(
        problems(|look| look.facts.path_manager = Some("userspace".into())),
        ["path-manager"]
    );
}

#[test]
fn limits() {
    let few = |look: &mut Look| {
        look.facts.limits = Some(Limits {
            subflows: 2,
            add_addr_accepted: 8,
        });
    };
    assert_eq!(problems(few), ["limits-too-small"]);
    let starved = |look: &mut Look| {
        look.facts.endpoints.clear();
        look.ways.clear();
        look.facts.counters.insert("MPTcpExtAddAddr".into(), 3);
        look.facts.connections = vec![connection("nvme0", &[0, 1, 2])];
        look.facts.connections[0].limits_reached = true;
    };
    assert_eq!(problems(starved), ["limits-too-small"]);
    let deaf = |look: &mut Look| {
        look.facts.endpoints.clear();
        look.ways.clear();
        look.facts.limits = Some(Limits {
            subflows: 8,
            add_addr_accepted: 0,
        });
        look.facts.counters.insert("MPTcpExtAddAddr".into(), 3);
        look.facts.connections = vec![connection("nvme0", &[0])];
    };
    assert_eq!(problems(deaf), ["limits-too-small", "one-subflow"]);
}

#[test]
fn endpoints() {
    let none = |look: &mut Look| {
        look.facts.endpoints.clear();
        look.ways.clear();
        look.facts.connections = vec![connection("nvme0", &[0])];
    };
    assert_eq!(problems(none), ["endpoints-missing", "one-subflow"]);
    let elsewhere = |look: &mut Look| look.facts.endpoints[1].address = own(9);
    assert_eq!(problems(elsewhere), ["endpoint-without-nic"]);
    let crossed = |look: &mut Look| look.facts.endpoints[1].interface = Some(12);
    assert_eq!(problems(crossed), ["endpoint-without-nic"]);
}

#[test]
fn a_target_announces() {
    let target = |look: &mut Look| {
        look.facts.controllers.clear();
        look.facts.connections.clear();
        look.facts.host_module = Module::Installed;
        look.facts.target_module = Module::Loaded;
        look.facts.ports = vec![Port::default()];
    };
    assert_eq!(problems(target), ["endpoints-missing"]);
    let announcing = |look: &mut Look| {
        target(look);
        look.facts
            .endpoints
            .iter_mut()
            .for_each(|endpoint| endpoint.signal = true);
    };
    assert_eq!(problems(announcing), [""; 0]);

    let listening = |addresses: &[IpAddr], look: &mut Look| {
        announcing(look);
        let port = |address: &IpAddr| Port {
            address: Some(*address),
            port: 4420,
            ..Port::default()
        };
        look.facts.ports = addresses.iter().map(port).collect();
    };
    let one = |look: &mut Look| listening(&[own(0)], look);
    assert_eq!(problems(one), ["port-on-one-address"]);
    let any = |look: &mut Look| listening(&[[0, 0, 0, 0].into()], look);
    assert_eq!(problems(any), [""; 0]);
    // One listener for each NIC does as well.
    let each = |look: &mut Look| listening(&[own(0), own(1), own(2), own(3)], look);
    assert_eq!(problems(each), [""; 0]);
    let with_port = |look: &mut Look| {
        one(look);
        let others = look.facts.endpoints.iter_mut().skip(1);
        others.for_each(|endpoint| endpoint.port = Some(4420));
    };
    assert_eq!(problems(with_port), [""; 0]);
}

#[test]
fn links() {
    assert_eq!(problems(|look| look.facts.nics[2].up = false), ["nic-down"]);
    assert_eq!(
        problems(|look| look.facts.nics[2].carrier = false),
        ["no-carrier"]
    );
    let slow = |look: &mut Look| look.facts.nics[2].speed_mbit = Some(100);
    assert_eq!(problems(slow), [""; 0]);
    assert_eq!(hints(slow), ["unequal-links"]);
    assert_eq!(
        problems(|look| look.facts.nics[2].speed_mbit = None),
        [""; 0]
    );
}

#[test]
fn a_bridge_of_containers_is_no_path() {
    let docker = |look: &mut Look| {
        let mut nic = look.facts.nics[0].clone();
        nic.name = "docker0".into();
        nic.index = 99;
        nic.hardware = false;
        nic.kind = Some("bridge".into());
        nic.carrier = false;
        nic.addresses[0].address = [172, 17, 0, 1].into();
        look.facts.nics.push(nic);
    };
    assert_eq!((problems(docker), hints(docker)), (vec![], vec![]));
    let chosen = |look: &mut Look| {
        docker(look);
        let mut endpoint = look.facts.endpoints[0].clone();
        endpoint.interface = Some(99);
        endpoint.address = [172, 17, 0, 1].into();
        look.facts.endpoints.push(endpoint);
    };
    assert_eq!(problems(chosen), ["no-carrier"]);
}

#[test]
fn routes() {
    // Without a path there; with one it works all the same.
    let unused = |look: &mut Look| look.facts.connections = vec![connection("nvme0", &[0, 1, 3])];
    let away = |look: &mut Look| {
        unused(look);
        look.ways[2].route = None;
    };
    assert_eq!(problems(away), ["no-route", "unused-nic"]);
    let crossed = |look: &mut Look| {
        unused(look);
        look.ways[2].route = look.ways[0].route;
    };
    assert_eq!(problems(crossed), ["asymmetric-route", "unused-nic"]);
    let strict = |look: &mut Look| {
        crossed(look);
        let set = RpFilter { all: 1, own: 0 };
        look.rp_filter.insert("eth2".into(), set);
    };
    assert_eq!(
        problems(strict),
        ["asymmetric-route", "rp-filter", "unused-nic"]
    );
    // Loose for the one NIC is what is advised, and helps.
    let loose = |look: &mut Look| {
        strict(look);
        look.rp_filter
            .insert("eth2".into(), RpFilter { all: 1, own: 2 });
    };
    assert_eq!(problems(loose), ["asymmetric-route", "unused-nic"]);
    // It is of IPv4 only.
    let six = |look: &mut Look| {
        strict(look);
        look.ways[2].from = "fd00:2::1".parse().unwrap();
    };
    assert_eq!(problems(six), ["asymmetric-route", "unused-nic"]);
    assert_eq!(
        problems(|look| look.ways[2].route = look.ways[0].route),
        [""; 0]
    );
}

#[test]
fn connections() {
    let lost = |look: &mut Look| {
        let connection = &mut look.facts.connections[0];
        connection.mptcp = false;
        connection.fallback = true;
    };
    assert_eq!(problems(lost), ["fallback"]);
    // Which way other paths would take is not the trouble then.
    let lost_and_crossed = |look: &mut Look| {
        lost(look);
        look.facts.connections[0].subflows.truncate(1);
        look.ways[2].route = look.ways[0].route;
    };
    assert_eq!(problems(lost_and_crossed), ["fallback"]);
    assert_eq!(
        problems(|look| look.facts.connections = vec![connection("nvme0", &[0])]),
        ["one-subflow"]
    );
    assert_eq!(
        problems(|look| look.facts.connections = vec![connection("nvme0", &[0, 1, 2])]),
        ["unused-nic"]
    );
    assert_eq!(
        problems(|look| look.facts.controllers[0].state = "connecting".into()),
        ["controller-not-live"]
    );
}

#[test]
fn controllers() {
    let tcp = |look: &mut Look| {
        look.facts.controllers.push(Controller {
            name: "nvme1".into(),
            transport: "tcp".into(),
            state: "live".into(),
            ..Controller::default()
        });
    };
    assert_eq!(problems(tcp), [""; 0]);
    assert_eq!(hints(tcp), ["tcp-controllers"]);
    let mut look = sound();
    tcp(&mut look);
    look.facts.controllers[1].address = Some(peer(1));
    let text = text(&look, &diagnose(&look));
    assert!(
        text.contains("doctor --peer 10.0.1.2 --port 4420"),
        "{text}"
    );
    assert!(!text.contains("disconnect"), "{text}");
    assert!(text.contains("\nsound: "), "{text}");
    let two = |look: &mut Look, policy: &str| {
        let mut second = look.facts.controllers[0].clone();
        second.name = "nvme1".into();
        look.facts.controllers.push(second);
        look.facts.subsystems = vec![Subsystem {
            iopolicy: Some(policy.into()),
            controllers: vec!["nvme0".into(), "nvme1".into()],
            ..Subsystem::default()
        }];
    };
    assert_eq!(problems(|look| two(look, "numa")), ["iopolicy-numa"]);
    assert_eq!(problems(|look| two(look, "round-robin")), [""; 0]);
}

#[test]
fn the_peer() {
    let probe = |look: &mut Look, outcomes: &[Outcome]| {
        look.peer = Some((peer(0), 4420).into());
        let probe = |(nic, outcome): (usize, &Outcome)| Probe {
            nic: format!("eth{nic}"),
            from: own(nic as u8),
            outcome: outcome.clone(),
        };
        look.probes = outcomes.iter().enumerate().map(probe).collect();
    };
    let failed = || Outcome::Failed("no answer".into());
    assert_eq!(
        problems(|look| probe(look, &[Outcome::Mptcp, failed()])),
        [""; 0]
    );
    assert_eq!(
        problems(|look| probe(look, &[Outcome::Tcp, failed()])),
        ["peer-without-mptcp"]
    );
    assert_eq!(
        problems(|look| probe(look, &[Outcome::Tcp, Outcome::Mptcp])),
        ["mptcp-stripped"]
    );
    assert_eq!(
        problems(|look| probe(look, &[failed(), failed()])),
        ["peer-unreachable"]
    );
    assert_eq!(problems(|look| probe(look, &[])), ["peer-unreachable"]);
}
