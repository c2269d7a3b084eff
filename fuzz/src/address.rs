//! An accepted new address is canonical and within the bounds of RFC 5321; a masked one shows
//! nothing that could harm a log.

use readdress::email_address::{EmailAddress, masked, same_address};

pub fn run(data: &[u8]) {
    let Ok(typed) = std::str::from_utf8(data) else {
        return;
    };
    let shown = masked(typed);
    assert!(!shown.contains(char::is_control), "{shown:?}");
    let Ok(address) = EmailAddress::parse(typed) else {
        return;
    };
    let canonical = address.as_str();
    assert_eq!(
        EmailAddress::parse(canonical).as_ref(),
        Ok(&address),
        "{typed:?}"
    );
    assert!(same_address(canonical, &canonical.to_ascii_uppercase()));
    assert!(canonical.len() <= 254, "{typed:?}");
    let visible = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase();
    assert!(
        canonical.bytes().all(visible),
        "{typed:?} became {canonical:?}"
    );

    let (local, domain) = canonical.split_once('@').expect("an @");
    let (typed_local, _) = typed.trim().split_once('@').expect("an @");
    assert_eq!(local, typed_local.to_ascii_lowercase(), "{typed:?}");
    assert!(
        (1..=64).contains(&local.len()) && !local.starts_with('-'),
        "{typed:?}"
    );
    let forbidden = |c: char| "()<>[]:;@\\,\"%! ".contains(c);
    assert!(!local.contains(forbidden), "{typed:?}");
    assert!(local.split('.').all(|atom| !atom.is_empty()), "{typed:?}");
    holds_as_a_domain(domain);

    // What an address itself has of what masks others hides nothing.
    if !local.ends_with('*') {
        assert!(!masked(canonical).contains(&format!("{local}@")));
        assert!(!format!("{address:?}").contains(canonical));
    }
}

/// RFC 1123 labels, at least two, the last no number.
fn holds_as_a_domain(domain: &str) {
    assert!(domain.len() <= 253, "{domain:?}");
    let labels: Vec<&str> = domain.split('.').collect();
    assert!(labels.len() > 1, "{domain:?}");
    for label in &labels {
        assert!((1..=63).contains(&label.len()), "{domain:?}");
        assert!(
            !label.starts_with('-') && !label.ends_with('-'),
            "{domain:?}"
        );
        let is_ldh = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(label.bytes().all(is_ldh), "{domain:?}");
        assert!(
            label.get(2..4) != Some("--") || label.starts_with("xn--"),
            "{domain:?}"
        );
    }
    let last = labels[labels.len() - 1];
    assert!(
        !last.bytes().all(|byte| byte.is_ascii_digit()),
        "{domain:?}"
    );
}
