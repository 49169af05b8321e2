//! Every special range, at its first and last address.

use std::net::IpAddr;

use super::super::connect::connect;
use super::super::reach::Kind;
use super::super::{FetchFailed, Plain, Reach, Remote, Roots};
use super::{plain, server};
use crate::causes::chain;

const TABLE: &[(Kind, &[&str])] = &[
    (Kind::Public, &["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"]),
    (Kind::Public, &["128.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "223.255.255.255"]),
    (Kind::Public, &["169.253.255.255", "169.255.0.0", "2606:4700:4700::1111", "2001:200::1", "3ffe::1", "2a00::"]),
    (Kind::Loopback, &["127.0.0.1", "127.255.255.255", "::1"]),
    (Kind::Private, &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"]),
    (Kind::Private, &["fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]),
    (Kind::Shared, &["100.64.0.0", "100.127.255.255"]),
    (Kind::LinkLocal, &["169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::", "febf::1", "fe80::a9fe:a9fe"]),
    (Kind::Multicast, &["224.0.0.1", "239.255.255.255", "ff00::", "ff02::1"]),
    (
        Kind::Documentation,
        &["192.0.2.1", "198.51.100.255", "203.0.113.0", "2001:db8::1", "2001:db8:ffff::", "3fff:fff::"],
    ),
    (Kind::Reserved, &["0.0.0.0", "0.1.2.3", "192.0.0.8", "192.88.99.1", "198.18.0.0", "198.19.255.255", "240.0.0.0"]),
    (
        Kind::Reserved,
        &["255.255.255.255", "100::1", "fec0::1", "feff::1", "2001::1", "2001:10::1", "2001:1ff::", "4000::"],
    ),
    (Kind::Reserved, &["64:ff9b:1::7f00:1", "5f00::1", "1::"]),
    // an IPv4 address in other clothes is never better than written
    (Kind::Translated, &["::ffff:8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1", "64:ff9b::808:808"]),
    (Kind::Translated, &["64:ff9b::a00:1", "2002:7f00:1::", "2002:808:808::1"]),
    // and as bad as what it carries
    (Kind::LinkLocal, &["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "::169.254.169.254"]),
    (Kind::Multicast, &["::ffff:224.0.0.1"]),
    (Kind::Documentation, &["64:ff9b::192.0.2.1"]),
    (Kind::Reserved, &["::", "::ffff:0.0.0.0", "::ffff:255.255.255.255", "64:ff9b::"]),
];

#[test]
fn every_special_address_has_its_kind() {
    for (kind, addresses) in TABLE {
        for address in *addresses {
            assert_eq!(Kind::of(address.parse().unwrap()), *kind, "{address}");
        }
    }
}

#[test]
fn a_kind_needs_the_reach_that_is_written_for_it() {
    let least = |address: &IpAddr| {
        [Reach::Public, Reach::Loopback, Reach::Private].into_iter().find(|reach| reach.check(*address).is_ok())
    };
    for (kind, addresses) in TABLE {
        let expected = match kind {
            Kind::Public => Some(Reach::Public),
            Kind::Loopback => Some(Reach::Loopback),
            Kind::Private | Kind::Shared | Kind::Translated => Some(Reach::Private),
            Kind::LinkLocal | Kind::Multicast | Kind::Documentation | Kind::Reserved => None,
        };
        for address in *addresses {
            assert_eq!(least(&address.parse().unwrap()), expected, "{address}");
        }
    }
}

#[test]
fn a_refused_address_says_what_it_is() {
    let said = |address: &str| Reach::Public.check(address.parse().unwrap()).unwrap_err().to_string();
    let written = "write `dangerouslyAllowPrivateAddresses: true` if that is meant";
    assert_eq!(said("10.0.0.1"), format!("10.0.0.1 is a private address; {written}"));
    assert_eq!(said("127.0.0.1"), format!("127.0.0.1 is a loopback address; {written}"));
    assert_eq!(said("100.64.0.1"), format!("100.64.0.1 is an address of a carrier's shared space; {written}"));
    assert_eq!(said("::ffff:8.8.8.8"), format!("::ffff:8.8.8.8 is an IPv4 address in an IPv6 one; {written}"));
    let never = "from which nothing is fetched";
    assert_eq!(said("169.254.169.254"), format!("169.254.169.254 is a link-local address, {never}"));
    assert_eq!(said("ff02::1"), format!("ff02::1 is a multicast address, {never}"));
    assert_eq!(said("192.0.2.1"), format!("192.0.2.1 is an address for documentation, {never}"));
    assert_eq!(said("0.0.0.0"), format!("0.0.0.0 is a reserved address, {never}"));
}

/// A name server may give anything, and something else the next time: what counts is what is connected to.
#[tokio::test]
async fn a_name_that_leads_inside_is_refused_where_it_is_connected_to() {
    let (address, mut heard) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "").await;
    let url = format!("https://localhost:{}/jwks", address.port());
    let outside = Remote::new(&url, Reach::Public, Plain::Refused, Roots::Platform).unwrap();
    let found = super::super::connect::addresses(&outside).await.unwrap();
    let refused = connect(&outside, found).await.unwrap_err();
    assert!(chain(&refused).starts_with("`localhost` is not fetched from: "), "{}", chain(&refused));
    assert!(heard.nothing(), "not a byte was sent");
    let inside = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([169, 254, 169, 254])];
    assert!(matches!(connect(&outside, inside.to_vec()).await, Err(FetchFailed::Refused { .. })));
    assert_eq!(chain(&connect(&outside, Vec::new()).await.unwrap_err()), "`localhost` has no address");
}

#[tokio::test]
async fn of_several_addresses_one_that_passes_is_connected_to() {
    let (address, _heard) = server("", "").await;
    let remote = plain(address);
    let found = [IpAddr::from([169, 254, 169, 254]), IpAddr::from([8, 8, 8, 8]), address.ip()];
    assert_eq!(connect(&remote, found.to_vec()).await.unwrap().peer_addr().unwrap(), address);
    let refused = connect(&remote, vec![IpAddr::from([8, 8, 8, 8])]).await.unwrap_err();
    let words = "`127.0.0.1` is not fetched from: 8.8.8.8 is a public address; plain HTTP is for loopback addresses";
    assert_eq!(chain(&refused), words);
}
