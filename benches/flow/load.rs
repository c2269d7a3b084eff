//! What is sent to the service from a process of its own, so that its processor time is not ours.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::at;

/// Connections of `throughput`, each with one request at a time.
const CONNECTIONS: usize = 16;
const FLOODERS: usize = 120;
pub const THROUGHPUT: Duration = Duration::from_secs(5);
pub const FLOOD: Duration = Duration::from_secs(10);

/// Sends the same request over and over, which must be answered so each time, and prints how many
/// were, and the 50th and 99th percentile of how long it took, in microseconds.
pub async fn throughput(address: &str, status: &str, request: String) {
    let expected = format!("HTTP/1.1 {status} ");
    let ends = Instant::now() + THROUGHPUT;
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (address, request) = (address.to_owned(), request.clone());
            let expected = expected.clone();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("a connection");
                stream.set_nodelay(true).expect("a socket");
                let (mut took, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
                while Instant::now() < ends {
                    let asked = Instant::now();
                    stream.write_all(request.as_bytes()).await.expect("sent");
                    // Every one of these answers is small and comes in one piece.
                    let length = stream.read(&mut buffer).await.expect("an answer");
                    assert!(buffer[..length].starts_with(expected.as_bytes()));
                    took.push(asked.elapsed().as_secs_f64() * 1e6);
                }
                took
            })
        })
        .collect();
    let mut all = Vec::new();
    for connection in connections {
        all.extend(connection.await.expect("no panic"));
    }
    let [p50, p99] = [50, 99].map(|percent| at(&mut all, percent));
    println!("{} {p50} {p99}", all.len());
}

/// Wrong passwords, from clients that come again as soon as they are answered.
pub async fn flood(url: &str) {
    let body = json!({ "email": "bench@new.example", "password": "wrong" }).to_string();
    let ends = Instant::now() + FLOOD;
    let flooders: Vec<_> = (0..FLOODERS)
        .map(|_| {
            let (http, url, body) = (
                reqwest::Client::new(),
                format!("{url}/v1/session"),
                body.clone(),
            );
            tokio::spawn(async move {
                let (mut hashed, mut refused) = (0, 0);
                while Instant::now() < ends {
                    let request = http
                        .post(&url)
                        .header("Content-Type", "application/json")
                        .body(body.clone());
                    match request.send().await.expect("an answer").status().as_u16() {
                        401 => hashed += 1,
                        503 => {
                            refused += 1;
                            // As a client that heeds nothing would, but not in a busy loop of its own.
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                        other => panic!("{other}"),
                    }
                }
                (hashed, refused)
            })
        })
        .collect();
    let (mut hashed, mut refused) = (0, 0);
    for flooder in flooders {
        let (one, other) = flooder.await.expect("a flooder");
        hashed += one;
        refused += other;
    }
    println!(
        "the flood             {FLOODERS} clients, {hashed} wrong passwords checked and {refused} refused in {} s",
        FLOOD.as_secs()
    );
}
