// SPDX-License-Identifier: GPL-2.0

//! Modules, MPTCP itself, and controllers.

use super::{hint, problem, Finding, Look};
use crate::sysfs::{Controller, Module};
use std::collections::BTreeSet;
use std::net::IpAddr;

pub fn modules(look: &Look) -> Vec<Finding> {
    match (look.facts.host_module, look.facts.target_module) {
        (Module::Loaded, _) | (_, Module::Loaded) => Vec::new(),
        (Module::Missing, Module::Missing) => vec![problem(
            "module-missing",
            "The modules nvme_mptcp (host) and nvmet_mptcp (target) are not installed for the running kernel.",
            &[
                "apt install ./nvme-mptcp-modules-$(uname -r)_*.deb",
                "or, in the sources: make KDIR=/path/to/linux install && depmod -a",
            ],
        )],
        (host, _) => {
            let (module, what) = match host {
                Module::Installed => ("nvme_mptcp", "No module is loaded, so nothing uses MPTCP."),
                _ => ("nvmet_mptcp", "The module nvmet_mptcp is not loaded, so no target serves MPTCP."),
            };
            let mend = match host {
                Module::Installed => vec![
                    "on a host: modprobe nvme_mptcp (nvme connect -t mptcp does it by itself)",
                    "on a target: modprobe -r nvmet-tcp; modprobe nvmet_mptcp",
                ],
                _ => vec!["modprobe -r nvmet-tcp; modprobe nvmet_mptcp"],
            };
            vec![problem("module-not-loaded", format!("{what} ({module})"), &mend)]
        }
    }
}

pub fn mptcp(look: &Look) -> Vec<Finding> {
    let mut found = Vec::new();
    match look.facts.mptcp_enabled {
        None => found.push(problem(
            "kernel-without-mptcp",
            "The running kernel has no MPTCP (CONFIG_MPTCP), so every connection is TCP.",
            &["boot a kernel with MPTCP, as Debian's"],
        )),
        Some(false) => found.push(problem(
            "mptcp-disabled",
            "MPTCP is turned off (net.mptcp.enabled is 0), so no MPTCP connection can be made here.",
            &[
                "sysctl -w net.mptcp.enabled=1",
                "and look who turns it off at boot: grep -r mptcp /etc/sysctl.conf /etc/sysctl.d",
            ],
        )),
        Some(true) => (),
    }
    if let Some(manager) = look
        .facts
        .path_manager
        .as_deref()
        .filter(|name| *name != "kernel")
    {
        found.push(problem(
            "path-manager",
            format!(
                "The path manager in force is '{manager}': the kernel's own, which knows limits and endpoints, is \
                 not used for new connections."
            ),
            &["sysctl -w net.mptcp.path_manager=kernel"],
        ));
    }
    let blackholes = look
        .facts
        .counters
        .get("MPTcpExtBlackhole")
        .copied()
        .unwrap_or(0);
    if blackholes > 0 {
        found.push(hint(
            "blackhole",
            "Connections with MPTCP options got no answer while those without did: the kernel has paused MPTCP for \
             a while (net.mptcp.blackhole_timeout).",
            &["find the firewall that drops SYNs with unknown TCP options (option 30)"],
        ));
    }
    found
}

/// Controllers of nvme-tcp may be meant, and are in use: what is told of them interrupts nobody.
fn plain_tcp(look: &Look) -> Option<Finding> {
    let facts = &look.facts;
    let tcp: Vec<&Controller> = facts
        .controllers
        .iter()
        .filter(|controller| controller.transport == "tcp")
        .filter(|controller| {
            // One that "nvme connect -t tcp" made of ours (replace_tcp).
            !facts
                .connections_of(&controller.name)
                .any(|connection| connection.mptcp)
        })
        .collect();
    // With a single NIC there is nothing to gain.
    if tcp.is_empty() || look.candidates().count() < 2 {
        return None;
    }
    let names: Vec<&str> = tcp
        .iter()
        .map(|controller| controller.name.as_str())
        .collect();
    let ends: BTreeSet<(IpAddr, u16)> = tcp
        .iter()
        .filter_map(|controller| Some((controller.address?, controller.port.unwrap_or(4420))))
        .collect();
    let ask = ends.iter().map(|(address, port)| {
        format!("to ask whether the target speaks MPTCP: nvme-mptcp doctor --peer {address} --port {port}")
    });
    let mut mend: Vec<String> = ask.collect();
    mend.push("to choose: Documentation/choosing.rst".into());
    let mend: Vec<&str> = mend.iter().map(String::as_str).collect();
    let what = format!(
        "Of nvme-tcp, with one NIC each: {}. That may be meant; where a target speaks MPTCP, a new controller to \
         it can use all NICs.",
        names.join(", ")
    );
    Some(hint("tcp-controllers", what, &mend))
}

pub fn controllers(look: &Look) -> Vec<Finding> {
    let facts = &look.facts;
    let mut found: Vec<Finding> = plain_tcp(look).into_iter().collect();
    for subsystem in &facts.subsystems {
        let several = subsystem.controllers.iter().filter(|name| {
            facts
                .controllers
                .iter()
                .any(|controller| controller.name == **name && controller.state == "live")
        });
        let several = several.count();
        if several > 1 && subsystem.iopolicy.as_deref() == Some("numa") {
            found.push(problem(
                "iopolicy-numa",
                format!(
                    "{} ({}) has {several} controllers, but its I/O policy is 'numa', the default: all I/O goes \
                     through one of them.",
                    subsystem.name, subsystem.nqn
                ),
                &[
                    &format!("echo queue-depth > /sys/class/nvme-subsystem/{}/iopolicy", subsystem.name),
                    "or keep one MPTCP controller: it uses all NICs",
                ],
            ));
        }
    }
    found
}
