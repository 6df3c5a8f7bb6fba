// SPDX-License-Identifier: GPL-2.0

//! Generic netlink: families by their names.

use super::{attribute, Attributes, Connection, Message};
use anyhow::{Context, Result};
use netlink_packet_core::DefaultNla;
use netlink_sys::protocols::NETLINK_GENERIC;

const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const HEADER: usize = 4;

/// A family of generic netlink, and a connection to it.
pub struct Family {
    connection: Connection,
    id: u16,
}

impl Family {
    /// Fails with ENOENT if the kernel has no such family.
    pub fn open(name: &str) -> Result<Self> {
        let mut connection = Connection::open(NETLINK_GENERIC)?;
        let name = [name.as_bytes(), b"\0"].concat();
        let answer = connection.get(Message::new(
            GENL_ID_CTRL,
            &[CTRL_CMD_GETFAMILY, 1, 0, 0],
            &[attribute(CTRL_ATTR_FAMILY_NAME, &name)],
        ))?;
        let (_, attributes) = answer.split(HEADER)?;
        let id = attributes
            .get(CTRL_ATTR_FAMILY_ID)
            .and_then(|bytes| Some(u16::from_ne_bytes(bytes.try_into().ok()?)))
            .context("the kernel does not tell the family's number")?;
        Ok(Self { connection, id })
    }

    fn message(&self, command: u8, attributes: &[DefaultNla]) -> Message {
        Message::new(self.id, &[command, 1, 0, 0], attributes)
    }

    pub fn get(&mut self, command: u8, attributes: &[DefaultNla]) -> Result<Message> {
        let message = self.message(command, attributes);
        self.connection.get(message)
    }

    pub fn dump(&mut self, command: u8) -> Result<Vec<Message>> {
        let message = self.message(command, &[]);
        self.connection.dump(message)
    }

    pub fn order(&mut self, command: u8, attributes: &[DefaultNla]) -> Result<()> {
        let message = self.message(command, attributes);
        self.connection.order(message)
    }
}

/// What comes after the header of an answer.
pub fn attributes(message: &Message) -> Result<Attributes<'_>> {
    message.split(HEADER).map(|(_, attributes)| attributes)
}
