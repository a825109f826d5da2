//! The seal of a plugin's row, over all that it says.

use wardroom_db::{PluginDetails, PluginRecord};

use crate::seal::{SealKey, is_same};

/// The seal of a row.
pub(super) fn seal(key: &SealKey, record: &PluginRecord, details: &str) -> String {
    let (size, at) = (record.size.to_string(), record.installed_at.ms().to_string());
    let format = format!("{:?}", record.format);
    key.over([record.name.as_str(), &record.digest.to_string(), &format, &size, &at, &record.summary, details])
}

/// The row is as it was sealed.
pub(super) fn holds(key: &SealKey, record: &PluginRecord, details: &str) -> bool {
    is_same(&record.seal, &seal(key, record, details))
}

/// The hash of what lists do not read; it stands in the summary.
pub(super) fn details_hash(details: &PluginDetails) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(details.functions.len() as u64).to_le_bytes()).update(details.functions.as_bytes());
    hasher.update(&[u8::from(details.wit.is_some())]).update(details.wit.as_deref().unwrap_or_default().as_bytes());
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use wardroom_core::clock::Timestamp;
    use wardroom_core::id::Digest;
    use wardroom_core::program::Format;

    use super::*;

    #[test]
    fn any_change_of_a_row_breaks_its_seal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugins.key");
        let key = SealKey::read_or_make(&path).unwrap();
        let record = PluginRecord {
            name: "a".parse().unwrap(),
            digest: Digest::from_bytes([1; 32]),
            format: Format::Component,
            size: 7,
            installed_at: Timestamp::from_ms(1),
            summary: "s".to_owned(),
            seal: String::new(),
        };
        let sealed = PluginRecord { seal: seal(&key, &record, "d"), ..record };
        assert!(holds(&key, &sealed, "d"));
        for altered in [
            PluginRecord { name: "b".parse().unwrap(), ..sealed.clone() },
            PluginRecord { digest: Digest::from_bytes([2; 32]), ..sealed.clone() },
            PluginRecord { format: Format::Module, ..sealed.clone() },
            PluginRecord { size: 8, ..sealed.clone() },
            PluginRecord { installed_at: Timestamp::from_ms(2), ..sealed.clone() },
            PluginRecord { summary: "sd".to_owned(), ..sealed.clone() },
            PluginRecord { seal: "0".repeat(64), ..sealed.clone() },
            PluginRecord { seal: "x".to_owned(), ..sealed.clone() },
        ] {
            assert!(!holds(&key, &altered, "d"), "{altered:?}");
        }
        assert!(!holds(&key, &sealed, "e"));
        let details = |functions: &str, wit: Option<&str>| {
            details_hash(&PluginDetails { functions: functions.to_owned(), wit: wit.map(str::to_owned) })
        };
        assert_ne!(details("a", Some("b")), details("ab", Some("")));
        assert_ne!(details("a", Some("")), details("a", None));
    }
}
