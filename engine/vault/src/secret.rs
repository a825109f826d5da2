//! A value that must not be seen: no `Debug`, no `Display`, no `Clone`, wiped
//! when dropped, and read only through the `expose_…` functions.

use zeroize::Zeroizing;

/// The value of a credential, or a passphrase.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over bytes. A vector that grew before may have left copies behind:
    /// hand over one that was made in its final size.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The value. Callers keep it no longer than they have to.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value as text, where it is UTF-8.
    #[must_use]
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_as_long_as_it_was() {
        for (bytes, len) in [(b"".as_slice(), 0), (b"\xFF", 1), (b"value", 5)] {
            let secret = Secret::new(bytes.to_vec());
            assert_eq!((secret.expose_bytes(), secret.len(), secret.is_empty()), (bytes, len, len == 0));
            assert_eq!(secret.expose_text(), std::str::from_utf8(bytes).ok());
        }
    }
}
