//! Which table holds the users and what its columns are called: what the configuration says, before
//! anybody has looked.

/// A table and its columns, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Whose table it is.
    pub owner: Owner,
    /// The schema (in MariaDB and MySQL the database), where it is not the connection's own.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// The primary key.
    pub id: String,
    /// The address.
    pub email: String,
    /// The password hash.
    pub password: String,
    /// Whether the account is active; without such a column, every account is.
    pub active: Option<String>,
    /// Part of every fingerprint: makes links single-use and revocable.
    pub nonce: Extra,
    /// The change that opened the undo window.
    pub undo_opened_at: Extra,
    /// The limit on password checks of an account.
    pub passwords_tat: Extra,
    /// Columns that carry the address too.
    pub also_set: Vec<String>,
}

/// Whose table it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Ours: made by `readdress migrate up`.
    Readdress,
    /// The application's: there before us, and changed by nobody but its owner.
    Application,
}

/// A column that an application's table can do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Its name.
    pub name: String,
    /// Whether it must be there: it was named, or the table is ours.
    pub required: bool,
}

/// The users table of a framework, as its own generator makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// `django.contrib.auth`.
    Django,
    /// Laravel's `create_users_table`.
    Laravel,
    /// `rails generate devise User`.
    Devise,
    /// `mix phx.gen.auth Accounts User users`.
    Phoenix,
}

impl Layout {
    /// The table that `readdress migrate up` makes.
    #[must_use]
    pub fn own() -> Self {
        let required = |name: &str| Extra {
            name: name.to_owned(),
            required: true,
        };
        Self {
            owner: Owner::Readdress,
            nonce: required("email_change_nonce"),
            undo_opened_at: required("undo_opened_at"),
            passwords_tat: required("passwords_tat"),
            ..Self::of_application("users", "password_hash")
        }
    }

    /// An application's table, with the extra columns under their usual names where they are there.
    #[must_use]
    pub fn of_application(table: &str, password: &str) -> Self {
        let usual = |name: &str| Extra {
            name: name.to_owned(),
            required: false,
        };
        Self {
            owner: Owner::Application,
            schema: None,
            table: table.to_owned(),
            id: "id".to_owned(),
            email: "email".to_owned(),
            password: password.to_owned(),
            active: None,
            nonce: usual("email_change_nonce"),
            undo_opened_at: usual("undo_opened_at"),
            passwords_tat: usual("passwords_tat"),
            also_set: Vec::new(),
        }
    }

    /// The extra columns, each with what it is for.
    #[must_use]
    pub fn extras(&self) -> [(&Extra, &'static str); 3] {
        [
            (
                &self.nonce,
                "links work more than once while address and password stay the same, and there is neither cancel nor undo",
            ),
            (&self.undo_opened_at, "no change can be undone"),
            (
                &self.passwords_tat,
                "the limit on password checks of an account is kept by each replica for itself, in memory",
            ),
        ]
    }
}

impl Preset {
    /// What the framework hashes passwords with unless it is told otherwise, as
    /// `READDRESS_PASSWORD_FORMAT` writes it.
    #[must_use]
    pub fn password_format(self) -> &'static str {
        match self {
            // django/contrib/auth/hashers.py in 6.1: PBKDF2PasswordHasher.iterations. (1,200,000 in
            // 6.0, 1,000,000 in 5.2.)
            Self::Django => "pbkdf2_sha256:1500000",
            // laravel/framework from 11 on, config/hashing.php: bcrypt, BCRYPT_ROUNDS.
            Self::Laravel
            // devise 4.8, lib/generators/templates/devise.rb: config.stretches.
            | Self::Devise
            // phx.gen.auth takes bcrypt_elixir, whose hash_pwd_salt has log_rounds 12.
            | Self::Phoenix => "bcrypt:12",
        }
    }
}

impl From<Preset> for Layout {
    fn from(preset: Preset) -> Self {
        match preset {
            Preset::Django => Self {
                active: Some("is_active".to_owned()),
                ..Self::of_application("auth_user", "password")
            },
            Preset::Laravel => Self::of_application("users", "password"),
            Preset::Devise => Self::of_application("users", "encrypted_password"),
            Preset::Phoenix => Self::of_application("users", "hashed_password"),
        }
    }
}

impl std::str::FromStr for Preset {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "django" => Ok(Self::Django),
            "laravel" => Ok(Self::Laravel),
            "devise" => Ok(Self::Devise),
            "phoenix" => Ok(Self::Phoenix),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_table_must_have_what_an_applications_can_do_without() {
        let required = |layout: Layout| layout.extras().map(|(extra, _)| extra.required);
        assert_eq!(required(Layout::own()), [true; 3]);
        let theirs = Layout::of_application("users", "password");
        assert_eq!(required(theirs), [false; 3]);
    }

    #[test]
    fn an_account_that_is_not_active_in_django_is_not_active_here() {
        let django = Layout::from(Preset::Django);
        assert_eq!(django.active.as_deref(), Some("is_active"));
        assert_eq!(Layout::from(Preset::Laravel).active, None);
    }
}
