//! Two texts beside each other: the lines that went, and those that came.

/// A line of either text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// In both, shown for its neighbours' sake.
    Same(&'a str),
    /// In the old one only.
    Old(&'a str),
    /// In the new one only.
    New(&'a str),
}

/// Lines around a change that are shown.
const AROUND: usize = 2;
/// Lines of a text that are compared; the rest counts as one change.
const MAX_LINES: usize = 400;

/// What changed, with a few lines around; nothing where the texts are the same.
#[must_use]
pub fn changes<'a>(old: &'a str, new: &'a str) -> Vec<Line<'a>> {
    if old == new {
        return Vec::new();
    }
    let lines = script(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    let near = |index: usize| {
        let from = index.saturating_sub(AROUND);
        lines.iter().skip(from).take(index - from + AROUND + 1).any(|line| !matches!(line, Line::Same(_)))
    };
    lines.iter().enumerate().filter(|(index, _)| near(*index)).map(|(_, line)| *line).collect()
}

/// All lines of both, by a longest common subsequence.
fn script<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    if old.len() > MAX_LINES || new.len() > MAX_LINES {
        let gone = old.iter().take(MAX_LINES).map(|line| Line::Old(line));
        return gone.chain(new.iter().take(MAX_LINES).map(|line| Line::New(line))).collect();
    }
    // lengths[i][j]: of the longest common subsequence of old[i..] and new[j..].
    let mut lengths = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    let at = |lengths: &[Vec<usize>], i: usize, j: usize| lengths.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let length = if a == b { at(&lengths, i + 1, j + 1) + 1 } else { at(&lengths, i + 1, j).max(at(&lengths, i, j + 1)) };
            if let Some(cell) = lengths.get_mut(i).and_then(|row| row.get_mut(j)) {
                *cell = length;
            }
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                lines.push(Line::Same(a));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || at(&lengths, i + 1, j) >= at(&lengths, i, j + 1) => {
                lines.push(Line::Old(a));
                i += 1;
            }
            (_, Some(b)) => {
                lines.push(Line::New(b));
                j += 1;
            }
            _ => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_with_its_neighbours_and_nothing_else() {
        assert_eq!(changes("a\nb", "a\nb"), []);
        let old = "1\n2\n3\n4\n5\n6\n7";
        let new = "1\n2\n3\n4\nfive\n6\n7\n8";
        let expected =
            [Line::Same("3"), Line::Same("4"), Line::Old("5"), Line::New("five"), Line::Same("6"), Line::Same("7"), Line::New("8")];
        assert_eq!(changes(old, new), expected);
        assert_eq!(changes("", "x"), [Line::New("x")]);
        assert_eq!(changes("x", ""), [Line::Old("x")]);
    }
}
