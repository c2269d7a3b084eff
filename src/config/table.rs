//! Which table holds the users: a preset, and what is called differently.

use super::reader::Reader;
use crate::users::{Extra, Layout, Preset};

const PRESET: &str = "READDRESS_USERS_PRESET";

/// Our own table, unless any variable says otherwise. `None` if one cannot be used. `folds`: whether
/// the database takes two names for one that differ in case alone.
pub(super) fn layout(reader: &mut Reader, folds: bool) -> Option<Layout> {
    let is_preset = reader.optional(PRESET).is_some();
    let preset = preset(reader);
    let named = Named::read(reader);
    if !is_preset && named.is_empty() {
        return Some(Layout::own());
    }
    let mut layout = if is_preset {
        preset?.into()
    } else {
        Layout::of_application("users", "password_hash")
    };
    if let Some(table) = named.table {
        match table.split_once('.') {
            Some((schema, table)) => {
                layout.schema = Some(schema.to_owned());
                table.clone_into(&mut layout.table);
            }
            None => layout.table = table,
        }
    }
    for (name, column) in [
        (named.id, &mut layout.id),
        (named.email, &mut layout.email),
        (named.password, &mut layout.password),
    ] {
        if let Some(name) = name {
            *column = name;
        }
    }
    for (name, extra) in [
        (named.nonce, &mut layout.nonce),
        (named.undo_opened_at, &mut layout.undo_opened_at),
        (named.passwords_tat, &mut layout.passwords_tat),
    ] {
        if let Some(name) = name {
            *extra = Extra {
                name,
                required: true,
            };
        }
    }
    layout.active = named.active.or(layout.active);
    layout.also_set = named.also_set;
    has_a_column_for_each_role(reader, &layout, folds).then_some(layout)
}

/// A column in two roles would be written twice in one statement, or hold a value that is not its
/// own: refuses each with both variables, set or not.
fn has_a_column_for_each_role(reader: &mut Reader, layout: &Layout, folds: bool) -> bool {
    let mut roles = vec![
        ("READDRESS_USERS_ID", &layout.id),
        ("READDRESS_USERS_EMAIL", &layout.email),
        ("READDRESS_USERS_PASSWORD", &layout.password),
        ("READDRESS_USERS_NONCE", &layout.nonce.name),
        (
            "READDRESS_USERS_UNDO_OPENED_AT",
            &layout.undo_opened_at.name,
        ),
        ("READDRESS_USERS_PASSWORDS_TAT", &layout.passwords_tat.name),
    ];
    let active = layout.active.iter();
    roles.extend(active.map(|name| ("READDRESS_USERS_ACTIVE", name)));
    let also_set = layout.also_set.iter();
    roles.extend(also_set.map(|name| ("READDRESS_USERS_ALSO_SET", name)));
    let is_same =
        |one: &str, other: &str| one == other || (folds && one.eq_ignore_ascii_case(other));
    let errors = reader.count();
    for (at, (variable, name)) in roles.iter().enumerate() {
        let mut before = roles[..at].iter();
        if let Some((other, _)) = before.find(|(_, other)| is_same(name, other)) {
            reader.refuse(
                variable,
                &format!("names a column that {other} names too"),
                "give each a column of its own; where one of the two is not set, its preset or its default says the name",
            );
        }
    }
    reader.count() == errors
}

/// The preset, for what it says beyond the table. One that is none was refused with the table.
pub(super) fn known_preset(reader: &mut Reader) -> Option<Preset> {
    reader.optional(PRESET)?.trim().parse().ok()
}

/// Whether a table that lets two accounts have one address is accepted.
pub(super) fn allow_non_unique(reader: &mut Reader) -> bool {
    let read = |text: &str| match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    let name = "READDRESS_ALLOW_NON_UNIQUE";
    let set = reader.parsed(name, "is neither yes nor no", "set it to yes or no", read);
    set.unwrap_or(false)
}

#[derive(PartialEq, Eq, Default)]
struct Named {
    table: Option<String>,
    id: Option<String>,
    email: Option<String>,
    password: Option<String>,
    active: Option<String>,
    nonce: Option<String>,
    undo_opened_at: Option<String>,
    passwords_tat: Option<String>,
    also_set: Vec<String>,
}

impl Named {
    fn read(reader: &mut Reader) -> Self {
        Self {
            table: table(reader),
            id: name(reader, "READDRESS_USERS_ID"),
            email: name(reader, "READDRESS_USERS_EMAIL"),
            password: name(reader, "READDRESS_USERS_PASSWORD"),
            active: name(reader, "READDRESS_USERS_ACTIVE"),
            nonce: name(reader, "READDRESS_USERS_NONCE"),
            undo_opened_at: name(reader, "READDRESS_USERS_UNDO_OPENED_AT"),
            passwords_tat: name(reader, "READDRESS_USERS_PASSWORDS_TAT"),
            also_set: also_set(reader),
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn preset(reader: &mut Reader) -> Option<Preset> {
    let mend = "set it to django, laravel, devise or phoenix";
    reader.parsed(PRESET, "is no preset", mend, |text| text.parse().ok())
}

fn table(reader: &mut Reader) -> Option<String> {
    let read = |text: &str| {
        let parts: Vec<&str> = text.split('.').collect();
        let good = parts.len() <= 2 && parts.iter().all(|part| is_name(part));
        good.then(|| text.to_owned())
    };
    reader.parsed(
        "READDRESS_USERS_TABLE",
        "is not the name of a table",
        "set it to a name, or to schema.name, without quotes and in the case it was made with",
        read,
    )
}

const NO_COLUMN: &str = "is not the name of a column";
const MEND: &str = "set it to a name without quotes, in the case it was made with";

fn name(reader: &mut Reader, variable: &'static str) -> Option<String> {
    let read = |text: &str| is_name(text).then(|| text.to_owned());
    reader.parsed(variable, NO_COLUMN, MEND, read)
}

fn also_set(reader: &mut Reader) -> Vec<String> {
    let read = |text: &str| {
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        let good = names.iter().all(|name| is_name(name));
        good.then(|| names.into_iter().map(ToOwned::to_owned).collect())
    };
    let names = reader.parsed("READDRESS_USERS_ALSO_SET", NO_COLUMN, MEND, read);
    names.unwrap_or_default()
}

/// What PostgreSQL, the strictest of the three, takes for a name without cutting it short.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 63 && !name.contains(['"', '`', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::Owner;

    fn layout_of(variables: &[(&str, &str)]) -> Layout {
        layout(&mut Reader::of(variables), false).expect("a layout")
    }

    fn complaints(variables: &[(&str, &str)], folds: bool) -> Vec<String> {
        let mut reader = Reader::of(variables);
        let is_refused = layout(&mut reader, folds).is_none();
        let errors = reader.finish().err().unwrap_or_default();
        assert_eq!(is_refused, !errors.is_empty(), "{variables:?}");
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn without_a_variable_the_table_is_ours() {
        assert_eq!(layout_of(&[]), Layout::own());
    }

    #[test]
    fn one_variable_makes_it_the_applications() {
        for variable in [
            ("READDRESS_USERS_TABLE", "users"),
            ("READDRESS_USERS_EMAIL", "email"),
            ("READDRESS_USERS_ALSO_SET", "username"),
            ("READDRESS_USERS_PRESET", "laravel"),
        ] {
            assert_eq!(layout_of(&[variable]).owner, Owner::Application);
        }
    }

    #[test]
    fn a_preset_names_table_and_columns_and_a_variable_overrides_it() {
        let layout = layout_of(&[
            ("READDRESS_USERS_PRESET", "django"),
            ("READDRESS_USERS_TABLE", "accounts.people"),
            ("READDRESS_USERS_NONCE", "nonce"),
            ("READDRESS_USERS_ALSO_SET", "username, login"),
        ]);
        assert_eq!(layout.schema.as_deref(), Some("accounts"));
        assert_eq!(layout.table, "people");
        assert_eq!(layout.password, "password");
        assert_eq!(layout.active.as_deref(), Some("is_active"));
        assert!(layout.nonce.required && !layout.undo_opened_at.required);
        assert_eq!(layout.also_set, ["username", "login"]);
    }

    #[test]
    fn no_preset_sets_other_columns_or_asks_for_extra_ones() {
        for preset in ["django", "laravel", "devise", "phoenix"] {
            let layout = layout_of(&[("READDRESS_USERS_PRESET", preset)]);
            assert!(layout.also_set.is_empty(), "{preset}");
            assert!(!layout.nonce.required, "{preset}");
        }
    }
    #[test]
    fn a_column_has_one_role_whoever_named_it() {
        let preset = ("READDRESS_USERS_PRESET", "django");
        for (variables, both) in [
            (
                &[
                    ("READDRESS_USERS_NONCE", "nonce"),
                    ("READDRESS_USERS_UNDO_OPENED_AT", "nonce"),
                ][..],
                ["NONCE", "UNDO_OPENED_AT"],
            ),
            // A default, a default that need not be there, and a preset's.
            (
                &[("READDRESS_USERS_ALSO_SET", "email")],
                ["EMAIL", "ALSO_SET"],
            ),
            (
                &[("READDRESS_USERS_ALSO_SET", "login, password_hash")],
                ["PASSWORD", "ALSO_SET"],
            ),
            (&[("READDRESS_USERS_ID", "email")], ["ID", "EMAIL"]),
            (
                &[("READDRESS_USERS_NONCE", "passwords_tat")],
                ["NONCE", "PASSWORDS_TAT"],
            ),
            (
                &[preset, ("READDRESS_USERS_NONCE", "is_active")],
                ["NONCE", "ACTIVE"],
            ),
            (
                &[preset, ("READDRESS_USERS_ALSO_SET", "password")],
                ["PASSWORD", "ALSO_SET"],
            ),
            (
                &[("READDRESS_USERS_ALSO_SET", "login,login")],
                ["ALSO_SET", "ALSO_SET"],
            ),
        ] {
            let said = complaints(variables, false);
            assert_eq!(said.len(), 1, "{variables:?}: {said:?}");
            for name in both {
                let name = format!("READDRESS_USERS_{name} names");
                assert!(said[0].contains(&name), "{said:?}");
            }
        }
    }

    #[test]
    fn names_that_differ_in_case_are_one_column_where_the_database_folds_them() {
        let variables = [("READDRESS_USERS_ALSO_SET", "Email")];
        assert_eq!(complaints(&variables, true).len(), 1);
        assert!(complaints(&variables, false).is_empty());
    }
}
