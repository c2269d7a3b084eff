//! Whose request it is: the address of the connection, or what a trusted proxy says.

use std::net::IpAddr;

use ipnet::IpNet;
use poem::http::HeaderMap;

/// The client address of a request that came over a connection from `peer`.
///
/// `Forwarded` (RFC 7239) or, without it, `X-Forwarded-For` is read from the right, as long as the
/// one who wrote the entry is trusted; the first address that is not is the client. Anything
/// unreadable ends the reading: what lies beyond it was written by nobody we trust.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(&ip.to_canonical()));
    let mut client = peer.to_canonical();
    for entry in hops(headers).iter().rev() {
        if !is_trusted(&client) {
            break;
        }
        let Some(ip) = read(entry) else { break };
        client = ip.to_canonical();
    }
    client
}

fn hops(headers: &HeaderMap) -> Vec<String> {
    let of = |name: &str| -> Vec<String> {
        let lines = headers
            .get_all(name)
            .iter()
            .filter_map(|line| line.to_str().ok());
        lines
            .flat_map(|line| line.split(','))
            .map(|entry| entry.trim().to_owned())
            .collect()
    };
    let forwarded = of("forwarded");
    if forwarded.is_empty() {
        return of("x-forwarded-for");
    }
    forwarded
        .iter()
        .map(|entry| for_parameter(entry).unwrap_or_default())
        .collect()
}

/// `for=…` of one `Forwarded` element.
fn for_parameter(element: &str) -> Option<String> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| value.trim().trim_matches('"').to_owned())
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

    #[test]
    fn forwarded_goes_before_x_forwarded_for() {
        let both = [
            ("forwarded", "for=192.0.2.1;proto=https"),
            ("x-forwarded-for", "198.51.100.7"),
        ];
        assert_eq!(client("10.0.0.1", &both), "192.0.2.1");
        assert_eq!(
            client(
                "10.0.0.1",
                &[("forwarded", "by=x; For=\"[2001:db8:1::5]:4711\"")]
            ),
            "2001:db8:1::5"
        );
        assert_eq!(
            client("10.0.0.1", &[("forwarded", "for=unknown")]),
            "10.0.0.1"
        );
    }
}
