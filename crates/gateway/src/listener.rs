//! Sockets and connections: one listener per core on the same address.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::buffer::Buffer;
use crate::client::Client;
use crate::core::Core;
use crate::entry::{self, Entered};
use crate::server::http1::{Greeted, Http1};
use crate::server::http2;
use crate::stream::Stream;

const BACKLOG: i32 = 4096;
/// Pause after an accept error that another connection would meet too (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One listener per worker, made or inherited.
pub(crate) fn bind(
    address: SocketAddr,
    workers: usize,
    inherited: Vec<StdListener>,
) -> io::Result<Vec<StdListener>> {
    if inherited.is_empty() { make(address, workers) } else { adopt(inherited, workers) }
}

/// The first bind is exclusive, so that a taken port is an error.
fn make(address: SocketAddr, workers: usize) -> io::Result<Vec<StdListener>> {
    let probe = socket(address, false)?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    (0..workers).map(|_| shared_listener(address)).collect()
}

/// Keeps every inherited listener, because connections wait in each of them. When there are fewer than workers, the
/// others join their group, or share them if they are in none that this user may join.
fn adopt(mut listeners: Vec<StdListener>, workers: usize) -> io::Result<Vec<StdListener>> {
    let given = listeners.len();
    for listener in &listeners {
        listener.set_nonblocking(true)?;
    }
    let address = listeners[0].local_addr()?;
    let is_group = listeners.iter().all(|one| SockRef::from(one).reuse_port().unwrap_or(false));
    for index in given..workers {
        let joined = if is_group { shared_listener(address).ok() } else { None };
        let listener = joined.map_or_else(|| listeners[index % given].try_clone(), Ok)?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn shared_listener(address: SocketAddr) -> io::Result<StdListener> {
    let socket = socket(address, true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if !shared {
        // Address reuse lets a bind succeed beside a listening socket only until it listens itself.
        socket.listen(1)?;
    }
    Ok(socket)
}

/// Serves until `stop` changes, then until the connections in flight have ended.
pub(crate) async fn serve(
    core: Rc<Core>,
    listener: StdListener,
    mut stop: watch::Receiver<u8>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let places = core.shared.options.bounds.connections_max;
    let room = Arc::new(Semaphore::new(places));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let core = core.clone();
                tokio::task::spawn_local(async move {
                    connection(core, stream, peer).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // Idle connections end now, the others after their answer.
    core.deadlines.wake_all();
    let _all = room.acquire_many(u32::try_from(places).unwrap_or(u32::MAX)).await;
    Ok(())
}

async fn connection(core: Rc<Core>, stream: TcpStream, peer: SocketAddr) {
    let shared = core.shared.clone();
    let _ = stream.set_nodelay(true);
    // A client that stops reading holds its place no longer than one that stops sending.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(shared.options.bounds.idle));
    core.metrics.accepted();
    shared.connections.fetch_add(1, Ordering::Relaxed);
    match entry::enter(&shared, stream, peer).await {
        Ok(Entered { stream, client, place }) => {
            let secure = matches!(stream, Stream::Tls(_));
            let client = Client::new(&shared, client.ip(), secure);
            serve_connection(core, client, stream).await;
            drop(place);
        }
        Err(refused) => tracing::debug!(%refused, %peer, "connection closed"),
    }
    shared.connections.fetch_sub(1, Ordering::Relaxed);
}

/// HTTP/2 where the client asked for it in its handshake, or begins with its preface; else HTTP/1.
async fn serve_connection(core: Rc<Core>, client: Client, stream: Stream) {
    // Boxed, so that a connection of HTTP/1 has no room for the other.
    if stream.protocol() == Some(http2::ALPN) {
        return Box::pin(http2::run(core, client, Buffer::default(), stream)).await;
    }
    if let Some(greeted) = Http1::new(core.clone(), client, stream).run().await {
        let Greeted { client, input, stream } = greeted;
        Box::pin(http2::run(core, client, input, stream)).await;
    }
}
