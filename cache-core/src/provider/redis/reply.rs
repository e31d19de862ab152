//! What the scripts on the log answer, and the text form of records.

use ::redis::{Value, from_redis_value};

use super::error::{unexpected, unusable};
use super::server_time::told;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::log::{Incarnation, Kind, Lineage, Positioned, Record, Stamp};

/// Where the log stands, and what the caller had missed of it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) head: Stamp,
    pub(super) floors: [u64; Kind::EVERY.len()],
    /// Which run of which server it is: its `run_id`.
    pub(super) run: Box<str>,
    pub(super) server_time: Timestamp,
    /// The records between the caller's position and the head; `None` if they are not all there.
    pub(super) records: Option<Vec<Positioned>>,
}

type Raw = (
    u64,
    String,
    u64,
    String,
    String,
    u64,
    u64,
    bool,
    Vec<Vec<u8>>,
);

impl Reply {
    /// Reads the answer to a caller who stood at `cursor`. `root` is the scope of the deployment.
    pub(super) fn parse(value: Value, cursor: Stamp, root: &str) -> Result<Self> {
        let raw: Raw = from_redis_value(value).map_err(unexpected)?;
        let (number, nonce, sequence, floors, run, seconds, micros, complete, records) = raw;
        let head = Stamp::new(incarnation_from(number, &nonce)?, sequence);
        let missing = head.sequence().checked_sub(cursor.sequence());
        if complete && missing != u64::try_from(records.len()).ok() {
            return Err(unusable());
        }
        Ok(Self {
            head,
            floors: floors_from(&floors)?,
            run: run.into(),
            server_time: told((seconds, micros)),
            records: complete.then(|| positioned(cursor, &records, root)),
        })
    }
}

fn positioned(cursor: Stamp, records: &[Vec<u8>], root: &str) -> Vec<Positioned> {
    let next = (cursor.sequence()..).skip(1);
    let position = |(sequence, text): (u64, &Vec<u8>)| Positioned {
        sequence,
        record: record_from(text, root),
    };
    next.zip(records).map(position).collect()
}

/// A record as it stands in the log: the letter of its kind, then what it is about.
pub(super) fn text_of(record: &Record) -> String {
    format!("{}{}", record.kind().letter(), record.argument())
}

/// The record that a text stands for. What a later version wrote, or a stranger, hides everything
/// in the deployment: more, never less.
pub(super) fn record_from(text: &[u8], root: &str) -> Record {
    let known = || {
        let text = std::str::from_utf8(text).ok()?;
        let letter = text.chars().next()?;
        let kind = Kind::EVERY
            .into_iter()
            .find(|kind| kind.letter() == letter)?;
        Some(Record::new(kind, &text[letter.len_utf8()..]))
    };
    known().unwrap_or_else(|| Record::All(root.into()))
}

/// What an incarnation descends from, as `log.lua` has it. What cannot be read shows nothing.
pub(super) fn lineage_from(text: &[u8]) -> Lineage {
    let ancestor = |text: &str| {
        let mut fields = text.split(' ');
        let number = fields.next()?.parse().ok()?;
        let incarnation = incarnation_from(number, fields.next()?).ok()?;
        Some(Stamp::new(incarnation, fields.next()?.parse().ok()?))
    };
    let text = std::str::from_utf8(text).ok();
    let ancestors = text.and_then(|text| text.strip_prefix('n'));
    let ancestors = ancestors.and_then(|text| text.split(',').map(ancestor).collect());
    ancestors.map(Lineage::new).unwrap_or_default()
}

pub(super) fn nonce_text(nonce: u64) -> String {
    format!("{nonce:016x}")
}

fn incarnation_from(number: u64, nonce: &str) -> Result<Incarnation> {
    let nonce = u64::from_str_radix(nonce, 16);
    let nonce = nonce.map_err(|error| unusable().with_source(error))?;
    Ok(Incarnation::new(number, nonce))
}

fn floors_from(text: &str) -> Result<[u64; Kind::EVERY.len()]> {
    let floors: Result<Vec<_>, _> = text.split(' ').map(str::parse).collect();
    let floors = floors.map_err(|error| unusable().with_source(error))?;
    floors.try_into().map_err(|_| unusable())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const FLOORS: &str = "1 2 3 4 5";

    /// What a caller at position 7 of incarnation 1 is answered.
    fn answered(floors: &str, head: u64, records: usize) -> Result<Reply> {
        let (text, number) = (
            |text: &str| Value::BulkString(text.into()),
            |number: u64| Value::BulkString(number.to_string().into()),
        );
        let fields = vec![
            number(1),
            text("a"),
            number(head),
            text(floors),
            text("run"),
            number(u64::MAX),
            number(1),
            number(1),
            Value::Array(vec![text("kcache::k"); records]),
        ];
        let cursor = Stamp::new(Incarnation::new(1, 10), 7);
        Reply::parse(Value::Array(fields), cursor, "cache:")
    }

    #[test]
    fn records_follow_the_callers_position() {
        let reply = answered(FLOORS, 9, 2).unwrap();
        let sequences = reply.records.unwrap().into_iter().map(|it| it.sequence);
        assert_eq!(sequences.collect::<Vec<_>>(), [8, 9]);
        assert_eq!(reply.floors, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn records_that_do_not_lead_up_to_the_head_cannot_be_used() {
        for (head, records) in [(9, 1), (9, 3), (6, 0), (0, 1), (u64::MAX, 0)] {
            let error = answered(FLOORS, head, records).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Connection, "{head} {records}");
        }
    }

    #[test]
    fn floors_that_are_missing_or_malformed_cannot_be_used() {
        for floors in ["", "1 2 3 4", "1 2 3 4 5 6", "1 2 3 4 x", "1 2 3 4 -5"] {
            let error = answered(floors, 7, 0).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Connection, "{floors}");
        }
    }

    #[test]
    fn a_record_survives_the_way_to_the_server_and_back() {
        for kind in Kind::EVERY {
            let record = Record::new(kind, "cache:n:é{}");
            assert_eq!(record_from(text_of(&record).as_bytes(), "cache:"), record);
        }
    }

    #[test]
    fn a_record_that_nobody_can_read_hides_everything() {
        for text in [&b""[..], b"zfuture", b"k\xff", b"\xff"] {
            assert_eq!(record_from(text, "cache:"), Record::All("cache:".into()));
        }
    }

    #[test]
    fn a_lineage_that_nobody_can_read_shows_nothing() {
        let shown = |text: &str| format!("{:?}", lineage_from(text.as_bytes()));
        let nothing = format!("{:?}", Lineage::default());
        assert_ne!(shown("n3 00000000000000ff 12,2 0a 7"), nothing);
        for text in [
            "",
            "n",
            "x3 ff 12",
            "n3 ff",
            "n3 zz 12",
            "n3 ff 12,",
            "n-3 ff 1",
        ] {
            assert_eq!(shown(text), nothing, "{text}");
        }
    }
}
