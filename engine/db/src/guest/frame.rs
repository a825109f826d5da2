//! What goes through the pipes: frames of a length and so many bytes.
//!
//! Both ends are ours, and still neither believes the other a length: the child
//! works on a stranger's bytes.

use std::path::PathBuf;

use wardroom_core::limit::{HOSTCALL_BYTES, MAX_SQLITE_ANSWER};
use wardroom_core::sqlite::{Changes, Rows, SqlError, SqlValue, Statement};
use wardroom_core::witness::HostFault;

/// Bytes of a copy in one frame: few system calls, little memory.
pub(super) const PIECE: usize = 256 << 10;
/// Bytes of one frame. A request is what a host call may claim, an answer what a
/// query may; with their lengths and tags both at most double.
#[expect(clippy::cast_possible_truncation, reason = "both are megabytes")]
pub(super) const MAX_FRAME: usize =
    2 * if HOSTCALL_BYTES as usize > MAX_SQLITE_ANSWER { HOSTCALL_BYTES as usize } else { MAX_SQLITE_ANSWER };

/// What the child is asked for.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    /// `undo`: what another program left half done may be undone first.
    Query {
        file: PathBuf,
        undo: bool,
        statement: Statement,
    },
    Execute {
        file: PathBuf,
        statements: Vec<Statement>,
    },
    Copy {
        file: PathBuf,
        undo: bool,
        scratch: PathBuf,
    },
}

/// What it says.
#[derive(Debug)]
pub(super) enum Answer {
    Rows(Rows),
    Changed(Vec<Changes>),
    /// The next bytes of a copy; more answers follow.
    Piece(Vec<u8>),
    /// The copy is whole, and has so many bytes.
    Copied(u64),
    Failed(SqlError),
}

/// Values one after the other.
struct Out(Vec<u8>);

impl Out {
    /// With room for the length in front.
    fn new(tag: u8) -> Self {
        Self(vec![0, 0, 0, 0, tag])
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.number(items.len() as u64);
        items.iter().for_each(|item| each(self, item));
    }

    fn path(&mut self, path: &std::path::Path) {
        self.bytes(path.as_os_str().as_encoded_bytes());
    }

    fn value(&mut self, value: &SqlValue) {
        match value {
            SqlValue::Null => self.0.push(0),
            SqlValue::Integer(number) => {
                self.0.push(1);
                self.0.extend_from_slice(&number.to_le_bytes());
            }
            SqlValue::Real(number) => {
                self.0.push(2);
                self.number(number.to_bits());
            }
            SqlValue::Text(text) => {
                self.0.push(3);
                self.bytes(text.as_bytes());
            }
            SqlValue::Blob(bytes) => {
                self.0.push(4);
                self.bytes(bytes);
            }
        }
    }

    fn statement(&mut self, statement: &Statement) {
        self.bytes(statement.sql.as_bytes());
        self.list(&statement.params, Self::value);
    }

    /// The whole frame; nothing where it is longer than the other end takes.
    fn frame(mut self) -> Option<Vec<u8>> {
        let length = self.0.len() - 4;
        let head = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME)?;
        self.0.get_mut(..4)?.copy_from_slice(&head.to_le_bytes());
        Some(self.0)
    }
}

/// The same, read. `None` wherever something is missing.
struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn tag(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn eight(&mut self) -> Option<[u8; 8]> {
        self.take(8)?.try_into().ok()
    }

    fn number(&mut self) -> Option<u64> {
        self.eight().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn path(&mut self) -> Option<PathBuf> {
        self.text().map(PathBuf::from)
    }

    /// A length of lies reserves nothing: each item takes at least a byte.
    fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let length = usize::try_from(self.number()?).ok().filter(|length| *length <= self.0.len())?;
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(each(self)?);
        }
        Some(items)
    }

    fn value(&mut self) -> Option<SqlValue> {
        Some(match self.tag()? {
            0 => SqlValue::Null,
            1 => SqlValue::Integer(i64::from_le_bytes(self.eight()?)),
            2 => SqlValue::Real(f64::from_bits(self.number()?)),
            3 => SqlValue::Text(self.text()?),
            4 => SqlValue::Blob(self.bytes()?.to_vec()),
            _ => return None,
        })
    }

    fn statement(&mut self) -> Option<Statement> {
        Some(Statement { sql: self.text()?, params: self.list(Self::value)? })
    }

    fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

impl Request {
    pub(super) fn frame(&self) -> Option<Vec<u8>> {
        match self {
            Self::Query { file, undo, statement } => {
                let mut out = Out::new(0);
                out.path(file);
                out.0.push(u8::from(*undo));
                out.statement(statement);
                out.frame()
            }
            Self::Execute { file, statements } => {
                let mut out = Out::new(1);
                out.path(file);
                out.list(statements, Out::statement);
                out.frame()
            }
            Self::Copy { file, undo, scratch } => {
                let mut out = Out::new(2);
                out.path(file);
                out.0.push(u8::from(*undo));
                out.path(scratch);
                out.frame()
            }
        }
    }

    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let mut read = In(frame);
        let request = match read.tag()? {
            0 => Self::Query { file: read.path()?, undo: read.tag()? == 1, statement: read.statement()? },
            1 => Self::Execute { file: read.path()?, statements: read.list(In::statement)? },
            2 => Self::Copy { file: read.path()?, undo: read.tag()? == 1, scratch: read.path()? },
            _ => return None,
        };
        read.end(request)
    }
}

impl Answer {
    pub(super) fn frame(&self) -> Option<Vec<u8>> {
        match self {
            Self::Rows(rows) => {
                let mut out = Out::new(0);
                out.list(&rows.columns, |out, name| out.bytes(name.as_bytes()));
                out.list(&rows.rows, |out, row| out.list(row, Out::value));
                out.0.push(u8::from(rows.truncated));
                out.frame()
            }
            Self::Changed(changes) => {
                let mut out = Out::new(1);
                out.list(changes, |out, change| {
                    out.number(change.rows);
                    out.0.extend_from_slice(&change.last_insert_id.to_le_bytes());
                });
                out.frame()
            }
            Self::Piece(bytes) => {
                let mut out = Out::new(2);
                out.bytes(bytes);
                out.frame()
            }
            Self::Copied(bytes) => {
                let mut out = Out::new(3);
                out.number(*bytes);
                out.frame()
            }
            Self::Failed(error) => {
                let mut out = Out::new(4);
                out.0.push(tag(error));
                out.bytes(error.to_string().as_bytes());
                out.frame()
            }
        }
    }

    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let mut read = In(frame);
        let answer = match read.tag()? {
            0 => {
                let (columns, rows) = (read.list(In::text)?, read.list(|read| read.list(In::value))?);
                let whole = rows.iter().all(|row| row.len() == columns.len());
                Self::Rows(Rows { columns, rows, truncated: read.tag()? == 1 }).when(whole)?
            }
            1 => {
                Self::Changed(read.list(|read| Some(Changes { rows: read.number()?, last_insert_id: i64::from_le_bytes(read.eight()?) }))?)
            }
            2 => Self::Piece(read.bytes()?.to_vec()),
            3 => Self::Copied(read.number()?),
            4 => {
                let kind = read.tag()?;
                Self::Failed(error(kind, read.text()?)?)
            }
            _ => return None,
        };
        read.end(answer)
    }

    fn when(self, holds: bool) -> Option<Self> {
        holds.then_some(self)
    }
}

const fn tag(error: &SqlError) -> u8 {
    match error {
        SqlError::ReadOnly(_) => 0,
        SqlError::Busy(_) => 1,
        SqlError::Sql(_) => 2,
        SqlError::TooLarge(_) => 3,
        SqlError::Gone(_) => 4,
        SqlError::Target(_) => 5,
        _ => 6,
    }
}

fn error(tag: u8, text: String) -> Option<SqlError> {
    Some(match tag {
        0 => SqlError::ReadOnly(text),
        1 => SqlError::Busy(text),
        2 => SqlError::Sql(text),
        3 => SqlError::TooLarge(text),
        4 => SqlError::Gone(text),
        5 => SqlError::Target(text),
        6 => SqlError::Host(HostFault(text)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Vec<SqlValue> {
        vec![
            SqlValue::Null,
            SqlValue::Integer(i64::MIN),
            SqlValue::Real(-0.5),
            SqlValue::Text("a\u{20ac}\0".to_owned()),
            SqlValue::Blob(vec![0, 255]),
        ]
    }

    fn requests() -> Vec<Request> {
        let statement = || Statement { sql: "SELECT ?".to_owned(), params: values() };
        vec![
            Request::Query { file: "/a b".into(), undo: true, statement: statement() },
            Request::Execute { file: "/a".into(), statements: vec![statement(), Statement { sql: String::new(), params: vec![] }] },
            Request::Copy { file: "/a".into(), undo: false, scratch: "/s".into() },
        ]
    }

    fn answers() -> Vec<Answer> {
        let rows = Rows { columns: ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec(), rows: vec![values(), values()], truncated: true };
        vec![
            Answer::Rows(rows),
            Answer::Changed(vec![Changes { rows: 3, last_insert_id: -1 }]),
            Answer::Piece(vec![1; 1000]),
            Answer::Copied(u64::MAX),
            Answer::Failed(SqlError::Busy("somebody".to_owned())),
        ]
    }

    #[test]
    fn what_is_sent_is_what_arrives() {
        for request in requests() {
            let frame = request.frame().unwrap();
            assert_eq!(u32::from_le_bytes(frame[..4].try_into().unwrap()) as usize, frame.len() - 4);
            assert_eq!(Request::parse(&frame[4..]), Some(request));
        }
        for answer in answers() {
            let frame = answer.frame().unwrap();
            let read = Answer::parse(&frame[4..]).unwrap();
            assert_eq!(format!("{read:?}"), format!("{answer:?}"));
        }
    }

    #[test]
    fn a_frame_that_was_cut_or_goes_on_is_none() {
        let frames = requests().into_iter().filter_map(|request| request.frame()).map(|frame| (frame, true));
        let frames: Vec<_> = frames.chain(answers().into_iter().filter_map(|answer| answer.frame()).map(|frame| (frame, false))).collect();
        for (frame, request) in frames {
            let parses = |bytes: &[u8]| if request { Request::parse(bytes).is_some() } else { Answer::parse(bytes).is_some() };
            assert!((4..frame.len()).all(|end| !parses(&frame[4..end])));
            assert!(!parses(&[&frame[4..], &[0]].concat()));
        }
        // A list of 2^62 rows in eight bytes.
        let lie = [&[0_u8][..], &(1_u64 << 62).to_le_bytes(), &[0; 8]].concat();
        assert!(Answer::parse(&lie).is_none());
    }

    #[test]
    fn what_is_longer_than_a_frame_is_not_sent() {
        let statement = Statement { sql: "x".repeat(MAX_FRAME), params: vec![] };
        assert!(Request::Query { file: "/a".into(), undo: false, statement }.frame().is_none());
    }
}
