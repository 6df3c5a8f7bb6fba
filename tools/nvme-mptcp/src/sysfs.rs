// SPDX-License-Identifier: GPL-2.0

//! What /sys, /proc/sys, /proc/net and /lib/modules tell. The root is a parameter, for tests.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// A fabrics controller of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Controller {
    pub name: String,
    pub transport: String,
    pub state: String,
    pub subsystem_nqn: String,
    pub address: Option<IpAddr>,
    pub port: Option<u16>,
    pub queues: u32,
    /// Why a connection of it is TCP: a word of mptcp_fallback (Documentation/observability.rst).
    pub why_tcp: Option<String>,
}

/// A subsystem that this host is connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Subsystem {
    pub name: String,
    pub nqn: String,
    pub iopolicy: Option<String>,
    pub controllers: Vec<String>,
}

/// A port of this machine's NVMe target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Port {
    pub id: String,
    pub address: Option<IpAddr>,
    pub port: u16,
    pub subsystems: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Module {
    #[default]
    Missing,
    Installed,
    Loaded,
}

pub struct Sysfs(pub PathBuf);

impl Sysfs {
    pub fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = fs::read_to_string(self.0.join(path)).ok()?;
        Some(text.trim_end_matches(['\n', '\0']).to_string())
    }

    /// The names in a directory, in the order of their numbers; none if it cannot be read.
    pub fn names(&self, path: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.0.join(path)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into())
            .collect();
        names.sort_by_key(|name| (name.len(), name.clone()));
        names
    }

    /// A value below /proc/sys/net.
    pub fn sysctl(&self, name: &str) -> Option<String> {
        self.text(Path::new("proc/sys/net").join(name))
    }

    pub fn release(&self) -> String {
        self.text("proc/sys/kernel/osrelease").unwrap_or_default()
    }

    pub fn module(&self, name: &str) -> Module {
        if self.path("sys/module").join(name).exists() {
            return Module::Loaded;
        }
        let file = format!("/{name}.ko");
        let list = Path::new("lib/modules")
            .join(self.release())
            .join("modules.dep");
        // "kernel/some/where/NAME.ko.xz: what it needs"
        let listed = self.text(list).is_some_and(|list| {
            list.lines().any(|line| {
                line.split(':')
                    .next()
                    .is_some_and(|path| format!("/{path}").contains(&file))
            })
        });
        if listed {
            Module::Installed
        } else {
            Module::Missing
        }
    }

    pub fn controllers(&self) -> Vec<Controller> {
        let fabrics = self.names("sys/class/nvme-fabrics/ctl");
        fabrics
            .iter()
            .filter_map(|name| self.controller(name))
            .collect()
    }

    fn controller(&self, name: &str) -> Option<Controller> {
        let directory = Path::new("sys/class/nvme").join(name);
        let attribute = |attribute: &str| self.text(directory.join(attribute));
        let address = attribute("address").unwrap_or_default();
        let address = fields(&address);
        Some(Controller {
            name: name.to_string(),
            transport: attribute("transport")?,
            state: attribute("state").unwrap_or_default(),
            subsystem_nqn: attribute("subsysnqn").unwrap_or_default(),
            // A link-local address has its interface behind it.
            address: address
                .get("traddr")
                .and_then(|text| text.split('%').next()?.parse().ok()),
            port: address.get("trsvcid").and_then(|text| text.parse().ok()),
            queues: attribute("queue_count")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
            why_tcp: attribute("mptcp_fallback").filter(|why| why != "none"),
        })
    }

    pub fn subsystems(&self) -> Vec<Subsystem> {
        let class = Path::new("sys/class/nvme-subsystem");
        let mut found = Vec::new();
        for name in self.names(class) {
            let directory = class.join(&name);
            let own = |entry: &String| {
                let digits = entry.strip_prefix("nvme");
                digits.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
            };
            found.push(Subsystem {
                nqn: self.text(directory.join("subsysnqn")).unwrap_or_default(),
                iopolicy: self.text(directory.join("iopolicy")),
                controllers: self.names(&directory).into_iter().filter(own).collect(),
                name,
            });
        }
        found
    }

    /// Ports that serve something over TCP. Only root can read them.
    pub fn ports(&self) -> Vec<Port> {
        let ports = Path::new("sys/kernel/config/nvmet/ports");
        let mut found = Vec::new();
        for id in self.names(ports) {
            let directory = ports.join(&id);
            let attribute = |attribute: &str| self.text(directory.join(attribute));
            let subsystems = self.names(directory.join("subsystems"));
            let kind = attribute("addr_trtype").unwrap_or_default();
            if subsystems.is_empty() || !["tcp", "mptcp"].contains(&kind.as_str()) {
                continue;
            }
            found.push(Port {
                id,
                address: attribute("addr_traddr").and_then(|text| text.parse().ok()),
                port: attribute("addr_trsvcid")
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0),
                subsystems,
            });
        }
        found
    }

    /// MPTCP's counters of this network namespace.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        self.text("proc/self/net/netstat")
            .map(|text| counters(&text))
            .unwrap_or_default()
    }
}

/// "a=1,b=2"
fn fields(text: &str) -> BTreeMap<&str, &str> {
    text.split(',')
        .filter_map(|field| field.split_once('='))
        .collect()
}

/// A line of names and a line of values each, both with "MPTcpExt:" in front.
fn counters(text: &str) -> BTreeMap<String, u64> {
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("MPTcpExt:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return BTreeMap::new();
    };
    names
        .split_whitespace()
        .zip(values.split_whitespace())
        .filter_map(|(name, value)| Some((name.to_string(), value.parse().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> (PathBuf, Sysfs) {
        let name = format!("{}-{:?}", std::process::id(), std::thread::current().id());
        let root =
            std::env::temp_dir().join(format!("nvme-mptcp-{}", name.replace(['(', ')'], "")));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (root.clone(), Sysfs(root))
    }

    #[test]
    fn controllers_and_subsystems() {
        let (root, sysfs) = tree(&[
            ("sys/class/nvme-fabrics/ctl/nvme10/x", ""),
            ("sys/class/nvme-fabrics/ctl/nvme9/x", ""),
            ("sys/class/nvme/nvme9/transport", "mptcp\n"),
            ("sys/class/nvme/nvme9/state", "live\n"),
            ("sys/class/nvme/nvme9/queue_count", "3\n"),
            (
                "sys/class/nvme/nvme9/address",
                "traddr=fe80::1%eth0,trsvcid=4420,src_addr=::1\n",
            ),
            ("sys/class/nvme/nvme10/transport", "tcp\n"),
            ("sys/class/nvme-subsystem/nvme-subsys0/iopolicy", "numa\n"),
            ("sys/class/nvme-subsystem/nvme-subsys0/nvme9/x", ""),
            ("sys/class/nvme-subsystem/nvme-subsys0/nvme9n1/x", ""),
        ]);
        let controllers = sysfs.controllers();
        assert_eq!(controllers.len(), 2);
        assert_eq!(controllers[0].name, "nvme9");
        assert_eq!(controllers[0].address, Some("fe80::1".parse().unwrap()));
        assert_eq!(
            (controllers[0].port, controllers[0].queues),
            (Some(4420), 3)
        );
        assert_eq!(controllers[1].address, None);
        assert_eq!(sysfs.subsystems()[0].controllers, ["nvme9"]);
        assert_eq!(sysfs.subsystems()[0].iopolicy.as_deref(), Some("numa"));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn modules() {
        let (root, sysfs) = tree(&[
            ("proc/sys/kernel/osrelease", "7.3.4\n"),
            ("sys/module/loaded/x", ""),
            (
                "lib/modules/7.3.4/modules.dep",
                "updates/nvme_mptcp.ko.xz: a.ko\nxnvme.ko:\n",
            ),
        ]);
        assert_eq!(sysfs.module("loaded"), Module::Loaded);
        assert_eq!(sysfs.module("nvme_mptcp"), Module::Installed);
        assert_eq!(sysfs.module("xnvme"), Module::Installed);
        assert_eq!(sysfs.module("nvme"), Module::Missing);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn counters_by_name() {
        let text = "TcpExt: A B\nTcpExt: 1 2\nMPTcpExt: C D\nMPTcpExt: 3 4\n";
        assert_eq!(
            counters(text),
            BTreeMap::from([("C".to_string(), 3), ("D".to_string(), 4)])
        );
        assert!(counters("MPTcpExt: C D\n").is_empty());
    }
}
