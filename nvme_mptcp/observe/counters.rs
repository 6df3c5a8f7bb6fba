// SPDX-License-Identifier: GPL-2.0

//! What a queue has sent and received.
//!
//! Each counter is written by one at a time, who holds the lock of the sender or of the receiver, so
//! counting is a plain addition; readers take no lock.

use kernel::{
    seq_file::SeqFile,
    seq_print,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// Counters of one queue.
pub(crate) struct Counters {
    batches: Atomic<u64>,
    pdus: Atomic<u64>,
    segments: Atomic<u64>,
    bytes_sent: Atomic<u64>,
    partial: Atomic<u64>,
    largest: Atomic<u64>,
    bytes_received: Atomic<u64>,
    receives: Atomic<u64>,
}

/// One send of a batch, as far as it counts.
#[derive(Clone, Copy)]
pub(crate) struct SentBatch {
    /// PDUs in it, and those of them that are out completely.
    pub(crate) pdus: usize,
    pub(crate) done: usize,
    /// Pieces of memory.
    pub(crate) segments: usize,
    /// Bytes in it, and those that the socket has taken.
    pub(crate) bytes: usize,
    pub(crate) sent: usize,
}

impl Counters {
    /// All zero.
    pub(crate) const fn new() -> Self {
        Self {
            batches: Atomic::new(0),
            pdus: Atomic::new(0),
            segments: Atomic::new(0),
            bytes_sent: Atomic::new(0),
            partial: Atomic::new(0),
            largest: Atomic::new(0),
            bytes_received: Atomic::new(0),
            receives: Atomic::new(0),
        }
    }

    /// Counts a batch. For the holder of the send lock.
    pub(crate) fn sent(&self, batch: &SentBatch) {
        add(&self.batches, 1);
        add(&self.pdus, batch.done);
        add(&self.segments, batch.segments);
        add(&self.bytes_sent, batch.sent);
        if batch.sent < batch.bytes {
            add(&self.partial, 1);
        }
        if batch.pdus as u64 > self.largest.load(Relaxed) {
            self.largest.store(batch.pdus as u64, Relaxed);
        }
    }

    /// Counts what has been received. For the one who receives.
    pub(crate) fn received(&self, bytes: usize) {
        add(&self.bytes_received, bytes);
        add(&self.receives, 1);
    }
}

impl Counters {
    /// Shows all of them, in the format of `Documentation/observability.rst`.
    pub(super) fn show(&self, out: &SeqFile) {
        for (key, counter) in [
            ("batches_sent", &self.batches),
            ("pdus_sent", &self.pdus),
            ("segments_sent", &self.segments),
            ("bytes_sent", &self.bytes_sent),
            ("partial_batches", &self.partial),
            ("largest_batch", &self.largest),
            ("bytes_received", &self.bytes_received),
            ("receives", &self.receives),
        ] {
            seq_print!(out, "{key} {}\n", counter.load(Relaxed));
        }
    }
}

/// Not atomic as a whole: nobody else writes.
fn add(counter: &Atomic<u64>, n: usize) {
    counter.store(counter.load(Relaxed).wrapping_add(n as u64), Relaxed);
}
