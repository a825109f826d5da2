//! Samples, and rounds that measure two things under the same weather.

use std::time::Duration;

use crate::Failed;

/// What was measured, sorted.
#[derive(Debug, Clone)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The smallest value that at least this part of all lies at or below;
    /// not a number where nothing was measured.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a length, clamped to it")]
        let rank = ((self.0.len() as f64 * part).ceil() as usize).clamp(1, self.0.len().max(1));
        self.0.get(rank - 1).copied().unwrap_or(f64::NAN)
    }

    /// The middle half: from the first to the third quarter.
    pub(crate) fn spread(&self) -> (f64, f64) {
        (self.quantile(0.25), self.quantile(0.75))
    }
}

/// Two things measured in turn.
pub(crate) struct Pair {
    pub(crate) ours: Samples,
    pub(crate) yardstick: Samples,
    /// Ours by the yardstick, round by round.
    pub(crate) ratio: Samples,
}

/// Measures both in every round, now the one first, now the other; one round
/// before the first that counts warms both up. Each answers seconds for one of
/// whatever it does.
pub(crate) fn interleaved(
    rounds: usize,
    mut ours: impl FnMut() -> Result<f64, Failed>,
    mut yardstick: impl FnMut() -> Result<f64, Failed>,
) -> Result<Pair, Failed> {
    let (mut a, mut b) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    ours()?;
    yardstick()?;
    for round in 0..rounds {
        if round.is_multiple_of(2) {
            a.push(ours()?);
            b.push(yardstick()?);
        } else {
            b.push(yardstick()?);
            a.push(ours()?);
        }
    }
    let ratio = Samples::new(a.iter().zip(&b).map(|(a, b)| a / b).collect());
    Ok(Pair { ours: Samples::new(a), yardstick: Samples::new(b), ratio })
}

/// Seconds for each of `count`.
pub(crate) fn each(whole: Duration, count: usize) -> f64 {
    whole.as_secs_f64() / count.max(1) as f64
}

/// Seconds, in the unit that reads best.
pub(crate) fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}
