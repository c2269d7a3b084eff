//! The options behind the `?` of a database URL, for [`DatabaseSettings`](super::DatabaseSettings).
//!
//! The drivers of PostgreSQL and MariaDB pass over an option that they do not know: with a misspelt
//! `sslmode`, nobody looks at the server's certificate, and nobody is told. So what is not read is
//! refused.

use url::Url;

/// What the drivers read, each option with its other spellings behind the usual one: sqlx 0.9,
/// `src/options/parse.rs` of sqlx-postgres, sqlx-mysql and sqlx-sqlite.
const POSTGRES: &[&[&str]] = &[
    &["sslmode", "ssl-mode"],
    &["sslrootcert", "ssl-root-cert", "ssl-ca"],
    &["sslcert", "ssl-cert"],
    &["sslkey", "ssl-key"],
    &["host"],
    &["hostaddr"],
    &["port"],
    &["dbname"],
    &["user"],
    &["password"],
    &["application_name"],
    &["options"],
    &["statement-cache-capacity"],
];
const MYSQL: &[&[&str]] = &[
    &["ssl-mode", "sslmode"],
    &["ssl-ca", "sslca"],
    &["ssl-cert", "sslcert"],
    &["ssl-key", "sslkey"],
    &["socket"],
    &["charset"],
    &["collation"],
    &["time-zone", "timezone"],
    &["statement-cache-capacity"],
];
const SQLITE: &[&[&str]] = &[&["mode"], &["cache"], &["immutable"], &["vfs"]];

/// What is wrong with the options of a URL, and how to mend it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) problem: String,
    pub(super) mend: String,
}

/// Refuses what the driver would pass over. A URL that cannot be parsed is refused where it is
/// connected to.
pub(super) fn refuse_unread(text: &str) -> Result<(), Unread> {
    let Ok(url) = Url::parse(text) else {
        return Ok(());
    };
    let known = match url.scheme() {
        "mysql" => MYSQL,
        "sqlite" => SQLITE,
        _ => POSTGRES,
    };
    // In the name of a SQLite file it is a character like any other.
    if url.fragment().is_some() && url.scheme() != "sqlite" {
        return Err(Unread {
            problem: "has a # in it, and nothing behind that is read".to_owned(),
            mend: "write it as %23".to_owned(),
        });
    }
    let is_read = |name: &str| {
        known.iter().any(|spellings| spellings.contains(&name))
            // A setting of PostgreSQL's: options[search_path]=accounts.
            || (url.scheme().starts_with("postgres")
                && name.starts_with("options[")
                && name.ends_with(']'))
    };
    let Some((name, _)) = url.query_pairs().find(|(name, _)| !is_read(name)) else {
        return Ok(());
    };
    // Behind a ? that stands unescaped in a password is the rest of the password.
    let is_plain = name
        .chars()
        .all(|c| c.is_ascii_alphabetic() || c == '-' || c == '_');
    let problem = if is_plain && !url.query().unwrap_or_default().contains('@') {
        format!("has an option {name} that its driver does not read")
    } else {
        "has an option that its driver does not read, or an unescaped ? before the host".to_owned()
    };
    let usual: Vec<&str> = known.iter().map(|spellings| spellings[0]).collect();
    Err(Unread {
        problem,
        mend: format!(
            "take it away, or write it as one of: {} (and a ? in a password as %3F)",
            usual.join(", ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(url: &str) -> Option<String> {
        let unread = refuse_unread(url).err()?;
        Some(format!("{}: {}", unread.problem, unread.mend))
    }

    #[test]
    fn every_option_that_a_driver_reads_is_accepted() {
        for (scheme, known) in [
            ("postgres", POSTGRES),
            ("postgresql", POSTGRES),
            ("mysql", MYSQL),
            ("sqlite", SQLITE),
        ] {
            assert_eq!(complaint(&format!("{scheme}://host/name")), None);
            for name in known.iter().copied().flatten() {
                let url = format!("{scheme}://u:p@host/name?{name}=x");
                assert_eq!(complaint(&url), None, "{url}");
            }
        }
        for url in [
            "postgres://host/name?options[search_path]=accounts",
            "postgres:///name?host=/run/postgresql&user=ann@office",
            "sqlite::memory:",
            "sqlite:///srv/users#1.db",
        ] {
            assert_eq!(complaint(url), None, "{url}");
        }
    }

    #[test]
    fn an_option_that_would_be_passed_over_is_named_with_the_usual_ones_and_without_its_value() {
        for (url, name, usual) in [
            (
                "postgres://host/name?sslmod=canary",
                "sslmod",
                "of: sslmode,",
            ),
            (
                "postgresql://host/name?sslmode=require&SSLROOTCERT=canary",
                "SSLROOTCERT",
                " sslrootcert,",
            ),
            ("postgres://host/name?tls=canary", "tls", "of: sslmode,"),
            ("mysql://host/name?tls=canary", "tls", "of: ssl-mode,"),
            (
                "mysql://host/name?sslrootcert=canary",
                "sslrootcert",
                " ssl-ca,",
            ),
            (
                "mysql://host/name?options[x]=canary",
                "option",
                "of: ssl-mode,",
            ),
            ("sqlite:///users.db?sslmode=canary", "sslmode", "of: mode,"),
        ] {
            let said = complaint(url).unwrap_or_else(|| panic!("{url} is accepted"));
            assert!(
                said.contains(&format!("option {name} that")) || name == "option",
                "{said}"
            );
            assert!(said.contains(usual), "{said}");
            assert!(!said.contains("canary"), "{said}");
        }
    }

    #[test]
    fn what_stands_behind_a_mark_in_a_password_is_not_repeated() {
        for url in [
            "postgres://u:12?canary@host/name",
            "postgres://u:12?canary&x=y@host/name",
            "mysql://u:12?canary=x@host/name",
            "postgres://u:12#canary@host/name?sslmode=verify-full",
            "postgres://host/name?canary7=x",
        ] {
            let said = complaint(url).unwrap_or_else(|| panic!("{url} is accepted"));
            assert!(!said.contains("canary"), "{said}");
        }
    }
}
