//! From a name to addresses, lent so that tests can script the answers.

use std::io;
use std::net::IpAddr;

use wardroom_core::witness::BoxFuture;

/// Answers with the addresses of a name.
///
/// The answers are not trusted: each is judged before it is dialled.
pub trait Resolve: Send + Sync {
    /// All addresses of `name`, the preferred ones first.
    ///
    /// # Errors
    ///
    /// Where the name has none, or nobody answers.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            // The port is only carried through. Scope ids are lost here, on
            // purpose: an address that needs one is link-local.
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|socket| socket.ip()).collect())
        })
    }
}
