//! Whatever a client writes into `Forwarded` and `X-Forwarded-For`, it stays the client that the
//! nearest trusted proxy saw; without a proxy, the one that is connected.

use std::net::IpAddr;

use ipnet::IpNet;
use poem::http::{HeaderMap, HeaderValue};
use readdress::server::client_address;

const NAMES: [&str; 2] = ["forwarded", "x-forwarded-for"];

/// The first byte chooses the addresses; then a line a header, whose first byte chooses its name.
pub fn run(data: &[u8]) {
    let Some((&choice, lines)) = data.split_first() else {
        return;
    };
    let pick = |of: &[&str], shift: u8| -> IpAddr {
        let index = usize::from(choice >> shift) % of.len();
        of[index].parse().expect("an address")
    };
    let client = pick(
        &[
            "203.0.113.9",
            "2001:db8:1::5",
            "::ffff:203.0.113.9",
            "8.8.8.8",
        ],
        0,
    );
    let proxy = pick(
        &[
            "10.0.0.1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "10.255.255.255",
        ],
        2,
    );
    let inner = pick(&["10.0.0.2", "2001:db8::2"], 4);
    let trusted: Vec<IpNet> = ["10.0.0.0/8", "2001:db8::/48"]
        .map(|net| net.parse().expect("a net"))
        .to_vec();

    let mut written = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some((&name, value)) = line.split_first() else {
            continue;
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            written.append(NAMES[usize::from(name) % NAMES.len()], value);
        }
    }
    let seen = |peer: IpAddr, headers: &HeaderMap| client_address(peer, headers, &trusted);

    // Connected without a proxy, or with none that is trusted.
    assert_eq!(seen(client, &written), client.to_canonical(), "{written:?}");
    assert_eq!(
        client_address(proxy, &written, &[]),
        proxy.to_canonical(),
        "{written:?}"
    );

    for (name, other) in [(NAMES[0], NAMES[1]), (NAMES[1], NAMES[0])] {
        for chain in [vec![client], vec![client, inner]] {
            for joined in [true, false] {
                // The proxy drops the header that it does not write.
                let mut careful = written.clone();
                careful.remove(other);
                let careful = passed_on(&careful, name, &chain, joined);
                assert_eq!(seen(proxy, &careful), client.to_canonical(), "{careful:?}");
                // It passes it on: the request is the client's, or else the proxy's own.
                let careless = passed_on(&written, name, &chain, joined);
                let found = seen(proxy, &careless);
                let expected = [client.to_canonical(), proxy.to_canonical()];
                assert!(expected.contains(&found), "{found} of {careless:?}");
            }
        }
    }
}

/// As a proxy, or a row of them, sends it on: its own entry last, in the same line (nginx) or in one
/// of its own (haproxy).
fn passed_on(written: &HeaderMap, name: &'static str, chain: &[IpAddr], joined: bool) -> HeaderMap {
    let mut headers = written.clone();
    for hop in chain {
        let entry = match (name, hop) {
            ("forwarded", IpAddr::V6(ip)) => format!("for=\"[{ip}]:4711\";proto=https"),
            ("forwarded", IpAddr::V4(ip)) => format!("for={ip}"),
            _ => hop.to_string(),
        };
        if joined {
            let mut lines: Vec<&[u8]> = headers
                .get_all(name)
                .iter()
                .map(HeaderValue::as_bytes)
                .collect();
            lines.push(entry.as_bytes());
            let line = HeaderValue::from_bytes(&lines.join(&b", "[..])).expect("a header");
            headers.insert(name, line);
        } else {
            headers.append(name, entry.parse().expect("a header"));
        }
    }
    headers
}
