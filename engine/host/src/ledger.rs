//! The ledger: one limiter for a whole run, that sums.
//!
//! wasmtime's own `StoreLimits` counts each memory by itself and allows ten
//! thousand of them; here all memories and tables share one budget.

use wardroom_core::limit::MAX_INSTANCES;
use wasmtime::ResourceLimiter;

/// Bytes that one table element takes in the host.
const TABLE_ELEMENT_BYTES: u64 = size_of::<usize>() as u64;

/// Memory of one run: what it may have, has, and has had at most.
#[derive(Debug)]
pub(crate) struct Ledger {
    budget: u64,
    used: u64,
    peak: u64,
    refused: bool,
}

impl Ledger {
    pub(crate) const fn new(budget: u64) -> Self {
        Self { budget, used: 0, peak: 0, refused: false }
    }

    /// The most bytes held at once.
    pub(crate) const fn peak(&self) -> u64 {
        self.peak
    }

    /// Something was refused: a trap that follows is the limit's.
    pub(crate) const fn refused(&self) -> bool {
        self.refused
    }

    fn grow(&mut self, bytes: u64) -> bool {
        let used = self.used.saturating_add(bytes);
        if used > self.budget {
            self.refused = true;
            return false;
        }
        self.used = used;
        self.peak = self.peak.max(used);
        true
    }
}

fn delta(current: usize, desired: usize) -> u64 {
    desired.saturating_sub(current) as u64
}

impl ResourceLimiter for Ledger {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(delta(current, desired)))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(delta(current, desired).saturating_mul(TABLE_ELEMENT_BYTES)))
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_INSTANCES
    }

    fn memories(&self) -> usize {
        MAX_INSTANCES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_share_one_budget() {
        let mut ledger = Ledger::new(200);
        assert!(ledger.memory_growing(0, 100, None).unwrap());
        assert!(ledger.memory_growing(0, 50, None).unwrap());
        assert!(!ledger.table_growing(0, 7, None).unwrap(), "7 × 8 bytes are more than the 50 left");
        assert!(ledger.refused());
        assert!(ledger.table_growing(0, 6, None).unwrap());
        assert_eq!(ledger.peak(), 198);
        assert!(!ledger.memory_growing(100, usize::MAX, None).unwrap());
    }
}
