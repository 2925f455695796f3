//! A few labelled calls a second, so that the demo's dashboards live.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PAUSE: Duration = Duration::from_millis(400);
const ANSWER_WAIT: Duration = Duration::from_secs(5);
const ANSWER_MAX: u64 = 64 * 1024;
/// The paths are called in turn; the last one is an error on purpose.
const PATHS: [&str; 6] = [
    "/shipment-tracking/shipments?limit=5",
    "/shipment-tracking/shipments/KT-1003",
    "/shipment-tracking/shipments/KT-1007/events",
    "/shipment-tracking/rates?from=Hamburg&to=Lyon&weight_grams=2500",
    "/shipment-tracking/shipments/KT-1012",
    "/shipment-tracking/shipments/KT-9999",
];

/// Calls the gateway until the task is dropped.
pub async fn run(gateway: SocketAddr, key: String) {
    let mut pause = tokio::time::interval(PAUSE);
    for path in PATHS.iter().cycle() {
        pause.tick().await;
        let answer = tokio::time::timeout(ANSWER_WAIT, call(gateway, path, &key)).await;
        if !matches!(answer, Ok(Ok(()))) {
            tracing::debug!(path, "a demo call was not answered");
        }
    }
}

async fn call(gateway: SocketAddr, path: &str, key: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(gateway).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {gateway}\r\nAuthorization: Bearer {key}\r\n\
         User-Agent: keytoll-demo-traffic\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
    Ok(())
}
