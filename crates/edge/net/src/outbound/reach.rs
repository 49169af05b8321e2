//! Which addresses may be connected to. The special ones of RFC 6890 and its successors are refused by kind.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far a remote may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Public addresses only.
    Public,
    /// This machine, too.
    Loopback,
    /// This machine and private networks, too.
    Private,
}

/// An address that may not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    #[error("{address} is {kind}; write `dangerouslyAllowPrivateAddresses: true` if that is meant")]
    NotWritten { address: IpAddr, kind: Kind },
    #[error("{address} is {kind}, from which nothing is fetched")]
    Never { address: IpAddr, kind: Kind },
    #[error("{address} is {kind}; plain HTTP is for loopback addresses")]
    Plain { address: IpAddr, kind: Kind },
}

/// What sort of address one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Public,
    Loopback,
    /// RFC 1918, RFC 4193.
    Private,
    /// Behind a carrier's translation (RFC 6598).
    Shared,
    /// An IPv4 address in an IPv6 one: mapped, compatible (RFC 4291 §2.5.5), 6to4 (RFC 3056) or NAT64 (RFC 6052).
    Translated,
    /// RFC 3927, RFC 4291 §2.5.6. The metadata services of clouds live here.
    LinkLocal,
    Multicast,
    /// RFC 5737, RFC 3849, RFC 9637.
    Documentation,
    /// Everything else that is no single host's address.
    Reserved,
}

impl Reach {
    /// # Errors
    /// [`Unreachable`], unless a host at this address may be connected to.
    pub(super) fn check(self, address: IpAddr) -> Result<(), Unreachable> {
        let kind = Kind::of(address);
        match kind.needs() {
            Some(needed) if needed <= self => Ok(()),
            Some(_) => Err(Unreachable::NotWritten { address, kind }),
            None => Err(Unreachable::Never { address, kind }),
        }
    }
}

impl Kind {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    /// The reach that an address of this kind needs; none where no reach is far enough.
    const fn needs(self) -> Option<Reach> {
        match self {
            Self::Public => Some(Reach::Public),
            Self::Loopback => Some(Reach::Loopback),
            Self::Private | Self::Shared | Self::Translated => Some(Reach::Private),
            Self::LinkLocal | Self::Multicast | Self::Documentation | Self::Reserved => None,
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            [127, ..] => Self::Loopback,
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Self::Private,
            [100, 64..=127, ..] => Self::Shared,
            [169, 254, ..] => Self::LinkLocal,
            [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Self::Documentation,
            [224..=239, ..] => Self::Multicast,
            // this network; protocol assignments; 6to4 relays; benchmarks; class E and broadcast
            [0, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] | [240..=255, ..] => Self::Reserved,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if address == Ipv6Addr::LOCALHOST {
            return Self::Loopback;
        }
        if let Some(carried) = carried(address) {
            let kind = Self::of_v4(carried);
            // never better than written, and as bad as what it carries
            return if kind.needs().is_some() { Self::Translated } else { kind };
        }
        match address.segments() {
            [0xfc00..=0xfdff, ..] => Self::Private,
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            [0xff00..=0xffff, ..] => Self::Multicast,
            [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Self::Documentation,
            // protocol assignments: Teredo, benchmarks, ORCHID
            [0x2001, 0..=0x01ff, ..] => Self::Reserved,
            [0x2000..=0x3fff, ..] => Self::Public,
            // only 2000::/3 is given out
            _ => Self::Reserved,
        }
    }
}

/// The IPv4 address that an IPv6 address stands for.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::Shared => "an address of a carrier's shared space",
            Self::Translated => "an IPv4 address in an IPv6 one",
            Self::LinkLocal => "a link-local address",
            Self::Multicast => "a multicast address",
            Self::Documentation => "an address for documentation",
            Self::Reserved => "a reserved address",
        })
    }
}
