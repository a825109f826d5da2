//! What the audit log proves: one walk over all rows, from the first to the
//! last, keeping none.
//!
//! The hashes are checked always; the codes of rows whose chain's first key is
//! at hand, and of those that the key in the file is for. Words for what is
//! found are made by whoever shows it.

use std::collections::BTreeSet;

use rusqlite::{Connection, Row};
use serde::Serialize;

use crate::audit::{CHAIN_RESTARTED, LastRow, MAX_BEHIND, agree, chain, last_row};
use crate::audit_chain::{AuditRoot, ChainId, ChainKey, Fields, Hash, NO_HASH};
use crate::audit_key::{AuditKeyFault, KeptKey};
use crate::column::{count, optional_count, plain};
use crate::{Database, DbError, vault};

/// Findings, and chains, that are listed; further ones are only counted.
const MAX_LISTED: usize = 1000;

/// What a walk over the audit log found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// How many rows there are.
    pub rows: u64,
    /// How many of them are proven by a code.
    pub proven: u64,
    /// The chains, in order; more than one where it was restarted. The first
    /// thousand.
    pub chains: Vec<ChainReport>,
    /// What is wrong with rows, in their order. The first thousand.
    pub findings: Vec<Finding>,
    /// How many findings there are, listed or not.
    pub found: u64,
    /// How the key in the file stands to the rows.
    pub key: KeyStanding,
    /// Chains whose first key is at hand and of which nothing is left.
    pub lost: Vec<ChainId>,
}

impl AuditReport {
    /// Whether nothing speaks against the log. Rows without a proof do not:
    /// [`proven`](Self::proven) says how many have one.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.found == 0 && self.lost.is_empty() && !matches!(self.key, KeyStanding::Unfit(_))
    }

    /// The first row that is not as it was written, or is missing.
    #[must_use]
    pub fn first_bad(&self) -> Option<u64> {
        self.findings.first().map(|finding| finding.seq)
    }
}

/// A chain within the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// Which.
    pub chain: ChainId,
    /// Its first row.
    pub first: u64,
    /// Its last row.
    pub last: u64,
    /// How many of its rows are proven by a code.
    pub proven: u64,
}

/// Something wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The row's place.
    pub seq: u64,
    /// What is wrong.
    #[serde(flatten)]
    pub fault: RowFault,
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RowFault {
    /// It holds something that nobody writes.
    Unreadable,
    /// It is missing, and so are those after it, so many together.
    Missing {
        /// How many.
        rows: u64,
    },
    /// Its hash is not that of its contents after the row before it: one of the
    /// three was changed.
    Hash,
    /// Its code is not of its hash and key: it was not written when its key
    /// existed.
    Code,
    /// Another chain begins without its saying so, or it says so and none does.
    Chain,
}

/// How the key in the file stands to the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", rename_all = "kebab-case")]
pub enum KeyStanding {
    /// No log was ever begun.
    NotBegun,
    /// It is the next row's.
    Current,
    /// It is so many rows behind, as a crash leaves it; the next write catches
    /// up.
    Behind {
        /// How many.
        rows: u64,
    },
    /// Nothing can be written with it, and here is why.
    Unfit(AuditKeyFault),
}

impl Database {
    /// Walks over the whole audit log. With the first keys of its chains, each
    /// row's code is checked too; without one, a chain that was computed anew
    /// by somebody else cannot be told.
    ///
    /// # Errors
    ///
    /// Those of reading; [`DbError::AuditKeyFile`] and
    /// [`DbError::AuditKeyBusy`] where the key cannot be looked at. Whatever is
    /// wrong with the log itself is no error but in the report.
    pub fn verify_audit(&self, roots: &[AuditRoot]) -> Result<AuditReport, DbError> {
        self.read(|connection| {
            // No writer is between a commit and its key; the first statement
            // settles which rows this snapshot has.
            let file = self.file.audit_key();
            let lock = file.lock_shared()?;
            let last = last_row(connection).unwrap_or_default();
            let was_begun = last.is_some() || vault::has_audit_root(connection)?;
            let kept = match file.read() {
                Ok(None) if was_begun => Err(AuditKeyFault::Missing),
                Ok(kept) => Ok(kept),
                Err(DbError::AuditKey { fault, .. }) => Err(fault),
                Err(error) => return Err(error),
            };
            drop(lock);
            let (standing, kept) = stand(kept, last.as_ref());
            let mut walk = Walk::new(roots, kept, standing);
            walk.over(connection)?;
            Ok(walk.end())
        })
    }
}

fn stand(kept: Result<Option<KeptKey>, AuditKeyFault>, last: Option<&LastRow>) -> (KeyStanding, Option<KeptKey>) {
    let kept = match kept {
        Ok(Some(kept)) => kept,
        Ok(None) => return (KeyStanding::NotBegun, None),
        Err(fault) => return (KeyStanding::Unfit(fault), None),
    };
    match agree(&kept, last) {
        Ok(0) => (KeyStanding::Current, Some(kept)),
        Ok(rows) => (KeyStanding::Behind { rows }, Some(kept)),
        Err(fault) => (KeyStanding::Unfit(fault), Some(kept)),
    }
}

struct Walk<'a> {
    roots: &'a [AuditRoot],
    /// The key in the file, until the walk reaches its row.
    kept: Option<KeptKey>,
    /// The key of the next row, where one is known.
    key: Option<ChainKey>,
    /// The next row's place.
    next: u64,
    /// The hash that it follows.
    before: Hash,
    chain: Option<ChainReport>,
    seen: BTreeSet<ChainId>,
    report: AuditReport,
}

impl<'a> Walk<'a> {
    fn new(roots: &'a [AuditRoot], kept: Option<KeptKey>, key: KeyStanding) -> Self {
        let report = AuditReport { rows: 0, proven: 0, chains: Vec::new(), findings: Vec::new(), found: 0, key, lost: Vec::new() };
        // Begun, and without a row so far.
        let seen = kept.iter().map(|kept| kept.chain).collect();
        Self { roots, kept, key: None, next: 1, before: NO_HASH, chain: None, seen, report }
    }

    fn over(&mut self, connection: &Connection) -> Result<(), DbError> {
        const ROWS: &str = "
            SELECT * FROM audit ORDER BY seq";
        let mut statement = connection.prepare_cached(ROWS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.row(row);
        }
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>) {
        self.report.rows += 1;
        let Ok(seq) = count(row, "seq") else { return self.finds(self.next, RowFault::Unreadable) };
        self.skip_to(seq);
        self.next = seq.saturating_add(1);
        let stored: Hash = plain(row, "hash").unwrap_or(NO_HASH);
        let before = std::mem::replace(&mut self.before, stored);
        let (fields, code) = match (fields(row, seq), plain::<[u8; 32]>(row, "mac")) {
            (Ok(fields), Ok(code)) => (fields, code),
            _ => {
                self.key = self.key.take().map(|key| key.evolve());
                return self.finds(seq, RowFault::Unreadable);
            }
        };
        self.enter(&fields);
        if fields.hash(&before) != stored {
            self.finds(seq, RowFault::Hash);
        }
        self.prove(seq, &stored, &code);
    }

    /// Says that rows are missing, and goes on at the next one there is.
    fn skip_to(&mut self, seq: u64) {
        let rows = seq.saturating_sub(self.next);
        if rows > 0 {
            self.finds(self.next, RowFault::Missing { rows });
            // Further than any log goes, so that a made-up place costs no years.
            self.key = self.key.take().filter(|_| rows <= MAX_BEHIND).map(|key| key.evolve_by(rows));
        }
    }

    /// Takes up the key of the chain that begins here, where one does.
    fn enter(&mut self, fields: &Fields<'_>) {
        let (seq, chain) = (fields.seq, fields.chain);
        let is_first = self.chain.is_none();
        let is_other = self.chain.is_none_or(|current| current.chain != chain);
        let says_so = fields.event == CHAIN_RESTARTED;
        if (says_so && !is_other) || (is_other && !says_so && !is_first) {
            self.finds(seq, RowFault::Chain);
        }
        if is_other {
            self.close();
            self.seen.insert(chain);
            self.chain = Some(ChainReport { chain, first: seq, last: seq, proven: 0 });
            let root = self.roots.iter().find(|root| root.chain() == chain);
            // The very first chain begins with row 1, whether or not it is there.
            let missing = if is_first { seq.saturating_sub(1) } else { 0 };
            self.key = root.filter(|_| missing <= MAX_BEHIND).map(|root| root.key().evolve_by(missing));
        }
        self.compare_file(seq, chain);
    }

    /// The key in the file, at the row that it is for: it must be the chain's,
    /// or else stands in for it.
    fn compare_file(&mut self, seq: u64, chain: ChainId) {
        let Some(kept) = self.kept.take_if(|kept| kept.next == seq && kept.chain == chain) else { return };
        match &self.key {
            Some(key) if !key.is(&kept.key) => self.report.key = KeyStanding::Unfit(AuditKeyFault::Forged { seq }),
            Some(_) => {}
            None => self.key = Some(kept.key),
        }
    }

    fn prove(&mut self, seq: u64, hash: &Hash, code: &[u8]) {
        if let Some(chain) = &mut self.chain {
            chain.last = seq;
        }
        let Some(key) = self.key.take() else { return };
        if key.proves(hash, code) {
            self.report.proven += 1;
            self.chain.iter_mut().for_each(|chain| chain.proven += 1);
        } else {
            self.finds(seq, RowFault::Code);
        }
        self.key = Some(key.evolve());
    }

    fn finds(&mut self, seq: u64, fault: RowFault) {
        self.report.found += 1;
        if self.report.findings.len() < MAX_LISTED {
            self.report.findings.push(Finding { seq, fault });
        }
    }

    fn close(&mut self) {
        if let Some(chain) = self.chain.take()
            && self.report.chains.len() < MAX_LISTED
        {
            self.report.chains.push(chain);
        }
    }

    fn end(mut self) -> AuditReport {
        self.compare_end();
        self.close();
        let lost = self.roots.iter().map(AuditRoot::chain).filter(|chain| !self.seen.contains(chain));
        self.report.lost = lost.collect();
        self.report
    }

    /// The key in the file where it is for the row that comes next.
    fn compare_end(&mut self) {
        let (seq, chain) = (self.next, self.chain.map(|chain| chain.chain));
        let Some(kept) = self.kept.take_if(|kept| kept.next == seq && chain.is_none_or(|chain| chain == kept.chain)) else { return };
        let root = || self.roots.iter().find(|root| root.chain() == kept.chain).map(AuditRoot::key);
        let expected = if chain.is_none() { root() } else { self.key.take() };
        if expected.is_some_and(|key| !key.is(&kept.key)) {
            self.report.key = KeyStanding::Unfit(AuditKeyFault::Forged { seq });
        }
    }
}

fn fields<'a>(row: &'a Row<'_>, seq: u64) -> Result<Fields<'a>, DbError> {
    Ok(Fields {
        chain: chain(row)?,
        seq,
        at_ms: plain(row, "at_ms")?,
        event: text(row, "event")?,
        subject: text(row, "subject")?,
        actor: text(row, "actor")?,
        session: optional_text(row, "session")?,
        execution: optional_text(row, "execution")?,
        attempt: optional_count(row, "attempt")?,
        detail: text(row, "detail")?,
    })
}

fn text<'a>(row: &'a Row<'_>, column: &'static str) -> Result<&'a str, DbError> {
    optional_text(row, column)?.ok_or(DbError::Damaged { column })
}

fn optional_text<'a>(row: &'a Row<'_>, column: &'static str) -> Result<Option<&'a str>, DbError> {
    row.get_ref(column)?.as_str_or_null().map_err(|_| DbError::Damaged { column })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::integer;
    use crate::testing::{Home, event};

    const UNLOCKED: &str = "DROP TRIGGER audit_is_never_changed; DROP TRIGGER audit_is_never_deleted; DROP TRIGGER audit_has_no_gaps;
        PRAGMA ignore_check_constraints = ON;";

    /// A log of so many rows, with its root.
    async fn log(home: &Home, rows: usize) -> (Database, [AuditRoot; 1]) {
        let database = home.open();
        let root = database.begin_audit().unwrap().unwrap();
        for place in 0..rows {
            database.append_audit(vec![event(&place.to_string())]).await.unwrap();
        }
        (database, [root])
    }

    fn tamper(home: &Home, sql: &str) {
        home.tamper(&format!("{UNLOCKED}{sql}"));
    }

    fn faults(report: &AuditReport) -> Vec<(u64, RowFault)> {
        report.findings.iter().map(|finding| (finding.seq, finding.fault)).collect()
    }

    /// A row's own hash, computed anew by somebody without a key.
    fn recompute(home: &Home, from: u64) {
        let connection = Connection::open(home.0.path().join("wardroom.db")).unwrap();
        let last = last_row(&connection).unwrap().unwrap().seq;
        for seq in from..=last {
            let mut before = connection.prepare("SELECT hash FROM audit WHERE seq = ? - 1").unwrap();
            let before: Hash = before.query_row([integer(seq)], |row| row.get(0)).unwrap_or(NO_HASH);
            let mut this = connection.prepare("SELECT * FROM audit WHERE seq = ?").unwrap();
            let mut rows = this.query([integer(seq)]).unwrap();
            let hash = fields(rows.next().unwrap().unwrap(), seq).unwrap().hash(&before);
            connection.execute("UPDATE audit SET hash = ? WHERE seq = ?", (hash, integer(seq))).unwrap();
        }
    }

    #[tokio::test]
    async fn a_log_as_it_was_written_is_intact_and_proven() {
        let home = Home::new();
        let database = home.open();
        let report = database.verify_audit(&[]).unwrap();
        assert!(report.is_intact() && report.key == KeyStanding::NotBegun && report.rows == 0);
        let (database, roots) = log(&home, 0).await;
        let report = database.verify_audit(&roots).unwrap();
        assert!(report.is_intact() && report.key == KeyStanding::Current, "{report:?}");
        let home = Home::new();
        let (database, roots) = log(&home, 5).await;
        let proven = database.verify_audit(&roots).unwrap();
        let chain = ChainReport { chain: roots[0].chain(), first: 1, last: 5, proven: 5 };
        assert_eq!((proven.is_intact(), proven.rows, proven.proven, proven.chains.as_slice()), (true, 5, 5, &[chain][..]));
        let unproven = database.verify_audit(&[]).unwrap();
        assert_eq!((unproven.is_intact(), unproven.rows, unproven.proven, unproven.first_bad()), (true, 5, 0, None));
    }

    #[tokio::test]
    async fn a_change_in_any_column_is_found() {
        use RowFault::{Chain, Code, Hash};
        let changes: [(&str, &[(u64, RowFault)]); 14] = [
            ("seq = 9 WHERE seq = 5", &[(5, RowFault::Missing { rows: 4 }), (9, Hash), (9, Code)]),
            ("chain = zeroblob(16) WHERE seq = 3", &[(3, Chain), (3, Hash), (4, Chain)]),
            ("at_ms = at_ms + 1 WHERE seq = 3", &[(3, Hash)]),
            ("event = event || 'x' WHERE seq = 3", &[(3, Hash)]),
            ("subject = 'x' WHERE seq = 3", &[(3, Hash)]),
            ("actor = 'engine' WHERE seq = 3", &[(3, Hash)]),
            ("session = NULL WHERE seq = 3", &[(3, Hash)]),
            ("execution = NULL WHERE seq = 3", &[(3, Hash)]),
            ("attempt = 2 WHERE seq = 3", &[(3, Hash)]),
            ("attempt = -1 WHERE seq = 3", &[(3, RowFault::Unreadable)]),
            ("detail = replace(detail, ':', ': ') WHERE seq = 3", &[(3, Hash)]),
            ("hash = zeroblob(32) WHERE seq = 3", &[(3, Hash), (3, Code), (4, Hash)]),
            ("hash = zeroblob(31) WHERE seq = 3", &[(3, Hash), (3, Code), (4, Hash)]),
            ("mac = zeroblob(32) WHERE seq = 3", &[(3, Code)]),
        ];
        for (change, expected) in changes {
            let home = Home::new();
            let (database, roots) = log(&home, 5).await;
            tamper(&home, &format!("UPDATE audit SET {change}"));
            let report = database.verify_audit(&roots).unwrap();
            let found = faults(&report);
            assert!(expected.iter().all(|fault| found.contains(fault)), "{change}: {found:?}");
            assert_eq!((report.is_intact(), report.first_bad()), (false, Some(expected[0].0)), "{change}");
        }
    }

    #[tokio::test]
    async fn a_bit_in_any_byte_of_a_hash_or_code_is_found() {
        for column in ["hash", "mac"] {
            for byte in [1, 17, 32] {
                let home = Home::new();
                let (database, roots) = log(&home, 3).await;
                let flipped = format!("unhex(printf('%s%02x%s', substr(hex({column}), 1, 2 * {byte} - 2),
                    ((instr('0123456789ABCDEF', substr(hex({column}), 2 * {byte} - 1, 1)) - 1) * 16
                      + instr('0123456789ABCDEF', substr(hex({column}), 2 * {byte}, 1)) - 1 + 1) % 256, substr(hex({column}), 2 * {byte} + 1)))");
                tamper(&home, &format!("UPDATE audit SET {column} = {flipped} WHERE seq = 2"));
                assert_eq!(database.verify_audit(&roots).unwrap().first_bad(), Some(2), "{column} {byte}");
            }
        }
    }

    #[tokio::test]
    async fn rows_that_are_gone_are_found_wherever_they_were() {
        let home = Home::new();
        let (database, roots) = log(&home, 5).await;
        tamper(&home, "DELETE FROM audit WHERE seq = 5");
        let report = database.verify_audit(&[]).unwrap();
        let ahead = KeyStanding::Unfit(AuditKeyFault::Ahead { next: 6, last: 4 });
        assert_eq!((report.found, &report.key, report.is_intact()), (0, &ahead, false));

        home.tamper("DELETE FROM audit WHERE seq IN (2, 3)");
        let report = database.verify_audit(&roots).unwrap();
        assert_eq!(faults(&report), [(2, RowFault::Missing { rows: 2 }), (4, RowFault::Hash)]);
        assert_eq!(report.proven, 2);

        home.tamper("DELETE FROM audit WHERE seq = 1");
        let report = database.verify_audit(&roots).unwrap();
        assert_eq!(faults(&report), [(1, RowFault::Missing { rows: 3 }), (4, RowFault::Hash)]);
        assert_eq!(report.proven, 1);

        home.tamper("DELETE FROM audit");
        let report = database.verify_audit(&[]).unwrap();
        assert_eq!(report.key, KeyStanding::Unfit(AuditKeyFault::Ahead { next: 6, last: 0 }));
        std::fs::remove_file(home.0.path().join("audit.key")).unwrap();
        let report = database.verify_audit(&roots).unwrap();
        assert_eq!((report.is_intact(), report.lost), (false, vec![roots[0].chain()]));
    }

    #[tokio::test]
    async fn a_shortened_log_with_a_key_renumbered_to_fit_is_found_with_the_root() {
        let home = Home::new();
        let (database, roots) = log(&home, 3).await;
        tamper(&home, "DELETE FROM audit WHERE seq = 3");
        home.put_audit_key(&home.audit_key().replace(" 4 ", " 3 "));
        let forged = KeyStanding::Unfit(AuditKeyFault::Forged { seq: 3 });
        assert_eq!(database.verify_audit(&[]).unwrap().key, KeyStanding::Current);
        assert_eq!(database.verify_audit(&roots).unwrap().key, forged);
        // All of it, likewise.
        home.tamper("DELETE FROM audit");
        home.put_audit_key(&home.audit_key().replace(" 3 ", " 1 "));
        assert_eq!(database.verify_audit(&roots).unwrap().key, KeyStanding::Unfit(AuditKeyFault::Forged { seq: 1 }));
    }

    #[tokio::test]
    async fn swapped_rows_are_found() {
        let home = Home::new();
        let (database, _) = log(&home, 4).await;
        tamper(
            &home,
            "UPDATE audit SET seq = 9 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 9",
        );
        let report = database.verify_audit(&[]).unwrap();
        assert_eq!(faults(&report), [(2, RowFault::Hash), (3, RowFault::Hash), (4, RowFault::Hash)]);
    }

    #[tokio::test]
    async fn hashes_computed_anew_hold_without_the_root_and_break_with_it() {
        let home = Home::new();
        let (database, roots) = log(&home, 4).await;
        tamper(&home, "UPDATE audit SET subject = 'another' WHERE seq = 2");
        recompute(&home, 2);
        let report = database.verify_audit(&[]).unwrap();
        assert_eq!((report.is_intact(), report.proven), (true, 0));
        let report = database.verify_audit(&roots).unwrap();
        assert_eq!(faults(&report), [(2, RowFault::Code), (3, RowFault::Code), (4, RowFault::Code)]);
        assert_eq!((report.proven, report.chains[0].proven), (1, 1));
    }

    #[tokio::test]
    async fn an_inserted_row_is_found_with_the_root() {
        let home = Home::new();
        let (database, roots) = log(&home, 3).await;
        tamper(
            &home,
            "UPDATE audit SET seq = 4 WHERE seq = 3;
             INSERT INTO audit SELECT 3, chain, at_ms, event, 'new', actor, session, execution, attempt, detail, hash, mac FROM audit WHERE seq = 2;",
        );
        recompute(&home, 3);
        home.put_audit_key(&home.audit_key().replace(" 4 ", " 5 "));
        assert!(database.verify_audit(&[]).unwrap().is_intact());
        let report = database.verify_audit(&roots).unwrap();
        assert_eq!(faults(&report), [(3, RowFault::Code), (4, RowFault::Code)]);
        assert_eq!(report.key, KeyStanding::Unfit(AuditKeyFault::Forged { seq: 5 }));
    }

    #[tokio::test]
    async fn a_whole_new_log_in_its_place_is_found_with_the_root() {
        let home = Home::new();
        let (database, roots) = log(&home, 3).await;
        drop(database);
        for file in ["wardroom.db", "wardroom.db-wal", "wardroom.db-shm", "audit.key"] {
            std::fs::remove_file(home.0.path().join(file)).ok();
        }
        let (database, _) = log(&home, 3).await;
        assert!(database.verify_audit(&[]).unwrap().is_intact());
        let report = database.verify_audit(&roots).unwrap();
        assert_eq!((report.is_intact(), report.lost), (false, vec![roots[0].chain()]));
    }

    #[tokio::test]
    async fn a_chain_that_begins_without_saying_so_is_found() {
        let home = Home::new();
        let (database, _) = log(&home, 3).await;
        tamper(&home, "UPDATE audit SET chain = zeroblob(16) WHERE seq >= 2");
        recompute(&home, 2);
        let report = database.verify_audit(&[]).unwrap();
        assert_eq!(faults(&report), [(2, RowFault::Chain)]);
        assert_eq!((report.chains.len(), report.key), (2, KeyStanding::Unfit(AuditKeyFault::OtherChain)));
        tamper_event(&home);
        assert_eq!(faults(&database.verify_audit(&[]).unwrap()), [(2, RowFault::Chain), (3, RowFault::Chain)]);
    }

    /// Says that a chain begins where none does.
    fn tamper_event(home: &Home) {
        home.tamper(&format!("UPDATE audit SET event = '{CHAIN_RESTARTED}' WHERE seq = 3"));
        recompute(home, 3);
    }

    #[tokio::test]
    async fn a_made_up_place_costs_no_time_and_findings_are_bounded() {
        let home = Home::new();
        let (database, roots) = log(&home, 1).await;
        tamper(
            &home,
            &format!(
                "INSERT INTO audit SELECT {}, chain, at_ms, event, subject, actor, session, execution, attempt, detail, hash, mac FROM audit",
                i64::MAX
            ),
        );
        let report = database.verify_audit(&roots).unwrap();
        assert_eq!(report.first_bad(), Some(2));
        assert!(matches!(report.key, KeyStanding::Unfit(AuditKeyFault::FarBehind { .. })));
        let late = database.append_audit(vec![event("late")]).await;
        assert!(matches!(late, Err(DbError::AuditKey { fault: AuditKeyFault::FarBehind { .. }, .. })));
        let home = Home::new();
        let (database, roots) = log(&home, 0).await;
        database.append_audit(std::iter::repeat_n(event("a"), 1_500).collect()).await.unwrap();
        tamper(&home, "UPDATE audit SET subject = 'b'");
        let report = database.verify_audit(&roots).unwrap();
        assert_eq!((report.found, report.findings.len()), (1_500, MAX_LISTED));
    }
}
