// SPDX-License-Identifier: GPL-2.0

//! The command line. Completions and man pages are generated from it.

use clap::{ArgGroup, Args, Parser, Subcommand, ValueHint};
use std::net::IpAddr;
use std::path::PathBuf;

/// Shows, sets up and diagnoses NVMe over Multipath TCP
///
/// One NVMe/TCP controller over all NICs: the modules nvme_mptcp (host) and nvmet_mptcp (target) do that; this
/// program shows what they use, tells MPTCP which paths there are, and finds out why a path is not used.
/// It looks at the network namespace that it runs in.
#[derive(Parser)]
#[command(name = "nvme-mptcp", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Show controllers, their connections and paths, and how the bytes spread over the NICs
    Status(Status),
    /// Find out what is wrong, and tell the command that mends it
    ///
    /// Exit status: 0 if all is sound, 1 if there is a problem, 2 if it could not look.
    Doctor(Doctor),
    /// Tell MPTCP which NICs to use
    #[command(subcommand)]
    Paths(Paths),
    /// Connect to a target, with the options that "nvme connect -t mptcp" cannot carry
    ///
    /// Options are named as those of nvme-connect(1), which passes digests on for -t tcp only.
    Connect(Box<Connect>),
    /// Connect to every target that a file names, as nvme-mptcp-connect.service does at boot
    ///
    /// Each line of the file has the options of one "nvme-mptcp connect"; lines that are empty or begin with # are none.
    /// A controller that is there already is left alone, and a target that cannot be reached keeps no other
    /// from being connected. Exit status: 0 if all are connected, 2 if not.
    ConnectAll(ConnectAll),
    /// Watch bandwidth, retransmissions, round-trip times and batches
    Top(Top),
    /// Write shell completions and man pages
    #[command(hide = true)]
    Generate {
        /// Directory for them
        directory: PathBuf,
    },
}

#[derive(Args)]
pub struct Status {
    /// Also list each path of each connection
    #[arg(short, long)]
    pub verbose: bool,
    /// Print everything as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Doctor {
    /// Also try to reach this target, from each NIC
    #[arg(long, value_name = "ADDRESS")]
    pub peer: Option<IpAddr>,
    /// Port of the peer
    #[arg(long, value_name = "PORT", default_value_t = 4420, requires = "peer")]
    pub port: u16,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand)]
pub enum Paths {
    /// Show limits, endpoints and the NICs that could be paths
    Show(Show),
    /// Set limits and endpoints for NICs; only says what it would do, unless told --apply
    Setup(Setup),
    /// Remove endpoints, and what --persistent has written; only says so, unless told --apply
    Clear(Clear),
}

#[derive(Args)]
pub struct Show {
    /// Print everything as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[command(group(ArgGroup::new("side").required(true).args(["host", "target"])))]
pub struct Setup {
    /// This machine is a host: it makes subflows from the addresses of the NICs
    #[arg(long)]
    pub host: bool,
    /// This machine is a target: it announces the addresses of the NICs
    #[arg(long)]
    pub target: bool,
    /// The NICs, as eth1 eth2; without any, all of hardware that are up and have an address
    ///
    /// Bridges, bonds, VLANs, tunnels and other virtual ones, and ports of a bond or bridge, are taken if named only. One that
    /// is missing or has no address is warned of and left out; the exit status is then 2, and the others are set up.
    #[arg(value_name = "NIC")]
    pub nics: Vec<String>,
    /// Do it
    #[arg(long)]
    pub apply: bool,
    /// Also do it at every boot, by a systemd unit; it tries again while a NIC is missing
    #[arg(long)]
    pub persistent: bool,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Args)]
pub struct Clear {
    /// The NICs; without any, all endpoints
    #[arg(value_name = "NIC")]
    pub nics: Vec<String>,
    /// Do it
    #[arg(long)]
    pub apply: bool,
    /// Also what live connections of NVMe need: one that loses its first path this way may stall for a minute
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Args)]
pub struct Place {
    /// Where the unit file of --persistent is
    #[arg(long, hide = true, default_value = "/etc/systemd/system", value_hint = ValueHint::DirPath)]
    pub unit_directory: PathBuf,
}

#[derive(Args)]
pub struct Top {
    /// Seconds between two looks
    #[arg(short, long, default_value_t = 1.0, value_parser = interval)]
    pub interval: f64,
    /// Print one frame as text and end; for scripts, and when there is no terminal
    #[arg(long)]
    pub once: bool,
}

fn interval(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("not a number from 0.1 to 3600".into()),
    }
}

#[derive(Args)]
pub struct ConnectAll {
    /// The file
    #[arg(default_value = "/etc/nvme-mptcp/connect.conf", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Say what would be written to /dev/nvme-fabrics, and do not
    #[arg(long)]
    pub dry_run: bool,
}

/// A line of the file of connect-all.
#[derive(Parser)]
#[command(name = "connect", no_binary_name = true, disable_help_flag = true)]
pub struct ConnectLine {
    #[command(flatten)]
    pub connect: Connect,
}

#[derive(Args)]
pub struct Connect {
    /// Subsystem NQN
    #[arg(short = 'n', long, value_name = "NQN")]
    pub nqn: String,
    /// Address or name of the target
    #[arg(short = 'a', long, value_name = "ADDRESS", value_hint = ValueHint::Hostname)]
    pub traddr: String,
    /// Port of the target
    #[arg(short = 's', long, value_name = "PORT", default_value_t = 4420)]
    pub trsvcid: u16,
    /// Only mptcp; taken for the likeness to nvme-connect
    #[arg(short = 't', long, default_value = "mptcp", value_parser = ["mptcp"])]
    pub transport: String,
    /// Local address of the first path
    #[arg(short = 'w', long, value_name = "ADDRESS")]
    pub host_traddr: Option<String>,
    /// Interface of the first path
    #[arg(short = 'f', long, value_name = "NIC")]
    pub host_iface: Option<String>,
    /// NQN of this host [default: /etc/nvme/hostnqn]
    #[arg(short = 'q', long, value_name = "NQN")]
    pub hostnqn: Option<String>,
    /// ID of this host [default: /etc/nvme/hostid]
    #[arg(short = 'I', long, value_name = "UUID")]
    pub hostid: Option<String>,
    /// Secret for in-band authentication of the host
    #[arg(short = 'S', long, value_name = "SECRET")]
    pub dhchap_secret: Option<String>,
    /// Secret for in-band authentication of the controller
    #[arg(short = 'C', long, value_name = "SECRET")]
    pub dhchap_ctrl_secret: Option<String>,
    /// Number of I/O queues, thus of MPTCP connections
    #[arg(short = 'i', long, value_name = "N")]
    pub nr_io_queues: Option<u32>,
    /// Number of additional queues for writes
    #[arg(short = 'W', long, value_name = "N")]
    pub nr_write_queues: Option<u32>,
    /// Number of additional queues for polled I/O
    #[arg(short = 'P', long, value_name = "N")]
    pub nr_poll_queues: Option<u32>,
    /// Entries of a queue
    #[arg(short = 'Q', long, value_name = "N")]
    pub queue_size: Option<u32>,
    /// Seconds after which a silent target is given up
    #[arg(short = 'k', long, value_name = "SECONDS")]
    pub keep_alive_tmo: Option<u32>,
    /// Seconds between attempts to reconnect
    #[arg(short = 'c', long, value_name = "SECONDS")]
    pub reconnect_delay: Option<u32>,
    /// Seconds without success after which the controller is removed; -1 for never
    #[arg(
        short = 'l',
        long,
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    pub ctrl_loss_tmo: Option<i32>,
    /// Seconds without success after which I/O fails
    #[arg(
        short = 'F',
        long = "fast_io_fail_tmo",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    pub fast_io_fail_tmo: Option<i32>,
    /// Type of service of the packets (IPv4)
    #[arg(short = 'T', long, value_name = "TOS")]
    pub tos: Option<u8>,
    /// Allow another controller to the same port of the same subsystem
    #[arg(short = 'D', long)]
    pub duplicate_connect: bool,
    /// No submission queue flow control
    #[arg(short = 'd', long)]
    pub disable_sqflow: bool,
    /// CRC32C over the header of each PDU
    #[arg(short = 'g', long)]
    pub hdr_digest: bool,
    /// CRC32C over the data of each PDU
    #[arg(short = 'G', long)]
    pub data_digest: bool,
    /// Print the name of the new controller as text or JSON
    #[arg(short = 'o', long, default_value = "normal", value_parser = ["normal", "json"])]
    pub output_format: String,
    /// Say what would be written to /dev/nvme-fabrics, and do not
    #[arg(long)]
    pub dry_run: bool,
}
