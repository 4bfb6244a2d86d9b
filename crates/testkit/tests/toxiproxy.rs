//! Each fault of the proxy does what it says.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use testkit::{
    free_port,
    toxiproxy::{Direction, Toxic, Toxiproxy},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const SOON: Duration = Duration::from_secs(20);

/// A server that sends back whatever comes.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await.ok(); // a cut connection is what this is about
            });
        }
    });
    address
}

/// What comes back of `sent` until it is complete or the connection ends; none if there is no connection.
async fn round_trip(port: u16, sent: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(sent).await.ok()?;
    let mut back = Vec::new();
    while back.len() < sent.len() {
        let mut part = [0; 64];
        match tokio::time::timeout(SOON, stream.read(&mut part)).await.unwrap() {
            Ok(0) | Err(_) => break,
            Ok(count) => back.extend_from_slice(&part[..count]),
        }
    }
    Some(back)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_works_and_is_healed() {
    let toxiproxy = tokio::task::spawn_blocking(|| Toxiproxy::start().unwrap()).await.unwrap();
    let port = free_port().unwrap();
    toxiproxy.proxy("echo", port, &echo().await).await.unwrap();
    let whole = Some(b"0123456789".to_vec());
    assert_eq!(round_trip(port, b"0123456789").await, whole);

    toxiproxy.cut("echo").await.unwrap();
    assert_eq!(round_trip(port, b"0123456789").await, None, "a connection through a cut proxy");
    toxiproxy.heal("echo").await.unwrap();
    assert_eq!(round_trip(port, b"0123456789").await, whole);

    for (direction, toxic, back) in [
        (Direction::Up, Toxic::LimitBytes(4), &b"0123"[..]),
        (Direction::Down, Toxic::LimitBytes(6), b"012345"),
        (Direction::Down, Toxic::Timeout(50), b""),
        (Direction::Up, Toxic::Reset(0), b""),
    ] {
        toxiproxy.poison("echo", direction, toxic).await.unwrap();
        let seen = round_trip(port, b"0123456789").await.unwrap_or_default();
        assert!(seen.len() <= back.len() && back.starts_with(&seen), "{toxic:?}: {seen:?}");
        toxiproxy.heal("echo").await.unwrap();
        assert_eq!(round_trip(port, b"0123456789").await, whole, "healed of {toxic:?}");
    }
    assert!(toxiproxy.cut("nothing").await.is_err());
}
