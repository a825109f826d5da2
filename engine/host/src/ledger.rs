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
    /// The growth that was allowed last, and the peak before it, until it is
    /// known to have failed.
    last: (u64, u64),
}

impl Ledger {
    pub(crate) const fn new(budget: u64) -> Self {
        Self { budget, used: 0, peak: 0, refused: false, last: (0, 0) }
    }

    /// The most bytes held at once.
    pub(crate) const fn peak(&self) -> u64 {
        self.peak
    }

    /// The last growth was refused: a guest that gives up now gives up for want
    /// of memory. One that got less and went on does not.
    pub(crate) const fn refused(&self) -> bool {
        self.refused
    }

    fn grow(&mut self, bytes: u64) -> bool {
        let used = self.used.saturating_add(bytes);
        if used > self.budget {
            self.refused = true;
            return false;
        }
        self.refused = false;
        self.last = (bytes, self.peak);
        self.used = used;
        self.peak = self.peak.max(used);
        true
    }

    /// The machine had less than was allowed.
    ///
    /// wasmtime also reports growth that it refused without asking here. That
    /// took nothing, and must give nothing back: a guest that fails so on
    /// purpose would get its memory for free.
    fn failed(&mut self, error: &wasmtime::Error) {
        let error = error.to_string();
        if UNASKED.iter().any(|unasked| error.contains(unasked)) {
            return;
        }
        let (bytes, peak) = std::mem::take(&mut self.last);
        if bytes > 0 {
            self.used = self.used.saturating_sub(bytes);
            self.peak = peak;
            self.refused = true;
        }
    }
}

/// What wasmtime says of growth that no limiter was asked about.
const UNASKED: [&str; 2] = ["memory growth exceeds memory type's limits", "overflow calculating new table size"];

fn delta(current: usize, desired: usize) -> u64 {
    desired.saturating_sub(current) as u64
}

/// Beyond what the program itself declared: refused, by its own limit and not
/// by ours.
fn beyond(desired: usize, maximum: Option<usize>) -> bool {
    maximum.is_some_and(|maximum| desired > maximum)
}

impl ResourceLimiter for Ledger {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(!beyond(desired, maximum) && self.grow(delta(current, desired)))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed(&error);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(!beyond(desired, maximum) && self.grow(delta(current, desired).saturating_mul(TABLE_ELEMENT_BYTES)))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed(&error);
        Ok(())
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
        assert!(!ledger.refused(), "it went on with less");
        assert_eq!(ledger.peak(), 198);
        assert!(!ledger.memory_growing(100, usize::MAX, None).unwrap());
    }

    #[test]
    fn growth_beyond_a_declared_maximum_costs_nothing_and_is_no_limit_of_ours() {
        let mut ledger = Ledger::new(200);
        assert!(!ledger.memory_growing(0, 100, Some(99)).unwrap());
        assert!(!ledger.table_growing(0, 10, Some(9)).unwrap());
        assert_eq!((ledger.peak(), ledger.refused()), (0, false));
    }

    #[test]
    fn growth_that_failed_is_given_back_once_and_only_if_it_was_counted() {
        let mut ledger = Ledger::new(200);
        let failed = || wasmtime::Error::msg("no memory left");
        assert!(ledger.memory_growing(0, 100, None).unwrap());
        assert!(ledger.memory_growing(0, 100, None).unwrap());
        for unasked in UNASKED {
            ledger.memory_grow_failed(wasmtime::Error::msg(unasked)).unwrap();
        }
        assert!(!ledger.memory_growing(0, 1, None).unwrap(), "nothing was given back");
        ledger.memory_grow_failed(failed()).unwrap();
        assert_eq!((ledger.peak(), ledger.refused()), (100, true));
        ledger.table_grow_failed(failed()).unwrap();
        assert!(!ledger.memory_growing(0, 101, None).unwrap(), "it was given back once");
        assert!(ledger.memory_growing(0, 100, None).unwrap());
    }
}
