// SPDX-License-Identifier: GPL-2.0

//! IPv4 and IPv6 socket addresses.

use super::namespace::NetNamespace;
use crate::ffi::bindings;
use kernel::{
    error::to_result,
    fmt,
    prelude::*,
    str::{
        BStr,
        CStr, //
    },
};

/// An address family, as `AF_UNSPEC` where either will do.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Family {
    /// IPv4 or IPv6, whichever the text is.
    #[cfg(host)]
    Any,
    /// `AF_INET`.
    #[cfg(target)]
    Ip4,
    /// `AF_INET6`.
    #[cfg(target)]
    Ip6,
}

/// An IPv4 or IPv6 address with a port and, for a link-local address, a scope.
#[derive(Clone, Copy)]
pub(crate) struct Address(pub(super) bindings::__kernel_sockaddr_storage);

// SAFETY: Plain bytes; the pointer in the union is for alignment only.
unsafe impl Send for Address {}
// SAFETY: As above.
unsafe impl Sync for Address {}

impl Address {
    /// An address of no family, to be filled in.
    pub(super) fn unspecified() -> Self {
        Self(pin_init::zeroed())
    }

    /// Parses a numeric address and port. A scope such as `%eth0` is looked up in `net`. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the text is not an address of this family, or the port is not a number.
    pub(crate) fn parse(
        net: &NetNamespace,
        family: Family,
        host: &CStr,
        port: Option<&CStr>,
    ) -> Result<Self> {
        let mut address = Self::unspecified();
        let family = match family {
            #[cfg(host)]
            Family::Any => bindings::AF_UNSPEC,
            #[cfg(target)]
            Family::Ip4 => bindings::AF_INET,
            #[cfg(target)]
            Family::Ip6 => bindings::AF_INET6,
        };
        // SAFETY: The namespace is alive, both strings are C strings (or null, which is allowed for
        // the port), and the address is a `sockaddr_storage` of our own.
        to_result(unsafe {
            bindings::inet_pton_with_scope(
                net.as_ptr(),
                family as u16,
                host.as_char_ptr(),
                port.map_or(core::ptr::null(), CStr::as_char_ptr),
                &mut address.0,
            )
        })?;
        Ok(address)
    }

    /// `AF_INET` or `AF_INET6`.
    pub(super) fn family(&self) -> c_int {
        // SAFETY: The family is the first member of every kind of socket address.
        let family = unsafe { self.0.__bindgen_anon_1.__bindgen_anon_1.ss_family };
        c_int::from(family)
    }

    /// Whether it is an IPv6 one.
    #[cfg(host)]
    pub(crate) fn is_ip6(&self) -> bool {
        self.family() == bindings::AF_INET6 as c_int
    }

    /// The address without the port, for messages.
    #[cfg(host)]
    pub(crate) fn host(&self) -> Host<'_> {
        Host(self)
    }

    /// Whether it stands for all addresses of the machine.
    #[cfg(target)]
    pub(crate) fn is_any(&self) -> bool {
        let mut copy = self.0;
        // SAFETY: The address is valid.
        unsafe { bindings::inet_addr_is_any(&mut copy) }
    }

    /// Writes the address as text, with its port if `port`, and returns the length. The buffer is
    /// C-string terminated.
    pub(crate) fn format(&self, buf: &mut [u8], port: bool) -> usize {
        let mut copy = self.0;
        // SAFETY: The buffer has the length given, and the address is valid; `scnprintf()` never
        // writes beyond.
        let len = unsafe {
            bindings::ffi_format_addr(buf.as_mut_ptr().cast(), buf.len(), &mut copy, port)
        };
        usize::try_from(len).unwrap_or(0)
    }

    fn display(&self, f: &mut fmt::Formatter<'_>, port: bool) -> fmt::Result {
        let mut buf = [0; 64];
        let len = self.format(&mut buf, port);
        let text = buf.get(..len).unwrap_or_default();
        fmt::Display::fmt(BStr::from_bytes(text), f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.display(f, true)
    }
}

/// An address that is shown without its port.
#[cfg(host)]
pub(crate) struct Host<'a>(&'a Address);

#[cfg(host)]
impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display(f, false)
    }
}

#[cfg_attr(host, kunit_tests(nvme_mptcp_address))]
#[cfg_attr(target, kunit_tests(nvmet_mptcp_address))]
mod tests {
    use super::*;
    use kernel::c_str;

    #[cfg(host)]
    const FAMILIES: [Family; 2] = [Family::Any; 2];
    #[cfg(target)]
    const FAMILIES: [Family; 2] = [Family::Ip4, Family::Ip6];

    #[test]
    fn what_is_parsed_is_shown_again() {
        let port = c_str!("4420");
        assert!(shows(
            FAMILIES[0],
            c_str!("10.0.0.2"),
            port,
            b"10.0.0.2:4420"
        ));
        assert!(shows(
            FAMILIES[1],
            c_str!("fd00::1"),
            port,
            b"[fd00::1]:4420"
        ));
        assert!(shows(
            FAMILIES[1],
            c_str!("fd00:0:0::1"),
            port,
            b"[fd00::1]:4420"
        ));
    }

    #[test]
    fn the_family_is_that_of_the_text() {
        let [ip4, ip6] = FAMILIES;
        let (ip4, ip6) = (
            parse(ip4, c_str!("10.0.0.2"), c_str!("1")),
            parse(ip6, c_str!("::1"), c_str!("65535")),
        );
        assert!(ip4.is_ok_and(|it| it.family() == bindings::AF_INET as c_int));
        assert!(ip6.is_ok_and(|it| it.family() == bindings::AF_INET6 as c_int));
    }

    #[test]
    fn malformed_ones_are_refused() {
        for host in [
            c_str!(""),
            c_str!("10.0.0"),
            c_str!("10.0.0.256"),
            c_str!("10.0.0.2 "),
            c_str!("fd00::1::2"),
            c_str!("fd00::12345"),
            c_str!("[fd00::1]"),
            c_str!("localhost"),
        ] {
            for family in FAMILIES {
                assert!(parse(family, host, c_str!("4420")).is_err());
            }
        }
        for port in [c_str!(""), c_str!("x"), c_str!("65536"), c_str!("-1")] {
            assert!(parse(FAMILIES[0], c_str!("10.0.0.2"), port).is_err());
        }
    }

    #[test]
    fn a_small_buffer_is_not_left() {
        let address = parse(FAMILIES[0], c_str!("10.0.0.2"), c_str!("4420"));
        let mut buf = [b'x'; 9];
        let len = address.map_or(0, |it| it.format(&mut buf[..8], true));
        assert_eq!(len, 7);
        assert_eq!(buf, *b"10.0.0.\0x");
    }

    fn parse(family: Family, host: &CStr, port: &CStr) -> Result<Address> {
        Address::parse(&NetNamespace::current(), family, host, Some(port))
    }

    fn shows(family: Family, host: &CStr, port: &CStr, expected: &[u8]) -> bool {
        let mut buf = [0; 64];
        let len = parse(family, host, port).map_or(0, |it| it.format(&mut buf, true));
        buf[..len] == *expected
    }
}
