//! What happens between `accept` and the first byte of HTTP: PROXY header, place of the address, TLS handshake.
//!
//! In this order, because the header names the client that the place is for, and because a handshake is the dear
//! part. A connection that fails here is closed without an answer: there is no request yet to answer to.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::core::Shared;
use crate::options::ProxyProtocol;
use crate::per_address::{Place, Places};
use crate::proxy_protocol;
use crate::stream::Stream;
use crate::tls::{HandshakeError, ServerTls};

/// What all connections pass, shared by all cores.
pub(crate) struct Gate {
    pub tls: Option<Arc<ServerTls>>,
    pub places: Places,
}

/// A connection that may speak HTTP.
pub(crate) struct Entered {
    pub stream: Stream,
    /// The client as the transport knows it: the PROXY header's address if there is one, else the peer's.
    pub client: SocketAddr,
    /// Held as long as the connection is served.
    pub place: Option<Place>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Header(#[from] proxy_protocol::ReadError),
    #[error("the address has all its connections")]
    TooMany,
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

pub(crate) async fn enter(
    shared: &Shared,
    mut stream: TcpStream,
    peer: SocketAddr,
) -> Result<Entered, Refused> {
    let expects_header = shared.options.proxy_protocol == ProxyProtocol::Trusted;
    let client = if expects_header && shared.is_trusted(peer.ip()) {
        proxy_protocol::read(&mut stream).await?.source.unwrap_or(peer)
    } else {
        peer
    };
    let place = if shared.is_trusted(client.ip()) {
        None
    } else {
        Some(shared.gate.places.take(client.ip()).ok_or(Refused::TooMany)?)
    };
    let stream = match &shared.gate.tls {
        None => Stream::Tcp(stream),
        Some(tls) => Stream::Tls(Box::new(tls.accept(stream).await?.into())),
    };
    Ok(Entered { stream, client, place })
}
