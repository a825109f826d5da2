//! Counts what comes out of an archive, as it comes out.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::rc::Rc;

/// Up to here, nobody asks how little it came from.
const UNASKED: u64 = 10 << 20;
/// How many times its own size an archive may unpack to.
const MAX_RATIO: u64 = 200;

/// A budget that all readers of one archive share.
#[derive(Clone)]
pub(crate) struct Meter {
    produced: Rc<Cell<u64>>,
    packed: u64,
    max: u64,
    tripped: Rc<RefCell<Option<String>>>,
}

impl Meter {
    /// For an archive of `packed` bytes that may give `max`.
    pub(crate) fn new(packed: u64, max: u64) -> Self {
        Self { produced: Rc::default(), packed, max, tripped: Rc::default() }
    }

    /// From the beginning again.
    pub(crate) fn restart(&self) {
        self.produced.set(0);
        self.tripped.take();
    }

    /// Counts bytes that came out, or that an archive says it has.
    pub(crate) fn count(&self, bytes: u64) -> Result<(), String> {
        let produced = self.produced.get().saturating_add(bytes);
        self.produced.set(produced);
        let why = if produced > self.max {
            format!("it unpacks to more than {} bytes", self.max)
        } else if produced > UNASKED && produced > self.packed.saturating_mul(MAX_RATIO) {
            format!("it unpacks to more than {MAX_RATIO} times its own {} bytes", self.packed)
        } else {
            return Ok(());
        };
        self.tripped.replace(Some(why.clone()));
        Err(why)
    }

    /// Why it was too much, if it was.
    pub(crate) fn tripped(&self) -> Option<String> {
        self.tripped.borrow().clone()
    }

    pub(crate) fn reader<R: Read>(&self, inner: R) -> Metered<R> {
        Metered { inner, meter: self.clone() }
    }
}

/// A reader whose bytes are counted.
pub(crate) struct Metered<R> {
    inner: R,
    meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.meter.count(read as u64).map_err(io::Error::other)?;
        Ok(read)
    }
}
