// SPDX-License-Identifier: GPL-2.0

//! Doing it at every boot, by a systemd unit.
//!
//! Debian configures networks by ifupdown, systemd-networkd or NetworkManager, and each has hooks of its own. What
//! they share is systemd and network-online.target, which each of them reaches when its NICs have
//! addresses. The unit names NICs, not addresses, so it is right with DHCP as well; endpoints outlive a
//! link that goes down and comes back, so once a boot is enough. A NIC that is late, or dead, keeps no other from being
//! set up: it is tried again, ever more seldom.

use crate::{advice, atomic};
use anyhow::{bail, Context, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const NAME: &str = "nvme-mptcp-paths.service";
/// Where systemd looks for what an administrator has written.
const SYSTEMS: &str = "/etc/systemd/system";

#[derive(Debug, PartialEq)]
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
        let program = program
            .to_str()
            .context("the path of this program is not UTF-8")?;
        self.text = text(program, host, nics)?;
        Ok(self)
    }

    fn file(&self) -> PathBuf {
        self.directory.join(NAME)
    }

    fn wants(&self) -> PathBuf {
        self.directory.join("multi-user.target.wants")
    }

    /// What "systemctl enable" would make.
    fn link(&self) -> PathBuf {
        self.wants().join(NAME)
    }

    pub fn exists(&self) -> bool {
        self.file().exists() || self.link().is_symlink()
    }

    /// For a shell.
    pub fn quoted_file(&self) -> String {
        let file = self.file().display().to_string();
        match is_plain(&file) {
            true => file,
            false => format!("'{}'", file.replace('\'', r"'\''")),
        }
    }

    pub fn as_command(&self) -> String {
        format!(
            "cat > {} <<'EOF'\n{}EOF\nsystemctl enable {NAME}",
            self.quoted_file(),
            self.text
        )
    }

    pub fn write(&self) -> Result<()> {
        atomic::directory(&self.directory)?;
        atomic::directory(&self.wants())?;
        atomic::write(&self.file(), &self.text)?;
        atomic::link(&self.file(), &self.link())?;
        self.systemctl(&["daemon-reload"]);
        Ok(())
    }

    pub fn remove(&self) -> Result<()> {
        // It may be about to be started again.
        self.systemctl(&["stop", NAME]);
        for path in [self.link(), self.file()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()))
                }
                _ => (),
            }
        }
        self.systemctl(&["daemon-reload"]);
        Ok(())
    }

    /// Where systemd runs, and has the unit.
    fn systemctl(&self, arguments: &[&str]) {
        if self.directory != Path::new(SYSTEMS) || !Path::new("/run/systemd/system").is_dir() {
            return;
        }
        let ended = Command::new("systemctl").args(arguments).status();
        if !ended.is_ok_and(|status| status.success()) {
            advice::warn(&format!("this fails: systemctl {}", arguments.join(" ")));
        }
    }
}

/// Nothing in it means something to systemd or a shell.
fn is_plain(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_./@:+-".contains(letter);
    !text.is_empty() && text.chars().all(plain)
}

/// systemd puts something else in the place of "%n", everywhere in a unit.
fn specifiers(text: &str) -> Result<String> {
    if text.contains(char::is_control) {
        bail!("no name with a control character in a unit: {text:?}");
    }
    Ok(text.replace('%', "%%"))
}

/// The first word of ExecStart, or a later one where dollars are taken for variables.
fn word(text: &str, first: bool) -> Result<String> {
    let mut word = specifiers(text)?;
    if !first {
        word = word.replace('$', "$$");
    }
    Ok(match is_plain(text) {
        true => word,
        false => format!("\"{}\"", word.replace('\\', r"\\").replace('"', "\\\"")),
    })
}

fn text(program: &str, host: bool, nics: &[&str]) -> Result<String> {
    let side = if host { "--host" } else { "--target" };
    let nics: Result<Vec<String>> = nics.iter().map(|nic| word(nic, false)).collect();
    Ok(format!(
        "# Written by \"nvme-mptcp paths setup --persistent\"; \"nvme-mptcp paths clear --apply\" removes it.\n\
         [Unit]\n\
         Description=Tell MPTCP which NICs are paths for NVMe\n\
         Documentation=man:nvme-mptcp-paths-setup(1)\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         Before=nvme-mptcp-connect.service nvmf-autoconnect.service nvmet-config.service\n\
         ConditionFileIsExecutable={}\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         ExecStart={} paths setup {side} --apply -- {}\n\
         # A NIC was missing: soon again, and every five minutes in the end.\n\
         Restart=on-failure\n\
         RestartSec=5\n\
         RestartSteps=10\n\
         RestartMaxDelaySec=300\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        specifiers(program)?,
        word(program, true)?,
        nics?.join(" "),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_unit_names_nics() {
        let text = text("/usr/bin/nvme-mptcp", true, &["eth1", "a%b"]).unwrap();
        let line = "ExecStart=/usr/bin/nvme-mptcp paths setup --host --apply -- eth1 \"a%%b\"\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn what_means_something_to_systemd_is_quoted() {
        let text = text("/opt/a b$c", false, &["a$b", ";", "q\"\\", "-x"]).unwrap();
        let line =
            r#"ExecStart="/opt/a b$c" paths setup --target --apply -- "a$$b" ";" "q\"\\" -x"#;
        assert!(text.contains(&format!("{line}\n")), "{text}");
        assert!(
            text.contains("ConditionFileIsExecutable=/opt/a b$c\n"),
            "{text}"
        );
        assert!(super::text("/bin/x", true, &["a\nExecStart=/bin/sh"]).is_err());
        assert!(super::text("/bin/x\n", true, &[]).is_err());
    }

    #[test]
    fn written_twice_and_removed_twice() {
        let place = tempfile::tempdir().unwrap();
        let unit = Unit::new(place.path()).with(false, &["eth1"]).unwrap();
        unit.write().unwrap();
        unit.write().unwrap();
        let through_link = fs::read_to_string(unit.link()).unwrap();
        assert!(unit.exists() && through_link.contains("--target"));
        unit.remove().unwrap();
        unit.remove().unwrap();
        assert!(!unit.exists());
    }

    #[test]
    fn links_of_others_are_replaced() {
        let place = tempfile::tempdir().unwrap();
        let unit = Unit::new(&place.path().join("units"));
        let unit = unit.with(true, &["eth1"]).unwrap();
        let other = place.path().join("other");
        fs::write(&other, "kept").unwrap();
        fs::create_dir_all(unit.wants()).unwrap();
        symlink(&other, unit.file()).unwrap();
        symlink(&other, unit.link()).unwrap();
        unit.write().unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "kept");
        assert_eq!(fs::read_link(unit.link()).unwrap(), unit.file());
        assert!(!unit.file().is_symlink());
    }
}
