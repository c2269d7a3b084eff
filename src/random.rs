//! The only source of randomness: the operating system's.

/// The operating system gave no random bytes. Nothing secret can be made without them.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct RandomError(#[from] getrandom::Error);

/// `N` bytes from the operating system.
///
/// # Errors
///
/// [`RandomError`] where the operating system gives none, as very early after boot.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// A nonce for the users table: 63 random bits, so that it fits a signed column as it is.
///
/// # Errors
///
/// As [`bytes`].
pub fn nonce() -> Result<i64, RandomError> {
    Ok(i64::from_be_bytes(bytes()?) & i64::MAX)
}
