// SPDX-License-Identifier: GPL-2.0

//! What can be seen of a queue, on both sides: its counters, and the connection that it has.
//!
//! Whoever looks waits neither for a connect nor for a tear-down to go on: the connection is kept
//! here a second time, under a lock that is held only to look at it, to publish it and to take it
//! away. Nothing is allocated under that lock, so that a tear-down does not wait for memory.

use super::counters::Counters;
#[cfg(host)]
use super::paths::{
    Path,
    PathSet, //
};
use crate::net::{
    mptcp::Socket,
    reclaim::NoReclaim,
    subflows::{
        text,
        Fallback,
        IpPort,
        Subflow, //
    },
};
#[cfg(host)]
use crate::{
    ffi::bindings,
    net::subflows::Connection, //
};
use kernel::{
    new_mutex,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    str::BStr,
    sync::{
        Arc,
        Mutex, //
    },
};

/// See the [module](self).
#[pin_data]
pub(crate) struct Observed {
    pub(crate) counters: Counters,
    #[pin]
    socket: Mutex<Option<Arc<Socket>>>,
}

impl Observed {
    /// Nothing counted, no connection.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            counters: Counters::new(),
            socket <- new_mutex!(None, "nvme_mptcp_observed"),
        })
    }

    /// There is a connection. It stays until [`gone`](Self::gone).
    pub(crate) fn connected(&self, socket: Arc<Socket>) {
        *self.socket.lock() = Some(socket);
    }

    /// There is none any more; nobody looks at it when this returns.
    pub(crate) fn gone(&self) {
        let socket = self.socket.lock().take();
        drop(socket);
    }

    /// Looks at the connection, if there is one. May sleep for its lock.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&Socket) -> R) -> Option<R> {
        let _scope = NoReclaim::enter();
        self.socket.lock().as_deref().map(look)
    }

    /// Number of subflows that can be used, and what the connection is like.
    #[cfg(host)]
    pub(crate) fn health(&self) -> Option<(usize, Connection)> {
        self.with(|socket| {
            let mut usable = 0usize;
            socket.each_subflow(|subflow| {
                usable = usable.saturating_add(usize::from(subflow.usable));
            });
            (usable, socket.connection())
        })
    }

    /// The paths that can be used, why there may be only one, and whether there are subflows at all.
    #[cfg(host)]
    pub(crate) fn paths(&self) -> Option<(PathSet, Fallback, bool)> {
        self.with(|socket| {
            let mut paths = PathSet::new();
            let mut alive = false;
            socket.each_subflow(|subflow| {
                alive |= u32::from(subflow.state) != bindings::TCP_CLOSE;
                if subflow.usable {
                    paths.insert(Path {
                        local: subflow.local,
                        remote: subflow.remote,
                    });
                }
            });
            (paths, socket.connection().fallback, alive)
        })
    }

    /// Shows all of it, in the format of `Documentation/observability.rst`.
    pub(crate) fn show(&self, out: &SeqFile) {
        self.counters.show(out);
        if self.with(|socket| show_connection(socket, out)).is_none() {
            seq_print!(out, "transport none\n");
            show_fallback(out, Fallback::None, 0);
            seq_print!(out, "congestion -\nretransmitted 0\nsubflows 0\n");
        }
    }
}

fn show_fallback(out: &SeqFile, fallback: Fallback, token: u32) {
    seq_print!(out, "fallback {}\ntoken {:x}\n", fallback.word(), token);
}

fn show_connection(socket: &Socket, out: &SeqFile) {
    let connection = socket.connection();
    let transport = match connection.fallback {
        Fallback::None => "mptcp",
        _ => "tcp",
    };
    seq_print!(out, "transport {transport}\n");
    show_fallback(out, connection.fallback, connection.token);
    let congestion = match connection.congestion() {
        none if none.is_empty() => BStr::from_bytes(b"-"),
        name => name,
    };
    seq_print!(out, "congestion {congestion}\n");
    seq_print!(out, "retransmitted {}\n", connection.retransmitted);

    let mut usable = 0usize;
    socket.each_subflow(|subflow| {
        usable = usable.saturating_add(usize::from(subflow.usable));
        show_subflow(subflow, out);
    });
    seq_print!(out, "subflows {usable}\n");
}

fn show_subflow(subflow: &Subflow, out: &SeqFile) {
    seq_print!(
        out,
        "subflow id={} local={} remote={} interface={} state={} backup={} stale={} timeouts={} usable={}",
        subflow.id,
        IpPort(&subflow.local, subflow.local_port),
        IpPort(&subflow.remote, subflow.remote_port),
        text(&subflow.interface),
        tcp_state(subflow.state),
        u8::from(subflow.backup),
        u8::from(subflow.stale),
        subflow.timeouts,
        u8::from(subflow.usable),
    );
    seq_print!(
        out,
        " rtt_us={} min_rtt_us={} cwnd={} mss={} pacing_rate={} unacked={} unsent={}",
        subflow.rtt,
        subflow.min_rtt,
        subflow.cwnd,
        subflow.mss,
        subflow.pacing_rate,
        subflow.unacked,
        subflow.unsent,
    );
    seq_print!(
        out,
        " bytes_sent={} bytes_acked={} bytes_received={} bytes_retrans={} retransmits={}\n",
        subflow.bytes_sent,
        subflow.bytes_acked,
        subflow.bytes_received,
        subflow.bytes_retrans,
        subflow.retransmits,
    );
}

/// The names of `include/net/tcp_states.h`, as `ss` has them but in small letters.
fn tcp_state(state: u8) -> &'static str {
    match state {
        1 => "established",
        2 => "syn_sent",
        3 => "syn_recv",
        4 => "fin_wait1",
        5 => "fin_wait2",
        6 => "time_wait",
        7 => "close",
        8 => "close_wait",
        9 => "last_ack",
        10 => "listen",
        11 => "closing",
        _ => "new_syn_recv",
    }
}
