// SPDX-License-Identifier: GPL-2.0

//! Speeds of links, by ethtool's netlink family: sysfs has them too, but those of the network namespace that it was
//! mounted in.

use super::generic::{attributes, Family};
use super::{attribute, nest};
use anyhow::Result;

const LINKMODES_GET: u8 = 4;
const LINKMODES_HEADER: u16 = 1;
const LINKMODES_SPEED: u16 = 5;
const HEADER_DEV_INDEX: u16 = 1;

pub struct Ethtool(Family);

impl Ethtool {
    pub fn open() -> Result<Self> {
        Family::open("ethtool").map(Self)
    }

    /// In Mbit/s; nothing if the NIC does not know, as one without a cable.
    pub fn speed(&mut self, index: u32) -> Option<u32> {
        let header = nest(
            LINKMODES_HEADER,
            &[attribute(HEADER_DEV_INDEX, &index.to_ne_bytes())],
        );
        let answer = self.0.get(LINKMODES_GET, &[header]).ok()?;
        let speed = attributes(&answer).ok()?.u32(LINKMODES_SPEED)?;
        // SPEED_UNKNOWN is -1.
        (speed != 0 && speed != u32::MAX).then_some(speed)
    }
}
