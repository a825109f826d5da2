//! The seeds, and whatever was added to them after it had been found, replayed.

use std::path::Path;

#[test]
fn every_target_holds_for_its_seeds() {
    for (name, target) in wardroom_fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
        let seeds: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for seed in seeds {
            let bytes = std::fs::read(&seed).unwrap();
            eprintln!("{name}: {}", seed.display());
            target(&bytes);
            // Cut short, and with a byte changed: near misses cost nothing.
            for at in 0..bytes.len().min(256) {
                target(bytes.get(..at).unwrap_or_default());
                let mut changed = bytes.clone();
                if let Some(byte) = changed.get_mut(at) {
                    *byte ^= 0x15;
                }
                target(&changed);
            }
        }
    }
}
