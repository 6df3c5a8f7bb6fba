// SPDX-License-Identifier: GPL-2.0

//! How much may be handed to a connection: what keeps its subflows busy, and not more. Pure logic,
//! no kernel in it.
//!
//! MPTCP decides which subflow carries a byte when it gets it, and a subflow takes as much as its
//! send buffer holds, which grows to twice its largest congestion window and never shrinks. What has
//! been decided cannot be taken back: with long queues in the subflows one NIC is idle while another
//! still has a quarter of a second of data, and a command waits behind all of it. So data stays with
//! us until it can be sent soon.
//!
//! What makes room is an acknowledgement by the peer, which may be late: by a round trip, when a
//! packet must be repaired first, and by a tick, until it is acted upon. So long a subflow must not
//! run dry.

/// What a subflow may hold that has not been sent, at the least, in bytes: two bursts of MPTCP's
/// scheduler, which are 64 KiB.
const LEAST: u64 = 128 << 10;

/// How late an acknowledgement is acted upon, in microseconds: a tick at 250 Hz.
const DELAY_US: u64 = 4_000;

/// A subflow of a connection, as far as this is concerned.
#[derive(Clone, Copy, Default)]
pub(crate) struct Subflow {
    /// Bytes that it has been given and has not sent.
    pub(crate) unsent: u32,
    /// What it can send, in bytes per second.
    pub(crate) rate: u64,
    /// The smallest round-trip time seen, in microseconds.
    pub(crate) min_rtt: u32,
}

impl Subflow {
    /// Bytes that it may hold unsent.
    fn allowance(&self) -> u64 {
        let time = u64::from(self.min_rtt).saturating_add(DELAY_US);
        (self.rate / 1_000).saturating_mul(time / 1_000).max(LEAST)
    }
}

/// How many bytes more these subflows may be given.
///
/// # Errors
///
/// How many they must send before it is worth while: a quarter of what they may hold should be
/// free, so that there are few wake-ups and large batches.
pub(crate) fn room(subflows: &[Subflow]) -> Result<u64, u64> {
    // A connection that is coming to its end, which the socket knows more about.
    if subflows.is_empty() {
        return Ok(u64::MAX);
    }
    let (mut all, mut free) = (0u64, 0u64);
    for subflow in subflows {
        let allowance = subflow.allowance();
        all = all.saturating_add(allowance);
        // Each has its own: one that is stuck takes nothing away from the others.
        free = free.saturating_add(allowance.saturating_sub(u64::from(subflow.unsent)));
    }
    match (all / 4).saturating_sub(free) {
        0 => Ok(free),
        missing => Err(missing),
    }
}

#[cfg(any(test, host))]
#[cfg_attr(not(test), kernel::prelude::kunit_tests(nvme_mptcp_allowance))]
mod tests {
    use super::*;

    fn subflow(unsent: u32, rate: u64, min_rtt: u32) -> Subflow {
        Subflow {
            unsent,
            rate,
            min_rtt,
        }
    }

    #[test]
    fn an_idle_subflow_may_have_the_least() {
        assert_eq!(room(&[subflow(0, 0, 0)]), Ok(LEAST));
        assert_eq!(room(&[subflow(0, 1_000_000, 100)]), Ok(LEAST));
    }

    #[test]
    fn a_fast_or_long_one_may_have_more() {
        // 10 Gbit/s for 4 ms, 100 Mbit/s for 54 ms.
        assert_eq!(room(&[subflow(0, 1_250_000_000, 100)]), Ok(5_000_000));
        assert_eq!(room(&[subflow(0, 12_500_000, 50_000)]), Ok(675_000));
    }

    #[test]
    fn nothing_below_a_quarter() {
        let least = LEAST as u32;
        assert_eq!(room(&[subflow(least / 4 * 3, 0, 0)]), Ok(LEAST / 4));
        assert_eq!(room(&[subflow(least / 4 * 3 + 1, 0, 0)]), Err(1));
        assert_eq!(room(&[subflow(least, 0, 0)]), Err(LEAST / 4));
    }

    #[test]
    fn one_that_is_stuck_does_not_block_the_others() {
        let stuck = subflow(u32::MAX, 0, 0);
        assert_eq!(room(&[stuck, subflow(0, 0, 0)]), Ok(LEAST));
        assert_eq!(room(&[stuck; 4]), Err(LEAST));
    }

    #[test]
    fn what_is_missing_is_never_more_than_what_is_unsent() {
        for unsent in (0..10 * LEAST as u32).step_by(4099) {
            for other in (0..2 * LEAST as u32).step_by(8191) {
                let subflows = [subflow(unsent, 0, 0), subflow(other, 50_000_000, 20_000)];
                if let Err(missing) = room(&subflows) {
                    assert!(missing > 0 && missing <= u64::from(unsent) + u64::from(other));
                }
            }
        }
    }

    #[test]
    fn nothing_overflows() {
        let most = subflow(0, u64::MAX, u32::MAX);
        assert_eq!(room(&[most; 16]), Ok(u64::MAX));
        assert_eq!(room(&[]), Ok(u64::MAX));
    }
}
