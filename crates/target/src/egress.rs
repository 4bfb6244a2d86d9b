//! Where a connection may lead: to public addresses, unless it says otherwise.
//!
//! Held against the address that is really connected to, after the name was resolved: a name that leads elsewhere the next
//! time does not pass. Only a new connection is looked at; requests on an open one pay nothing.

use std::{
    error::Error,
    fmt,
    future::Future,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Uri;
use hyper_util::client::legacy::connect::{
    HttpConnector,
    dns::{GaiResolver, Name},
};
use ipnet::IpNet;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;
type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Where a connection may lead besides public addresses. By default nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Egress {
    /// To loopback and private networks (RFC 1918, RFC 6598, `fc00::/7`).
    pub private: bool,
    /// To these networks, whatever they are.
    pub networks: Vec<IpNet>,
}

/// Why an address is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This machine.
    Loopback,
    /// A private network.
    Private,
    /// A link: with it the metadata services of clouds.
    LinkLocal,
    /// Nothing that a business system answers at.
    Special,
}

/// An address that the connection does not allow.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{host}` leads to {address}, {kind}, which the connection does not allow")]
pub struct EgressRefused {
    /// The host as the connection names it.
    pub host: String,
    /// What it leads to.
    pub address: IpAddr,
    /// What kind of address that is.
    pub kind: Kind,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "this machine itself",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local or metadata address",
            Self::Special => "an address for special use",
        })
    }
}

impl Egress {
    /// Whether a connection to `address` may be opened; if not, what is wrong with it.
    pub fn refuses(&self, address: IpAddr) -> Option<Kind> {
        let address = plain(address);
        if self.networks.iter().any(|network| network.contains(&address)) {
            return None;
        }
        match kind(address)? {
            Kind::Loopback | Kind::Private if self.private => None,
            kind => Some(kind),
        }
    }

    /// Checks a URL whose host is an address. A name is looked at when it is connected to.
    ///
    /// # Errors
    /// The address that is not allowed.
    pub fn check_literal(&self, uri: &Uri) -> Result<(), EgressRefused> {
        let Some(host) = uri.host() else { return Ok(()) };
        let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() else {
            return Ok(());
        };
        match self.refuses(address) {
            Some(kind) => Err(EgressRefused { host: host.to_owned(), address, kind }),
            None => Ok(()),
        }
    }
}

/// What an address is that is not public; none for a public one.
fn kind(address: IpAddr) -> Option<Kind> {
    match address {
        IpAddr::V4(v4) => kind_v4(v4),
        IpAddr::V6(v6) => kind_v6(v6),
    }
}

/// An IPv4 address in the clothes of an IPv6 one (mapped, compatible, NAT64, 6to4) is judged as what it leads to.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let part = |at: usize| v6.segments()[at].to_be_bytes();
    let v4 = |high: usize| {
        let ([a, b], [c, d]) = (part(high), part(high + 1));
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => v4(6),
        [0x2002, ..] => v4(1),
        _ => address,
    }
}

fn kind_v4(address: Ipv4Addr) -> Option<Kind> {
    /// Answers on every machine of one cloud, outside of all private ranges.
    const WIRE_SERVER: [u8; 4] = [168, 63, 129, 16];
    match address.octets() {
        [127, ..] => Some(Kind::Loopback),
        [169, 254, ..] | WIRE_SERVER => Some(Kind::LinkLocal),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Some(Kind::Private),
        [0, ..]
        | [192, 0, 0 | 2, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Some(Kind::Special),
        _ => None,
    }
}

fn kind_v6(address: Ipv6Addr) -> Option<Kind> {
    if address.is_loopback() {
        return Some(Kind::Loopback);
    }
    match address.segments()[0] {
        0xfe80..=0xfebf => Some(Kind::LinkLocal),
        0xfc00..=0xfdff | 0xfec0..=0xfeff => Some(Kind::Private),
        // Unspecified, multicast, documentation, local NAT64, Teredo.
        0xff00.. | 0 | 0x64 => Some(Kind::Special),
        0x2001 if matches!(address.segments()[1], 0 | 0xdb8) => Some(Kind::Special),
        _ => None,
    }
}

/// Opens connections, to where it may.
#[derive(Clone)]
pub(crate) struct Guarded {
    tcp: HttpConnector<Resolver>,
    egress: Arc<Egress>,
}

impl Guarded {
    /// `tune` sets what else the connections need.
    pub(crate) fn new(egress: Egress, tune: impl FnOnce(&mut HttpConnector<Resolver>)) -> Self {
        let egress = Arc::new(egress);
        let mut tcp = HttpConnector::new_with_resolver(Resolver {
            inner: GaiResolver::new(),
            egress: Arc::clone(&egress),
        });
        tune(&mut tcp);
        Self { tcp, egress }
    }
}

impl Service<Uri> for Guarded {
    type Response = <HttpConnector<Resolver> as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = Boxed<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // An address is not resolved, so the resolver would not see it.
        if let Err(refused) = self.egress.check_literal(&uri) {
            return Box::pin(std::future::ready(Err(refused.into())));
        }
        let connecting = self.tcp.call(uri);
        Box::pin(async move { connecting.await.map_err(Into::into) })
    }
}

/// Resolves names, and keeps what the connection does not allow to itself.
#[derive(Clone)]
pub(crate) struct Resolver {
    inner: GaiResolver,
    egress: Arc<Egress>,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Boxed<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (host, egress) = (name.as_str().to_owned(), Arc::clone(&self.egress));
        let resolving = self.inner.call(name);
        Box::pin(async move { allowed(&host, &egress, resolving.await?) })
    }
}

/// Those of the addresses that may be connected to; the first refused one if there are none.
fn allowed(
    host: &str,
    egress: &Egress,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<std::vec::IntoIter<SocketAddr>, BoxError> {
    let mut refused = None;
    let mut open = Vec::new();
    for address in found {
        match egress.refuses(address.ip()) {
            None => open.push(address),
            Some(kind) => {
                refused.get_or_insert(EgressRefused { host: host.to_owned(), address: address.ip(), kind });
            }
        }
    }
    match refused {
        Some(refused) if open.is_empty() => Err(refused.into()),
        _ => Ok(open.into_iter()),
    }
}

/// The guard's refusal among the causes of an error.
pub(crate) fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a EgressRefused> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refused) = error.downcast_ref::<EgressRefused>() {
            return Some(refused);
        }
        // An io::Error shows its content's causes only, not the content.
        let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(refused) = inside.and_then(|inside| inside.downcast_ref::<EgressRefused>()) {
            return Some(refused);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn kind_of(address: &str) -> Option<Kind> {
        Egress::default().refuses(address.parse().unwrap())
    }

    #[test]
    fn only_public_addresses_are_open_to_all() {
        for (address, expected) in [
            ("127.0.0.1", Kind::Loopback),
            ("127.9.9.9", Kind::Loopback),
            ("::1", Kind::Loopback),
            ("::ffff:127.0.0.1", Kind::Loopback),
            ("::127.0.0.1", Kind::Loopback),
            ("64:ff9b::7f00:1", Kind::Loopback),
            ("10.0.0.1", Kind::Private),
            ("172.16.0.1", Kind::Private),
            ("172.31.255.255", Kind::Private),
            ("192.168.1.1", Kind::Private),
            ("100.64.0.1", Kind::Private),
            ("100.100.100.200", Kind::Private),
            ("fd00:ec2::254", Kind::Private),
            ("2002:0a00:0001::1", Kind::Private),
            ("169.254.169.254", Kind::LinkLocal),
            ("::ffff:169.254.169.254", Kind::LinkLocal),
            ("fe80::1", Kind::LinkLocal),
            ("168.63.129.16", Kind::LinkLocal),
            ("0.0.0.0", Kind::Special),
            ("::", Kind::Special),
            ("224.0.0.1", Kind::Special),
            ("255.255.255.255", Kind::Special),
            ("ff02::1", Kind::Special),
        ] {
            assert_eq!(kind_of(address), Some(expected), "{address}");
        }
        for address in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "192.167.0.1", "2606:4700::1111", "64:ff9b::101:101"]
        {
            assert_eq!(kind_of(address), None, "{address}");
        }
    }

    #[test]
    fn a_connection_opens_what_it_names_and_no_more() {
        let at = |egress: &Egress, address: &str| egress.refuses(address.parse().unwrap());
        let private = Egress { private: true, networks: Vec::new() };
        assert_eq!(at(&private, "127.0.0.1"), None);
        assert_eq!(at(&private, "::ffff:10.1.2.3"), None);
        assert_eq!(at(&private, "169.254.169.254"), Some(Kind::LinkLocal), "metadata is no private network");
        let listed = Egress { private: false, networks: vec!["10.1.0.0/16".parse().unwrap()] };
        assert_eq!(at(&listed, "10.1.2.3"), None);
        assert_eq!(at(&listed, "10.2.2.3"), Some(Kind::Private));
        assert_eq!(at(&listed, "127.0.0.1"), Some(Kind::Loopback));
    }

    #[test]
    fn of_several_addresses_only_the_allowed_ones_are_tried() {
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 443);
        let both = [at("10.0.0.1"), at("1.1.1.1")];
        let open: Vec<_> = allowed("h", &Egress::default(), both.into_iter()).unwrap().collect();
        assert_eq!(open, [at("1.1.1.1")]);
        let refused = allowed("h", &Egress::default(), both.into_iter().take(1)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`h` leads to 10.0.0.1, a private address, which the connection does not allow"
        );
    }
}
