//! A fresh connection to an upstream: name, TCP, TLS, all within one time limit.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsStream;

use super::pool::Connection;
use super::{Failure, Upstream};
use crate::stream::Stream;

/// So many addresses of a name are tried.
const ADDRESSES_MAX: usize = 8;

pub(super) async fn connect(
    upstream: &Arc<Upstream>,
    limit: Duration,
) -> Result<Box<Connection>, Failure> {
    let until = Instant::now() + limit;
    let tcp = connect_tcp(&upstream.address, until).await?;
    tcp.set_nodelay(true).map_err(|_| Failure::Unreachable)?;
    let Some(tls) = &upstream.tls else {
        return Ok(Connection::over(upstream, Stream::Tcp(tcp)));
    };
    match timeout_at(until, tls.connect(&upstream.host, tcp)).await {
        Ok(Ok(stream)) => {
            if upstream.state.distrusted.load(Relaxed) {
                upstream.state.distrusted.store(false, Relaxed);
            }
            let stream = Stream::Tls(Box::new(TlsStream::Client(stream)));
            Ok(Connection::over(upstream, stream))
        }
        Ok(Err(error)) => {
            // Once until it works again: every call would say the same.
            if !upstream.state.distrusted.swap(true, Relaxed) {
                tracing::error!(target_url = %upstream.url, %error, "no TLS with an upstream");
            }
            Err(Failure::Unreachable)
        }
        Err(_late) => Err(Failure::Timeout),
    }
}

/// Tries the addresses in their order; each gets an equal share of the time that is left.
async fn connect_tcp(address: &str, until: Instant) -> Result<TcpStream, Failure> {
    let found = timeout_at(until, lookup_host(address)).await;
    let found = found.map_err(|_| Failure::Timeout)?.map_err(|_| Failure::Unreachable)?;
    let addresses: Vec<_> = found.take(ADDRESSES_MAX).collect();
    let mut failure = Failure::Unreachable;
    for (index, address) in addresses.iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(1);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(_)) => failure = Failure::Unreachable,
            Err(_) => failure = Failure::Timeout,
        }
    }
    Err(failure)
}
