// SPDX-License-Identifier: GPL-2.0

//! Doing it at every boot, by a systemd unit.
//!
//! Debian configures networks by ifupdown, systemd-networkd or NetworkManager, and each has hooks of its own. What
//! they share is systemd and network-online.target, which each of them reaches when its NICs have
//! addresses. The unit names NICs, not addresses, so it is right with DHCP as well; endpoints outlive a
//! link that goes down and comes back, so once a boot is enough.

use anyhow::{Context, Result};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const NAME: &str = "nvme-mptcp-paths.service";

pub struct Unit {
    directory: PathBuf,
    text: String,
}

impl Unit {
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
            text: String::new(),
        }
    }

    pub fn with(mut self, host: bool, nics: &[&str]) -> Result<Self> {
        let program = std::env::current_exe().context("where is this program?")?;
        self.text = text(&program.to_string_lossy(), host, nics);
        Ok(self)
    }

    pub fn file(&self) -> PathBuf {
        self.directory.join(NAME)
    }

    /// What "systemctl enable" would make.
    pub fn link(&self) -> PathBuf {
        self.directory.join("multi-user.target.wants").join(NAME)
    }

    pub fn exists(&self) -> bool {
        self.file().exists() || self.link().is_symlink()
    }

    pub fn as_command(&self) -> String {
        format!(
            "cat > {} <<EOF\n{}EOF\nsystemctl enable {NAME}",
            self.file().display(),
            self.text
        )
    }

    pub fn write(&self) -> Result<()> {
        let (file, link) = (self.file(), self.link());
        let wants = self.directory.join("multi-user.target.wants");
        fs::create_dir_all(&wants).with_context(|| format!("cannot make {}", wants.display()))?;
        fs::write(&file, &self.text).with_context(|| format!("cannot write {}", file.display()))?;
        match symlink(&file, &link) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(error).with_context(|| format!("cannot make {}", link.display()))
            }
            _ => Ok(()),
        }
    }

    pub fn remove(&self) -> Result<()> {
        for path in [self.link(), self.file()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()))
                }
                _ => (),
            }
        }
        Ok(())
    }
}

/// A word of ExecStart: systemd expands percent signs and dollars.
fn word(text: &str) -> String {
    text.replace('%', "%%").replace('$', "$$")
}

fn text(program: &str, host: bool, nics: &[&str]) -> String {
    let side = if host { "--host" } else { "--target" };
    let nics: Vec<String> = nics.iter().map(|nic| word(nic)).collect();
    format!(
        "# Written by \"nvme-mptcp paths setup --persistent\"; \"nvme-mptcp paths clear --apply\" removes it.\n\
         [Unit]\n\
         Description=Tell MPTCP which NICs are paths for NVMe\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         Before=nvme-mptcp-connect.service nvmf-autoconnect.service nvmet-config.service\n\
         ConditionFileIsExecutable={}\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         ExecStart={} paths setup {side} --apply {}\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        // A path as it is, but for percent signs: no variables are expanded there.
        program.replace('%', "%%"),
        word(program),
        nics.join(" "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_names_nics() {
        let text = text("/usr/bin/nvme-mptcp", true, &["eth1", "a%b"]);
        assert!(
            text.contains("ExecStart=/usr/bin/nvme-mptcp paths setup --host --apply eth1 a%%b\n")
        );
    }

    #[test]
    fn no_variable_in_a_condition() {
        let text = text("/opt/$5%/nvme-mptcp", true, &["eth1"]);
        assert!(text.contains("ConditionFileIsExecutable=/opt/$5%%/nvme-mptcp\n"));
        assert!(text.contains("ExecStart=/opt/$$5%%/nvme-mptcp paths"));
    }

    #[test]
    fn written_twice_and_removed_twice() {
        let directory =
            std::env::temp_dir().join(format!("nvme-mptcp-unit-{}", std::process::id()));
        let unit = Unit::new(&directory).with(false, &["eth1"]).unwrap();
        unit.write().unwrap();
        unit.write().unwrap();
        assert!(
            unit.exists()
                && fs::read_to_string(unit.link())
                    .unwrap()
                    .contains("--target")
        );
        unit.remove().unwrap();
        unit.remove().unwrap();
        assert!(!unit.exists());
        fs::remove_dir_all(directory).unwrap();
    }
}
