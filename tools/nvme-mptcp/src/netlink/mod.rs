// SPDX-License-Identifier: GPL-2.0

//! Netlink: requests, dumps, and attributes.
//!
//! One kind of message serves all protocols here: a fixed header as bytes, then attributes. Only the few
//! attributes that the tool shows are decoded, and what it does not know it skips: a newer kernel
//! must not be an error to a tool that is to find errors.

pub mod diag;
pub mod ethtool;
pub mod generic;
pub mod pm;
pub mod route;

use anyhow::{bail, Context, Result};
use netlink_packet_core::{
    DefaultNla, Emitable, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable, NlasIterator, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST,
};
use netlink_sys::{Socket, SocketAddr};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A message to the kernel, or from it.
pub struct Message {
    kind: u16,
    body: Vec<u8>,
}

impl Message {
    /// `fixed` is the header of the protocol, whose length is a multiple of four.
    pub fn new(kind: u16, fixed: &[u8], attributes: &[DefaultNla]) -> Self {
        let mut body = fixed.to_vec();
        body.extend(emitted(attributes));
        Self { kind, body }
    }

    /// The header, of which so many bytes are wanted, and the attributes behind it.
    fn split(&self, fixed: usize) -> Result<(&[u8], Attributes<'_>)> {
        self.body
            .split_at_checked(fixed)
            .map(|(head, rest)| (head, Attributes(rest)))
            .context("a netlink message is too short")
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.body.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.body);
    }
}

impl NetlinkDeserializable for Message {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        Ok(Self {
            kind: header.message_type,
            body: payload.to_vec(),
        })
    }
}

fn emitted(attributes: &[DefaultNla]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}

/// An attribute that holds others.
pub fn nest(kind: u16, attributes: &[DefaultNla]) -> DefaultNla {
    DefaultNla::new(kind | (1 << 15), emitted(attributes))
}

pub fn attribute(kind: u16, value: &[u8]) -> DefaultNla {
    DefaultNla::new(kind, value.to_vec())
}

pub fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// An address of the length that the bytes have.
pub fn address_from(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

/// The attributes in some bytes. Numbers are in the machine's order.
#[derive(Clone, Copy)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> + 'a {
        let all = self.0;
        let start = all.as_ptr() as usize;
        NlasIterator::new(all)
            .map_while(Result::ok)
            .filter_map(move |nla| {
                // The value lives as long as the message, which the borrow through the iterator does not say.
                let from = nla.value().as_ptr() as usize - start;
                Some((nla.kind(), all.get(from..from + nla.value().len())?))
            })
    }

    pub fn get(&self, wanted: u16) -> Option<&'a [u8]> {
        self.iter()
            .find(|(kind, _)| *kind == wanted)
            .map(|(_, value)| value)
    }

    pub fn nested(&self, wanted: u16) -> Option<Attributes<'a>> {
        self.get(wanted).map(Attributes)
    }

    pub fn u32(&self, wanted: u16) -> Option<u32> {
        Fields(self.get(wanted)?).u32(0)
    }

    pub fn text(&self, wanted: u16) -> Option<String> {
        let text = std::str::from_utf8(self.get(wanted)?).ok()?;
        Some(text.trim_end_matches('\0').to_string())
    }

    pub fn address(&self, wanted: u16) -> Option<IpAddr> {
        address_from(self.get(wanted)?)
    }
}

/// The fields of a C structure, by their offsets. One that an older kernel does not have is absent.
pub struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    pub fn u8(&self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    pub fn u16_be(&self, at: usize) -> Option<u16> {
        self.bytes(at).map(u16::from_be_bytes)
    }

    pub fn u32(&self, at: usize) -> Option<u32> {
        self.bytes(at).map(u32::from_ne_bytes)
    }

    pub fn u64(&self, at: usize) -> Option<u64> {
        self.bytes(at).map(u64::from_ne_bytes)
    }
}

/// A conversation with one protocol of the kernel, in the network namespace of this process.
pub struct Connection {
    socket: Socket,
    sequence: u32,
}

impl Connection {
    pub fn open(protocol: isize) -> Result<Self> {
        let mut socket = Socket::new(protocol).context("cannot open a netlink socket")?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Everything there is of a kind.
    pub fn dump(&mut self, message: Message) -> Result<Vec<Message>> {
        self.exchange(message, NLM_F_REQUEST | NLM_F_DUMP)
    }

    /// One thing.
    pub fn get(&mut self, message: Message) -> Result<Message> {
        let answers = self.exchange(message, NLM_F_REQUEST | NLM_F_ACK)?;
        answers
            .into_iter()
            .next()
            .context("the kernel gave no answer")
    }

    /// An order.
    pub fn order(&mut self, message: Message) -> Result<()> {
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK).map(drop)
    }

    fn exchange(&mut self, message: Message, flags: u16) -> Result<Vec<Message>> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;

        let mut answers = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            let mut rest = datagram.as_slice();
            while !rest.is_empty() {
                let answer = NetlinkMessage::<Message>::deserialize(rest)
                    .context("cannot read the kernel's answer")?;
                let length = (answer.header.length as usize).next_multiple_of(4);
                rest = rest.get(length..).unwrap_or_default();
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::InnerMessage(message) => answers.push(message),
                    // Without a code it is the acknowledgement, which comes last.
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        return Err(error.to_io().into())
                    }
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        return Err(std::io::Error::from_raw_os_error(-done.code).into())
                    }
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Overrun(_) => bail!("the kernel lost a part of its answer"),
                    _ => (),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_a_round_trip() {
        let message = Message::new(
            7,
            &[1, 2, 3, 4],
            &[
                attribute(1, &[9, 9, 9]),
                nest(
                    2,
                    &[attribute(3, &5u32.to_ne_bytes()), attribute(4, b"eth0\0")],
                ),
            ],
        );
        let (fixed, attributes) = message.split(4).unwrap();
        assert_eq!(fixed, [1, 2, 3, 4]);
        assert_eq!(attributes.get(1), Some(&[9u8, 9, 9][..]));
        let inner = attributes.nested(2).unwrap();
        assert_eq!(inner.u32(3), Some(5));
        assert_eq!(inner.text(4).as_deref(), Some("eth0"));
        assert_eq!(inner.u32(8), None);
    }

    #[test]
    fn garbage_is_no_attribute() {
        assert_eq!(Attributes(&[200, 0, 1, 0, 5]).iter().count(), 0);
        assert_eq!(Attributes(&[2, 0, 1, 0]).iter().count(), 0);
        assert!(Message::new(1, &[0; 4], &[]).split(8).is_err());
    }

    #[test]
    fn fields_end_where_the_structure_does() {
        let fields = Fields(&[1, 2, 3]);
        assert_eq!(fields.u8(2), Some(3));
        assert_eq!(fields.u16_be(0), Some(0x0102));
        assert_eq!(fields.u32(0), None);
        assert_eq!(fields.u64(usize::MAX), None);
    }
}
