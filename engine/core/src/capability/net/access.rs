//! The two checks and their receipts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::host::Host;
use super::scope::{HttpScope, NetScope, is_never_allowed};
use super::target::HttpTarget;
use crate::address::classify;
use crate::capability::{Capability, Refusal};

/// What a run may reach: the intersection of requests and grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetAccess {
    scopes: Vec<NetScope>,
}

impl NetAccess {
    /// From the effective scopes. None of them: nothing is reached.
    #[must_use]
    pub fn new(scopes: Vec<NetScope>) -> Self {
        Self { scopes }
    }

    /// Whether nothing at all may be reached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    /// The scopes, in the order given.
    #[must_use]
    pub fn scopes(&self) -> &[NetScope] {
        &self.scopes
    }

    /// Whether `target` may be sent, and to which addresses.
    ///
    /// Where several scopes allow it, one that binds the name goes first: the
    /// operator knows better than a resolver where it stands.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] that names the smallest scope that would allow it: the
    /// host with this method (a path would make the operator answer again for
    /// every request).
    pub fn check(&self, target: &HttpTarget) -> Result<GrantedRequest, Refusal> {
        if is_never_allowed(target.method()) {
            return Err(refusal(target, "this method is never allowed".to_owned(), None));
        }
        let allowing = || self.http().filter(|scope| misses(scope, target).is_none());
        let best = allowing().find(|scope| scope.bound().is_some()).or_else(|| allowing().next());
        match best {
            Some(scope) => Ok(GrantedRequest { rule: rule(scope, target), target: target.clone() }),
            None => Err(self.refuse(target)),
        }
    }

    fn http(&self) -> impl Iterator<Item = &HttpScope> {
        self.scopes.iter().filter_map(|scope| match scope {
            NetScope::Http(scope) => Some(scope),
            NetScope::Tcp(_) => None,
        })
    }

    fn refuse(&self, target: &HttpTarget) -> Refusal {
        // The nearest miss is the most telling one.
        let nearest = self.http().filter_map(|scope| misses(scope, target)).max_by_key(|miss| miss.nearness);
        let reason = nearest.map_or_else(|| NOTHING_COVERS.to_owned(), |miss| miss.reason);
        let allowing = target.host_address().is_none_or(|address| classify(address).is_dialable());
        let scope = allowing.then(|| HttpScope::around(target).to_string());
        refusal(target, reason, scope)
    }
}

const NOTHING_COVERS: &str = "no grant covers it";

/// How a scope fell short of a request.
struct Miss {
    nearness: u8,
    reason: String,
}

fn misses(scope: &HttpScope, target: &HttpTarget) -> Option<Miss> {
    let miss = |nearness, reason: String| Some(Miss { nearness, reason });
    if !scope.same_origin(target) {
        return miss(0, NOTHING_COVERS.to_owned());
    }
    match scope.path().matches(target.path()) {
        Ok(true) if scope.allows_method(target.method()) => None,
        Ok(true) => miss(3, format!("the grant `{scope}` does not name the method {}", target.method())),
        Ok(false) => miss(1, format!("the grant `{scope}` covers other paths only")),
        Err(ambiguity) => miss(2, format!("the grant `{scope}` has a path, and the request's path holds {ambiguity}")),
    }
}

fn rule(scope: &HttpScope, target: &HttpTarget) -> AddressRule {
    match target.host_part() {
        Host::Address(address) => AddressRule::Exactly(*address),
        host if host.is_localhost() => AddressRule::LoopbackOnly,
        Host::Name(_) => scope.bound().map_or(AddressRule::PublicOnly, AddressRule::Exactly),
    }
}

fn refusal(target: &HttpTarget, reason: String, scope: Option<String>) -> Refusal {
    Refusal { capability: Capability::Net, wanted: target.to_string(), reason, scope }
}

/// Which addresses a granted request may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressRule {
    /// Only where [`classify`] says public.
    PublicOnly,
    /// Only this machine: the host is `localhost` or below it.
    LoopbackOnly,
    /// Only there: the host is a literal address, or the operator bound it.
    Exactly(IpAddr),
}

/// How the addresses of a granted request are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// Ask a resolver, once.
    Name(&'a str),
    /// Known without asking.
    Addresses(Vec<IpAddr>),
}

/// Receipt of [`NetAccess::check`]: this request is allowed, and so are these
/// addresses.
///
/// Made nowhere else, and not to be copied: one check, one request.
#[derive(Debug, PartialEq, Eq)]
pub struct GrantedRequest {
    target: HttpTarget,
    rule: AddressRule,
}

impl GrantedRequest {
    /// What is allowed.
    #[must_use]
    pub const fn target(&self) -> &HttpTarget {
        &self.target
    }

    /// Which addresses it may go to.
    #[must_use]
    pub const fn rule(&self) -> AddressRule {
        self.rule
    }

    /// How its addresses are found. Names under `localhost` never reach a
    /// resolver (RFC 6761, 6.3), and neither does a name that is bound.
    #[must_use]
    pub fn lookup(&self) -> Lookup<'_> {
        match (self.rule, self.target.host_part()) {
            (AddressRule::Exactly(address), _) => Lookup::Addresses(vec![address]),
            (AddressRule::PublicOnly, Host::Address(address)) => Lookup::Addresses(vec![*address]),
            (AddressRule::PublicOnly, Host::Name(name)) => Lookup::Name(name),
            (AddressRule::LoopbackOnly, _) => Lookup::Addresses(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
        }
    }

    /// Whether this one address may be dialled.
    ///
    /// A name may resolve to several; whoever asks dials those that are
    /// admitted and leaves the others. Refusing all because of one would not
    /// be safer, since only a [`GrantedAddress`] can be dialled, and would let
    /// one stray record (a `::` that a filtering resolver adds, say) cut off a
    /// granted host. The known attack, a public address that refuses the
    /// connection beside a private one to fall back on, ends here too: the
    /// private one is never in the list.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] whose scope binds the name to this address, where one
    /// machine can be meant by it.
    pub fn admit(&self, address: IpAddr) -> Result<GrantedAddress, Refusal> {
        let address = address.to_canonical();
        let class = classify(address);
        let (admitted, reason) = match self.rule {
            AddressRule::PublicOnly => (class.is_public(), format!("the name leads to {address}, which is {class}")),
            AddressRule::LoopbackOnly => (address.is_loopback(), format!("localhost leads to {address}, which is not this machine")),
            AddressRule::Exactly(granted) => (address == granted, format!("{address} is not the granted address {granted}")),
        };
        if admitted {
            return Ok(GrantedAddress { socket: SocketAddr::new(address, self.target.port()) });
        }
        let bindable = self.rule == AddressRule::PublicOnly && class.is_dialable();
        let scope = bindable.then(|| HttpScope::around(&self.target).bound_to(address).to_string());
        Err(refusal(&self.target, reason, scope))
    }
}

/// Receipt of [`GrantedRequest::admit`]: this address and port may be dialled.
#[derive(Debug, PartialEq, Eq)]
pub struct GrantedAddress {
    socket: SocketAddr,
}

impl GrantedAddress {
    /// Where to.
    #[must_use]
    pub const fn socket(&self) -> SocketAddr {
        self.socket
    }
}
