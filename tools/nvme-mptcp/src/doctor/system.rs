// SPDX-License-Identifier: GPL-2.0

//! Modules, MPTCP itself, and controllers.

use super::{hint, problem, Finding, Look};
use crate::sysfs::Module;

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

pub fn controllers(look: &Look) -> Vec<Finding> {
    let facts = &look.facts;
    let mut found = Vec::new();
    let tcp: Vec<&str> = facts
        .controllers
        .iter()
        .filter(|controller| controller.transport == "tcp")
        .filter(|controller| {
            // One that "nvme connect -t tcp" made of ours (replace_tcp).
            !facts
                .connections_of(&controller.name)
                .any(|connection| connection.mptcp)
        })
        .map(|controller| controller.name.as_str())
        .collect();
    if !tcp.is_empty() {
        let again: Vec<String> = tcp
            .iter()
            .map(|name| format!("nvme disconnect -d {name}; nvme connect -t mptcp ..."))
            .collect();
        let again: Vec<&str> = again.iter().map(String::as_str).collect();
        found.push(problem(
            "tcp-controllers",
            format!(
                "{} uses nvme-tcp, thus one NIC only. Its target may speak MPTCP all the same.",
                tcp.join(", ")
            ),
            &again,
        ));
    }
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
                    &format!("echo round-robin > /sys/class/nvme-subsystem/{}/iopolicy", subsystem.name),
                    "or keep one MPTCP controller: it uses all NICs",
                ],
            ));
        }
    }
    found
}
