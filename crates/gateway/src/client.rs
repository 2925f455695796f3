//! Who is at the other end of a connection.

use std::net::IpAddr;

use crate::core::Shared;

pub(crate) struct Client {
    pub address: IpAddr,
    /// The address as text, made once a connection.
    pub text: Box<str>,
    /// A trusted proxy, whose forwarding fields are believed.
    pub trusted: bool,
    /// The connection is encrypted.
    pub secure: bool,
}

impl Client {
    pub(crate) fn new(shared: &Shared, peer: IpAddr, secure: bool) -> Self {
        let address = peer.to_canonical();
        let trusted = shared.is_trusted(address);
        Self { address, text: address.to_string().into(), trusted, secure }
    }
}
