//! From an address to a connection, lent so that tests can record and stand in.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use wardroom_core::witness::BoxFuture;

use super::GrantedAddress;

/// Bytes both ways.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// A connection of any kind.
pub type BoxConnection = Box<dyn Connection>;

/// Opens connections.
pub trait Dial: Send + Sync {
    /// Connects to an address whose receipt the caller holds.
    ///
    /// # Errors
    ///
    /// As the operating system says. Time-outs are the caller's.
    fn dial<'a>(&'a self, address: &'a GrantedAddress) -> BoxFuture<'a, io::Result<BoxConnection>>;
}

/// The operating system's TCP.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDialer;

impl Dial for SystemDialer {
    fn dial<'a>(&'a self, address: &'a GrantedAddress) -> BoxFuture<'a, io::Result<BoxConnection>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address.socket()).await?;
            // Head and body leave in separate writes: waiting to join them
            // costs a round trip.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxConnection)
        })
    }
}
