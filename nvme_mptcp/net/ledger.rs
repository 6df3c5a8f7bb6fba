// SPDX-License-Identifier: GPL-2.0

//! How far did a partial send get? Pure logic, no kernel in it.
//!
//! A batch is a sequence of PDUs that goes out in one send, which may take any number of its bytes.
//! A [`Ledger`] keeps one entry a PDU and, when the send has returned, tells the fate of each. It
//! keeps its own lengths: once a PDU is out completely the request behind it may be answered,
//! completed and recycled at any moment, so nobody may look at it.

/// What a send did to one PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All of it is out, and nothing of its request is left to send: do not touch the request.
    Done,
    /// All of it is out, and another PDU of the same request follows.
    Next,
    /// This many bytes of what the batch had of it are out; the rest must be the next thing sent.
    Partial(u32),
    /// Nothing of it is out.
    Unsent,
}

/// One PDU, or a part of one, in a batch.
struct Entry<T> {
    item: T,
    /// Bytes of it in the batch.
    bytes: u32,
    /// Bytes of the PDU that did not fit into the batch; not 0 in the last entry only.
    left: u32,
    /// Another PDU of the same request follows.
    more: bool,
}

/// The PDUs of a batch, at most `N`, in the order in which they are sent.
pub(crate) struct Ledger<T, const N: usize> {
    entries: [Option<Entry<T>>; N],
    used: usize,
    bytes: usize,
}

impl<T, const N: usize> Ledger<T, N> {
    /// An empty ledger.
    pub(crate) const fn new() -> Self {
        Self {
            entries: [const { None }; N],
            used: 0,
            bytes: 0,
        }
    }

    /// Whether no PDU is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Whether no further PDU can be added: there is no room, or the last one is in only in part.
    pub(crate) fn is_full(&self) -> bool {
        self.used == N || self.last_left() != 0
    }

    /// Bytes of the batch.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the last PDU is in only in part.
    #[cfg(not(host))]
    pub(crate) fn is_cut(&self) -> bool {
        self.last_left() != 0
    }

    /// Number of PDUs.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    fn last_left(&self) -> u32 {
        self.used
            .checked_sub(1)
            .and_then(|last| self.entries.get(last))
            .and_then(Option::as_ref)
            .map_or(0, |entry| entry.left)
    }

    /// Adds a PDU of which `bytes` are in the batch and `left` are not. Returns false, and adds
    /// nothing, if it is full.
    #[must_use]
    pub(crate) fn push(&mut self, item: T, bytes: u32, left: u32, more: bool) -> bool {
        if self.is_full() {
            return false;
        }
        let Some(slot) = self.entries.get_mut(self.used) else {
            return false;
        };
        *slot = Some(Entry {
            item,
            bytes,
            left,
            more,
        });
        self.used = self.used.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes as usize);
        true
    }

    /// Empties the ledger, telling each PDU's fate after `sent` bytes of the batch are out, **last
    /// PDU first**, which is the order in which to put unsent ones back to the head of a list.
    pub(crate) fn settle(&mut self, sent: usize, mut tell: impl FnMut(T, Fate)) {
        let mut unsent = self.bytes.saturating_sub(sent);

        for slot in self.entries.iter_mut().take(self.used).rev() {
            let Some(entry) = slot.take() else {
                continue;
            };
            let bytes = entry.bytes as usize;
            let fate = if unsent == 0 {
                match (entry.left, entry.more) {
                    (0, false) => Fate::Done,
                    (0, true) => Fate::Next,
                    _ => Fate::Partial(entry.bytes),
                }
            } else if unsent >= bytes {
                unsent = unsent.saturating_sub(bytes);
                Fate::Unsent
            } else {
                // Less than `entry.bytes`, thus it fits.
                let out = bytes.saturating_sub(unsent) as u32;
                unsent = 0;
                Fate::Partial(out)
            };
            tell(entry.item, fate);
        }
        self.used = 0;
        self.bytes = 0;
    }
}

#[cfg(any(test, host))]
#[cfg_attr(not(test), kernel::prelude::kunit_tests(nvme_mptcp_ledger))]
mod tests {
    use super::*;

    const N: usize = 8;

    #[test]
    fn empty() {
        assert!(told(&[], 0, &[]));
    }

    #[test]
    fn nothing_sent() {
        let pdus = [(72, 0, false), (10, 5, false)];
        assert!(told(&pdus, 0, &[Fate::Unsent; 2]));
    }

    #[test]
    fn all_sent() {
        let pdus = [(72, 0, false), (72, 0, true), (100, 28, false)];
        let expected = [Fate::Done, Fate::Next, Fate::Partial(100)];
        assert!(told(&pdus, 244, &expected));
    }

    #[test]
    fn one_byte_short_and_one_over() {
        let pdus = [(72, 0, false), (24, 0, true)];
        assert!(told(&pdus, 71, &[Fate::Partial(71), Fate::Unsent]));
        assert!(told(&pdus, 72, &[Fate::Done, Fate::Unsent]));
        assert!(told(&pdus, 73, &[Fate::Done, Fate::Partial(1)]));
        assert!(told(&pdus, 95, &[Fate::Done, Fate::Partial(23)]));
        assert!(told(&pdus, 96, &[Fate::Done, Fate::Next]));
    }

    #[test]
    fn a_socket_that_says_too_much_is_not_believed() {
        assert!(told(&[(72, 0, false)], 1000, &[Fate::Done]));
    }

    #[test]
    fn full_by_number_and_by_a_partial_pdu() {
        let mut ledger = Ledger::<(), 2>::new();
        assert!(ledger.push((), 1, 0, false));
        assert!(ledger.push((), 1, 0, false));
        assert!(ledger.is_full());
        assert!(!ledger.push((), 1, 0, false));
        assert_eq!(ledger.bytes(), 2);

        let mut ledger = Ledger::<(), 2>::new();
        assert!(ledger.push((), 1, 1, false));
        assert!(ledger.is_full());
        assert!(!ledger.push((), 1, 0, false));
    }

    /// Every number of bytes for every split of small batches: the fates must add up to exactly
    /// what was sent.
    #[test]
    fn every_split_adds_up() {
        for a in 1..6u32 {
            for b in 1..6u32 {
                for c in 1..6u32 {
                    for left in 0..2u32 {
                        for sent in 0..=(a + b + c) {
                            let pdus = [(a, 0, false), (b, 0, true), (c, left, false)];
                            check(&pdus, sent as usize);
                        }
                    }
                }
            }
        }
    }

    /// The same for random batches of realistic sizes.
    #[test]
    fn random_splits_add_up() {
        let mut seed = 0x1234_5678_9abc_def1_u64;
        let mut random = move |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for _ in 0..if cfg!(test) { 20_000 } else { 500 } {
            let mut pdus = [(0, 0, false); N];
            let n = 1 + random(N as u64) as usize;
            for pdu in &mut pdus[..n] {
                *pdu = (1 + random(200_000) as u32, 0, random(2) == 1);
            }
            pdus[n - 1].1 = random(3) as u32 * 4096;
            let total: u64 = pdus.iter().map(|pdu| u64::from(pdu.0)).sum();
            check(&pdus[..n], random(total + 1) as usize);
        }
    }

    fn check(pdus: &[(u32, u32, bool)], sent: usize) {
        let fates = fates(pdus, sent);
        let mut total = 0;
        let mut broken = false;
        for (&(bytes, left, more), fate) in pdus.iter().zip(fates.iter().flatten()) {
            match *fate {
                Fate::Done => assert!(left == 0 && !more),
                Fate::Next => assert!(left == 0 && more),
                Fate::Partial(n) => assert!(n >= 1 && (n < bytes || left > 0)),
                Fate::Unsent => {}
            }
            // After the first PDU that is not out completely nothing is out.
            assert!(!broken || *fate == Fate::Unsent);
            broken |= !matches!(fate, Fate::Done | Fate::Next);
            total += match *fate {
                Fate::Done | Fate::Next => bytes as usize,
                Fate::Partial(n) => n as usize,
                Fate::Unsent => 0,
            };
        }
        assert_eq!(total, sent);
    }

    /// The fates of PDUs given as (bytes, left, more), in the order of sending.
    fn fates(pdus: &[(u32, u32, bool)], sent: usize) -> [Option<Fate>; N] {
        let mut ledger = Ledger::<usize, N>::new();
        for (i, &(bytes, left, more)) in pdus.iter().enumerate() {
            assert!(ledger.push(i, bytes, left, more));
        }
        assert_eq!(ledger.len(), pdus.len());
        let mut fates = [None; N];
        let mut expected = pdus.len();
        ledger.settle(sent, |item, fate| {
            // The last one first.
            expected -= 1;
            assert_eq!(item, expected);
            fates[item] = Some(fate);
        });
        assert_eq!(expected, 0);
        assert!(ledger.is_empty());
        fates
    }

    /// Whether these are the fates.
    fn told(pdus: &[(u32, u32, bool)], sent: usize, expected: &[Fate]) -> bool {
        let fates = fates(pdus, sent);
        fates.iter().flatten().eq(expected)
    }
}
