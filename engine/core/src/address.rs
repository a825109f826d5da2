//! Which addresses are the open internet's, and which belong to something nearer.
//!
//! Owns the IANA special-purpose registries for IPv4 and IPv6 as two tables, one
//! row per block with the document that reserves it, and [`classify`], which
//! judges one address. It also looks through the ways of writing an IPv4
//! address inside an IPv6 one, because a translator on the path would look
//! through them too. It never resolves and never opens anything; what may be
//! dialled is decided in [`crate::capability::net`].
//!
//! A block counts as special even where the registry calls it globally
//! reachable (the anycast services: AS112, AMT, PCP, TURN): anycast means the
//! *nearest* instance, which is often the operator's own router.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressClass {
    /// Ordinary global unicast: the only class that a plain name may lead to.
    Public,
    /// `0.0.0.0/8` and `::`, which many systems take for this very machine.
    Unspecified,
    /// This machine.
    Loopback,
    /// A network of its own: RFC 1918, unique local, the old site local.
    Private,
    /// Between a provider and its customers (carrier-grade NAT).
    Shared,
    /// The wire that the machine hangs on.
    LinkLocal,
    /// A cloud's door to the machine's own keys.
    Metadata,
    /// Many receivers.
    Multicast,
    /// Everybody on the wire.
    Broadcast,
    /// For examples in documents, routed nowhere.
    Documentation,
    /// For measuring devices in a laboratory.
    Benchmarking,
    /// An IPv4 address in an IPv6 coat that only a local translator or tunnel opens.
    Translation,
    /// A protocol's own well-known address, answered by the nearest instance.
    Service,
    /// Kept for later, or handed out for no use on the open internet.
    Reserved,
}

impl AddressClass {
    /// The word in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Shared => "carrier-shared",
            Self::LinkLocal => "link-local",
            Self::Metadata => "cloud metadata",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::Translation => "translation",
            Self::Service => "protocol service",
            Self::Reserved => "reserved",
        }
    }

    /// Whether a name that nobody bound may lead here.
    #[must_use]
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Public)
    }

    /// Whether one machine can be meant: nobody opens a connection to the
    /// unspecified address, a group or a broadcast on purpose.
    #[must_use]
    pub const fn is_dialable(self) -> bool {
        !matches!(self, Self::Unspecified | Self::Multicast | Self::Broadcast)
    }
}

impl std::fmt::Display for AddressClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Judges one address by its most specific block.
///
/// An IPv4-mapped address is the IPv4 address. One behind the well-known NAT64
/// prefix is public where the IPv4 address inside is: that is how an IPv6-only
/// network reaches the rest of the world. (A network may run NAT64 under a
/// prefix of its own, which nobody can tell from an ordinary one.) The other
/// coats (NAT64 for local use, 6to4, Teredo, IPv4-compatible) are never public.
///
/// ```
/// use wardroom_core::address::{AddressClass, classify};
/// assert_eq!(classify("64:ff9b::a9fe:a9fe".parse().unwrap()), AddressClass::Metadata);
/// ```
#[must_use]
pub fn classify(address: IpAddr) -> AddressClass {
    match address.to_canonical() {
        IpAddr::V4(four) => classify_four(four),
        IpAddr::V6(six) => classify_six(six),
    }
}

fn classify_four(address: Ipv4Addr) -> AddressClass {
    let bits = address.to_bits();
    FOUR.iter().filter(|block| covers_four(block, bits)).max_by_key(|block| block.length).map_or(AddressClass::Public, |block| block.class)
}

fn classify_six(address: Ipv6Addr) -> AddressClass {
    let bits = address.to_bits();
    let own = SIX.iter().filter(|block| covers_six(block, bits)).max_by_key(|block| block.length);
    let Some(block) = own else {
        // Only 2000::/3 was ever handed out as global unicast (RFC 4291, 2.4).
        let global = bits >> 125 == 0b001;
        return if global { behind_isatap(bits) } else { AddressClass::Reserved };
    };
    match block.inside {
        Inside::Nothing => block.class,
        inside => inner_class(inside, bits, block.class),
    }
}

/// The class of the special address inside, else that of the coat.
fn inner_class(inside: Inside, bits: u128, coat: AddressClass) -> AddressClass {
    embedded(inside, bits).into_iter().flatten().map(classify_four).find(|class| !class.is_public()).unwrap_or(coat)
}

/// Any prefix may carry an ISATAP interface identifier (RFC 5214, 6.1): a host
/// with such an interface would tunnel to the IPv4 address inside.
fn behind_isatap(bits: u128) -> AddressClass {
    let marker = low_word(bits >> 32);
    let isatap = marker == 0x0000_5efe || marker == 0x0200_5efe;
    let inner = classify_four(Ipv4Addr::from_bits(low_word(bits)));
    if isatap { inner } else { AddressClass::Public }
}

/// The IPv4 addresses that a translator would take out of `bits`.
fn embedded(inside: Inside, bits: u128) -> [Option<Ipv4Addr>; 2] {
    let at = |shift: u32| Some(Ipv4Addr::from_bits(low_word(bits >> shift)));
    match inside {
        Inside::Nothing => [None, None],
        Inside::Last => [at(0), None],
        Inside::AfterSixteen => [at(80), None],
        // The server's address plainly, the client's with every bit flipped.
        Inside::Teredo => [at(64), Some(Ipv4Addr::from_bits(!low_word(bits)))],
        // RFC 6052, 2.2: a /48 prefix splits the address around the octet 64-71,
        // which must be zero; a /96 inside it has the address last.
        Inside::AfterFortyEight => {
            let high = low_word(bits >> 64) << 16;
            let low = low_word(bits >> 40) & 0xffff;
            [Some(Ipv4Addr::from_bits(high | low)), at(0)]
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "taking the low 32 bits is what this is for")]
const fn low_word(bits: u128) -> u32 {
    bits as u32
}

fn covers_four(block: &Block<Ipv4Addr>, bits: u32) -> bool {
    block.length == 0 || (block.first.to_bits() ^ bits) >> (32 - block.length) == 0
}

fn covers_six(block: &Block<Ipv6Addr>, bits: u128) -> bool {
    block.length == 0 || (block.first.to_bits() ^ bits) >> (128 - block.length) == 0
}

/// One row of a registry.
struct Block<A> {
    first: A,
    /// Leading bits that count, 1 to 32 or 128.
    length: u32,
    class: AddressClass,
    /// Where an IPv4 address hides in it.
    inside: Inside,
    /// What reserves it.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the reader and the table's own test"))]
    source: &'static str,
}

/// Where an IPv4 address hides in an IPv6 one.
#[derive(Clone, Copy)]
enum Inside {
    Nothing,
    /// In the last 32 bits.
    Last,
    /// Behind the first 16 bits (6to4).
    AfterSixteen,
    /// Behind the first 48 bits, split (NAT64 for local use).
    AfterFortyEight,
    /// Twice: the server and the flipped client.
    Teredo,
}

const fn four(octets: [u8; 4], length: u32, class: AddressClass, source: &'static str) -> Block<Ipv4Addr> {
    let [a, b, c, d] = octets;
    Block { first: Ipv4Addr::new(a, b, c, d), length, class, inside: Inside::Nothing, source }
}

const fn six(groups: [u16; 8], length: u32, class: AddressClass, source: &'static str) -> Block<Ipv6Addr> {
    coat(groups, length, class, Inside::Nothing, source)
}

const fn coat(groups: [u16; 8], length: u32, class: AddressClass, inside: Inside, source: &'static str) -> Block<Ipv6Addr> {
    let [a, b, c, d, e, f, g, h] = groups;
    Block { first: Ipv6Addr::new(a, b, c, d, e, f, g, h), length, class, inside, source }
}

use AddressClass as Is;

/// IANA IPv4 Special-Purpose Address Registry, multicast, and the metadata
/// addresses that clouds chose for themselves.
const FOUR: &[Block<Ipv4Addr>] = &[
    four([0, 0, 0, 0], 8, Is::Unspecified, "RFC 791, 3.2"),
    four([10, 0, 0, 0], 8, Is::Private, "RFC 1918"),
    four([100, 64, 0, 0], 10, Is::Shared, "RFC 6598"),
    four([100, 100, 100, 200], 32, Is::Metadata, "Alibaba Cloud"),
    four([127, 0, 0, 0], 8, Is::Loopback, "RFC 1122, 3.2.1.3"),
    // Looks public, is answered by the hypervisor, hands out certificates.
    four([168, 63, 129, 16], 32, Is::Metadata, "Azure wire server"),
    four([169, 254, 0, 0], 16, Is::LinkLocal, "RFC 3927"),
    four([169, 254, 0, 23], 32, Is::Metadata, "Tencent Cloud"),
    four([169, 254, 42, 42], 32, Is::Metadata, "Scaleway"),
    four([169, 254, 169, 254], 32, Is::Metadata, "the customary address of clouds"),
    four([169, 254, 170, 2], 32, Is::Metadata, "Amazon ECS task role"),
    four([169, 254, 170, 23], 32, Is::Metadata, "Amazon EKS pod identity"),
    four([172, 16, 0, 0], 12, Is::Private, "RFC 1918"),
    four([192, 0, 0, 0], 24, Is::Reserved, "RFC 6890, 2.1"),
    four([192, 0, 0, 0], 29, Is::Service, "RFC 7335, IPv4 service continuity"),
    four([192, 0, 0, 8], 32, Is::Reserved, "RFC 7600, dummy address"),
    four([192, 0, 0, 9], 32, Is::Service, "RFC 7723, PCP anycast"),
    four([192, 0, 0, 10], 32, Is::Service, "RFC 8155, TURN anycast"),
    four([192, 0, 0, 170], 31, Is::Service, "RFC 8880, NAT64/DNS64 discovery"),
    four([192, 0, 0, 192], 32, Is::Metadata, "Oracle Cloud"),
    four([192, 0, 2, 0], 24, Is::Documentation, "RFC 5737, TEST-NET-1"),
    four([192, 31, 196, 0], 24, Is::Service, "RFC 7535, AS112"),
    four([192, 52, 193, 0], 24, Is::Service, "RFC 7450, AMT"),
    four([192, 88, 99, 0], 24, Is::Translation, "RFC 7526, 6to4 relay anycast, deprecated"),
    four([192, 168, 0, 0], 16, Is::Private, "RFC 1918"),
    four([192, 175, 48, 0], 24, Is::Service, "RFC 7534, AS112 direct delegation"),
    four([198, 18, 0, 0], 15, Is::Benchmarking, "RFC 2544"),
    four([198, 51, 100, 0], 24, Is::Documentation, "RFC 5737, TEST-NET-2"),
    four([203, 0, 113, 0], 24, Is::Documentation, "RFC 5737, TEST-NET-3"),
    four([224, 0, 0, 0], 4, Is::Multicast, "RFC 5771"),
    four([240, 0, 0, 0], 4, Is::Reserved, "RFC 1112, 4"),
    four([255, 255, 255, 255], 32, Is::Broadcast, "RFC 8190; RFC 919, 7"),
];

/// IANA IPv6 Special-Purpose Address Registry, multicast, the withdrawn
/// blocks, and the metadata addresses of clouds. IPv4-mapped addresses are
/// IPv4 addresses before this table is asked.
const SIX: &[Block<Ipv6Addr>] = &[
    coat([0, 0, 0, 0, 0, 0, 0, 0], 96, Is::Translation, Inside::Last, "RFC 4291, 2.5.5.1, v4-compatible"),
    six([0, 0, 0, 0, 0, 0, 0, 0], 128, Is::Unspecified, "RFC 4291, 2.5.2"),
    six([0, 0, 0, 0, 0, 0, 0, 1], 128, Is::Loopback, "RFC 4291, 2.5.3"),
    // SIIT: "::ffff:0:a.b.c.d", one group further left than mapped.
    coat([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, Is::Translation, Inside::Last, "RFC 2765, 2.1"),
    coat([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, Is::Public, Inside::Last, "RFC 6052, NAT64"),
    coat([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Is::Translation, Inside::AfterFortyEight, "RFC 8215, local NAT64"),
    six([0x100, 0, 0, 0, 0, 0, 0, 0], 64, Is::Reserved, "RFC 6666, discard-only"),
    six([0x100, 0, 0, 1, 0, 0, 0, 0], 64, Is::Reserved, "RFC 9780, dummy prefix"),
    six([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Is::Reserved, "RFC 2928, IETF protocol assignments"),
    coat([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, Is::Translation, Inside::Teredo, "RFC 4380, Teredo"),
    six([0x2001, 1, 0, 0, 0, 0, 0, 1], 128, Is::Service, "RFC 7723, PCP anycast"),
    six([0x2001, 1, 0, 0, 0, 0, 0, 2], 128, Is::Service, "RFC 8155, TURN anycast"),
    six([0x2001, 1, 0, 0, 0, 0, 0, 3], 128, Is::Service, "RFC 9665, DNS-SD SRP anycast"),
    six([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, Is::Benchmarking, "RFC 5180"),
    six([0x2001, 3, 0, 0, 0, 0, 0, 0], 32, Is::Service, "RFC 7450, AMT"),
    six([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48, Is::Service, "RFC 7535, AS112"),
    six([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, Is::Reserved, "RFC 4843, ORCHID, withdrawn"),
    six([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, Is::Reserved, "RFC 7343, ORCHIDv2"),
    six([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28, Is::Reserved, "RFC 9374, DRIP entity tags"),
    six([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Is::Documentation, "RFC 3849"),
    coat([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Is::Translation, Inside::AfterSixteen, "RFC 3056, 6to4"),
    six([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, Is::Service, "RFC 7534, AS112 direct delegation"),
    six([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16, Is::Reserved, "RFC 3701, 6bone, withdrawn"),
    six([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Is::Documentation, "RFC 9637"),
    six([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, Is::Reserved, "RFC 9602, SRv6 SIDs"),
    six([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Is::Private, "RFC 4193, unique local"),
    six([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128, Is::Metadata, "Scaleway"),
    six([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23], 128, Is::Metadata, "Amazon EKS pod identity"),
    six([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, Is::Metadata, "Amazon EC2"),
    six([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, Is::Metadata, "Google Cloud"),
    six([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Is::LinkLocal, "RFC 4291, 2.5.6"),
    six([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Is::Private, "RFC 3879, site local, withdrawn"),
    six([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Is::Multicast, "RFC 4291, 2.7"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn class(text: &str) -> AddressClass {
        classify(text.parse().expect("an address"))
    }

    /// Text of the block, and whether the neighbours before and after are public.
    const FOUR_EDGES: &[(&str, &str, AddressClass, bool, bool)] = &[
        ("0.0.0.0", "0.255.255.255", Is::Unspecified, false, true),
        ("10.0.0.0", "10.255.255.255", Is::Private, true, true),
        ("100.64.0.0", "100.127.255.255", Is::Shared, true, true),
        ("100.100.100.200", "100.100.100.200", Is::Metadata, false, false),
        ("127.0.0.0", "127.255.255.255", Is::Loopback, true, true),
        ("168.63.129.16", "168.63.129.16", Is::Metadata, true, true),
        ("169.254.0.0", "169.254.255.255", Is::LinkLocal, true, true),
        ("169.254.0.23", "169.254.0.23", Is::Metadata, false, false),
        ("169.254.42.42", "169.254.42.42", Is::Metadata, false, false),
        ("169.254.169.254", "169.254.169.254", Is::Metadata, false, false),
        ("169.254.170.2", "169.254.170.2", Is::Metadata, false, false),
        ("169.254.170.23", "169.254.170.23", Is::Metadata, false, false),
        ("172.16.0.0", "172.31.255.255", Is::Private, true, true),
        ("192.0.0.0", "192.0.0.7", Is::Service, true, false),
        ("192.0.0.8", "192.0.0.8", Is::Reserved, false, false),
        ("192.0.0.9", "192.0.0.10", Is::Service, false, false),
        ("192.0.0.11", "192.0.0.169", Is::Reserved, false, false),
        ("192.0.0.170", "192.0.0.171", Is::Service, false, false),
        ("192.0.0.192", "192.0.0.192", Is::Metadata, false, false),
        ("192.0.0.193", "192.0.0.255", Is::Reserved, false, true),
        ("192.0.2.0", "192.0.2.255", Is::Documentation, true, true),
        ("192.31.196.0", "192.31.196.255", Is::Service, true, true),
        ("192.52.193.0", "192.52.193.255", Is::Service, true, true),
        ("192.88.99.0", "192.88.99.255", Is::Translation, true, true),
        ("192.168.0.0", "192.168.255.255", Is::Private, true, true),
        ("192.175.48.0", "192.175.48.255", Is::Service, true, true),
        ("198.18.0.0", "198.19.255.255", Is::Benchmarking, true, true),
        ("198.51.100.0", "198.51.100.255", Is::Documentation, true, true),
        ("203.0.113.0", "203.0.113.255", Is::Documentation, true, true),
        ("224.0.0.0", "239.255.255.255", Is::Multicast, true, false),
        ("240.0.0.0", "255.255.255.254", Is::Reserved, false, false),
        ("255.255.255.255", "255.255.255.255", Is::Broadcast, false, false),
    ];

    #[test]
    fn every_four_block_begins_and_ends_where_the_registry_says() {
        for &(first, last, expected, before, after) in FOUR_EDGES {
            let first: Ipv4Addr = first.parse().unwrap();
            let last: Ipv4Addr = last.parse().unwrap();
            assert_eq!(classify_four(first), expected, "{first}");
            assert_eq!(classify_four(last), expected, "{last}");
            if let Some(bits) = first.to_bits().checked_sub(1) {
                let neighbour = Ipv4Addr::from_bits(bits);
                assert_eq!(classify_four(neighbour).is_public(), before, "before: {neighbour}");
            }
            if let Some(bits) = last.to_bits().checked_add(1) {
                let neighbour = Ipv4Addr::from_bits(bits);
                assert_eq!(classify_four(neighbour).is_public(), after, "after: {neighbour}");
            }
        }
    }

    const SIX_EDGES: &[(&str, &str, AddressClass, bool, bool)] = &[
        ("::", "::", Is::Unspecified, false, false),
        ("::1", "::1", Is::Loopback, false, false),
        ("100::", "100::ffff:ffff:ffff:ffff", Is::Reserved, false, false),
        ("100:0:0:1::", "100::1:ffff:ffff:ffff:ffff", Is::Reserved, false, false),
        ("2001:1::1", "2001:1::3", Is::Service, false, false),
        ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", Is::Benchmarking, false, false),
        ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", Is::Service, false, false),
        ("2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", Is::Service, false, false),
        ("2001:10::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", Is::Reserved, false, false),
        ("2001:40::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Is::Reserved, false, true),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Is::Documentation, true, true),
        ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", Is::Service, true, true),
        ("3ffe::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Is::Reserved, true, false),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Is::Documentation, false, true),
        ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Is::Reserved, false, false),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Is::Private, false, false),
        ("fd00:42::42", "fd00:42::42", Is::Metadata, false, false),
        ("fd00:ec2::23", "fd00:ec2::23", Is::Metadata, false, false),
        ("fd00:ec2::254", "fd00:ec2::254", Is::Metadata, false, false),
        ("fd20:ce::254", "fd20:ce::254", Is::Metadata, false, false),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Is::LinkLocal, false, false),
        ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Is::Private, false, false),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Is::Multicast, false, false),
        ("4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Is::Reserved, true, false),
    ];

    #[test]
    fn every_six_block_begins_and_ends_where_the_registry_says() {
        for &(first, last, expected, before, after) in SIX_EDGES {
            let first: Ipv6Addr = first.parse().unwrap();
            let last: Ipv6Addr = last.parse().unwrap();
            assert_eq!(classify_six(first), expected, "{first}");
            assert_eq!(classify_six(last), expected, "{last}");
            if let Some(bits) = first.to_bits().checked_sub(1) {
                let neighbour = Ipv6Addr::from_bits(bits);
                assert_eq!(classify_six(neighbour).is_public(), before, "before: {neighbour}");
            }
            if let Some(bits) = last.to_bits().checked_add(1) {
                let neighbour = Ipv6Addr::from_bits(bits);
                assert_eq!(classify_six(neighbour).is_public(), after, "after: {neighbour}");
            }
        }
    }

    #[test]
    fn an_address_inside_another_is_judged_too() {
        let table = [
            ("::ffff:127.0.0.1", Is::Loopback),
            ("::ffff:169.254.169.254", Is::Metadata),
            ("::ffff:8.8.8.8", Is::Public),
            ("::127.0.0.2", Is::Loopback),
            ("::8.8.8.8", Is::Translation),
            ("::ffff:0:10.0.0.1", Is::Private),
            ("::ffff:0:8.8.8.8", Is::Translation),
            ("64:ff9b::10.1.2.3", Is::Private),
            ("64:ff9b::8.8.8.8", Is::Public),
            ("64:ff9b:1:7f00:0:100::", Is::Loopback),
            ("64:ff9b:1:808:8:800:c0a8:1", Is::Private),
            ("64:ff9b:1:808:8:800::", Is::Unspecified),
            ("2002:7f00:1::", Is::Loopback),
            ("2002:a9fe:a9fe::1", Is::Metadata),
            ("2002:808:808::1", Is::Translation),
            ("2001:0:7f00:1::", Is::Loopback),
            // The client 192.168.0.1, flipped, behind a public server.
            ("2001:0:808:808:0:0:3f57:fffe", Is::Private),
            ("2001:0:808:808:0:0:f7f7:f7f7", Is::Translation),
            ("2a00:1450:4001::5efe:10.0.0.1", Is::Private),
            ("2a00:1450:4001::200:5efe:169.254.169.254", Is::Metadata),
            ("2a00:1450:4001::5efe:8.8.8.8", Is::Public),
            ("2606:4700:4700::1111", Is::Public),
        ];
        for (text, expected) in table {
            assert_eq!(class(text), expected, "{text}");
        }
    }

    #[test]
    fn every_row_is_aligned_and_says_where_it_comes_from() {
        for block in FOUR {
            let bits = block.first.to_bits();
            assert!(bits.trailing_zeros() >= 32 - block.length, "{}", block.first);
            assert!(!block.source.is_empty());
        }
        for block in SIX {
            let bits = block.first.to_bits();
            assert!(bits == 0 || bits.trailing_zeros() >= 128 - block.length, "{}", block.first);
            assert!(!block.source.is_empty());
        }
    }

    proptest! {
        #[test]
        fn a_coat_never_makes_a_special_address_public(bits: u32) {
            let inner = Ipv4Addr::from_bits(bits);
            let special = !classify_four(inner).is_public();
            let wide = u128::from(bits);
            let coats = [
                (0xffff_u128 << 32) | wide,
                (0x64_ff9b_u128 << 96) | wide,
                (0x2002_u128 << 112) | (wide << 80),
                (0x2a00_1450_u128 << 96) | (0x5efe_u128 << 32) | wide,
                wide,
            ];
            for coat in coats {
                let outer = classify(IpAddr::V6(Ipv6Addr::from_bits(coat)));
                prop_assert!(!special || !outer.is_public(), "{inner} in {}", Ipv6Addr::from_bits(coat));
            }
        }

        #[test]
        fn the_standard_library_and_the_table_agree_where_both_speak(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_documentation()
                || address.is_unspecified();
            prop_assert!(!special || !classify_four(address).is_public(), "{address}");
        }

        #[test]
        fn nothing_outside_global_unicast_is_public(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            let global = bits >> 125 == 1 || bits >> 32 == 0x64_ff9b << 64
                || address.to_ipv4_mapped().is_some();
            prop_assert!(global || !classify(IpAddr::V6(address)).is_public(), "{address}");
        }
    }
}
