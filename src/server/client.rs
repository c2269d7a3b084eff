//! Whose request it is: the address of the connection, or what a trusted proxy says.

use std::net::IpAddr;

use ipnet::IpNet;
use poem::http::HeaderMap;

/// The client address of a request that came over a connection from `peer`.
///
/// `Forwarded` (RFC 7239) and `X-Forwarded-For` are each read from the right, as long as the one
/// who wrote the entry is trusted; the first address that is not is the client. Anything unreadable
/// ends the reading: what lies beyond it was written by nobody we trust.
///
/// A proxy writes one of the two headers and passes the other on as the client wrote it. Which one
/// cannot be known here, so if both are there they must agree; otherwise the request counts as the
/// proxy's own: whoever forged it has the limits of the proxy instead of their own, and nobody else's.
#[must_use]
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    let forwarded = entries(headers, "forwarded")
        .map(|elements| elements.map(|element| for_parameter(element).unwrap_or_default()))
        .map(|hops| walk(peer, hops, trusted));
    let x_forwarded_for = entries(headers, "x-forwarded-for").map(|hops| walk(peer, hops, trusted));
    match (forwarded, x_forwarded_for) {
        (Some(one), Some(other)) if one != other => peer,
        (Some(client), _) | (None, Some(client)) => client,
        (None, None) => peer,
    }
}

/// From `peer` along the `hops`, nearest first, to the first address that is not trusted.
fn walk<'a>(peer: IpAddr, hops: impl Iterator<Item = &'a str>, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer;
    for hop in hops {
        if !trusted.iter().any(|net| net.contains(&client)) {
            break;
        }
        let Some(ip) = read(hop) else { break };
        client = ip.to_canonical();
    }
    client
}

/// The entries of a list header, last one first; `None` if it is not there.
fn entries<'a>(headers: &'a HeaderMap, name: &str) -> Option<impl Iterator<Item = &'a str>> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    // Entry by entry: what the client wrote before them, be it no text at all, must not make a
    // proxy's own unreadable.
    let entries = lines
        .into_iter()
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
        .map(|entry| std::str::from_utf8(entry).unwrap_or_default().trim());
    headers.contains_key(name).then_some(entries)
}

/// `for=…` of one `Forwarded` element.
fn for_parameter(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| value.trim().trim_matches('"'))
    })
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn read(entry: &str) -> Option<IpAddr> {
    if let Ok(ip) = entry.parse() {
        return Some(ip);
    }
    if let Some((ip, _)) = entry
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        return ip.parse().ok();
    }
    entry
        .parse::<std::net::SocketAddr>()
        .ok()
        .map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &'static str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header"));
        }
        let trusted = [
            "10.0.0.0/8".parse().expect("a net"),
            "2001:db8::/32".parse().expect("a net"),
        ];
        client_address(peer.parse().expect("an address"), &map, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(
            client("203.0.113.9", &[("x-forwarded-for", "192.0.2.1")]),
            "203.0.113.9"
        );
        assert_eq!(
            client("10.0.0.1", &[("x-forwarded-for", "192.0.2.1")]),
            "192.0.2.1"
        );
        assert_eq!(
            client("::ffff:10.0.0.1", &[("x-forwarded-for", "192.0.2.1")]),
            "192.0.2.1"
        );
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_the_client_itself_wrote_is_not_believed() {
        let spoofed = [("x-forwarded-for", "198.51.100.7, 192.0.2.1, 10.0.0.2")];
        assert_eq!(client("10.0.0.1", &spoofed), "192.0.2.1");
        let in_two_lines = [
            ("x-forwarded-for", "198.51.100.7"),
            ("x-forwarded-for", "192.0.2.1"),
        ];
        assert_eq!(client("10.0.0.1", &in_two_lines), "192.0.2.1");
        assert_eq!(
            client("10.0.0.1", &[("x-forwarded-for", "192.0.2.1, nonsense")]),
            "10.0.0.1"
        );
    }

    /// nginx adds its entry to the line that came; other proxies write a line of their own.
    #[test]
    fn what_is_no_text_hides_nobody_whom_the_proxy_saw() {
        for line in [&b"\xe9, 192.0.2.1"[..], b"\xff,\xfe,192.0.2.1"] {
            let mut map = HeaderMap::new();
            map.append("x-forwarded-for", line.try_into().expect("a header"));
            let trusted = ["10.0.0.0/8".parse().expect("a net")];
            let peer = "10.0.0.1".parse().expect("an address");
            let seen = client_address(peer, &map, &trusted);
            assert_eq!(seen.to_string(), "192.0.2.1");
        }
    }

    #[test]
    fn forwarded_is_read_too() {
        for (forwarded, expected) in [
            ("for=192.0.2.1;proto=https", "192.0.2.1"),
            ("by=x; For=\"[2001:db8:1::5]:4711\"", "2001:db8:1::5"),
            ("for=unknown", "10.0.0.1"),
            ("for=\"198.51.100.7, for=192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(client("10.0.0.1", &[("forwarded", forwarded)]), expected);
        }
    }

    #[test]
    fn a_header_that_the_proxy_passed_on_can_make_a_request_the_proxys_own_and_nobody_elses() {
        for forged in ["for=198.51.100.7", "for=10.0.0.9", "", "\u{e9}"] {
            let behind_nginx = [("forwarded", forged), ("x-forwarded-for", "192.0.2.1")];
            assert_eq!(client("10.0.0.1", &behind_nginx), "10.0.0.1", "{forged}");
        }
        let the_other_way = [
            ("forwarded", "for=192.0.2.1"),
            ("x-forwarded-for", "198.51.100.7"),
        ];
        assert_eq!(client("10.0.0.1", &the_other_way), "10.0.0.1");
        let both_written = [
            ("forwarded", "for=192.0.2.1"),
            ("x-forwarded-for", "192.0.2.1"),
        ];
        assert_eq!(client("10.0.0.1", &both_written), "192.0.2.1");
    }
}
