//! Looking at entries without their values.

use std::time::Duration;

use ::redis::Value;

use super::call::Call;
use super::entries::Entries;
use super::link::read;
use super::script::HEADER;
use crate::entry::Meta;
use crate::error::Result;
use crate::pattern::Pattern;
use crate::provider::{Cursor, Found, Page};

impl Entries {
    pub(super) async fn inspect(&self, keys: &[&str]) -> Result<Vec<Option<Found>>> {
        let found = self.look_at(keys).await?.into_iter();
        Ok(found.map(|found| found.filter(is_unexpired)).collect())
    }

    async fn look_at(&self, keys: &[&str]) -> Result<Vec<Option<Found>>> {
        let looks = keys.iter().map(|key| HEADER.on(&[key])).collect();
        let answers = self.backplane.links.calls(looks).await?;
        let found = keys.iter().zip(answers);
        found
            .map(|(key, answer)| self.found(key, answer?))
            .collect()
    }

    pub(super) async fn scan(
        &self,
        pattern: &Pattern,
        cursor: Cursor,
        count: usize,
    ) -> Result<Page> {
        let of_strings = ["TYPE", "string"];
        let (keys, next) = self.keys(pattern, cursor, count, &of_strings).await?;
        let entries = self.listed(keys, is_unexpired).await?;
        Ok(Page { entries, next })
    }

    /// One step through the keys that match, of the kind that these words of `SCAN` want.
    pub(super) async fn keys(
        &self,
        pattern: &Pattern,
        cursor: Cursor,
        count: usize,
        kind: &[&str],
    ) -> Result<(Vec<String>, Option<Cursor>)> {
        let step = |cursor: u64| {
            Call::command("SCAN")
                .arg(cursor)
                .arg(&["MATCH", pattern.as_str()])
                .arg(kind)
                .arg("COUNT")
                .arg(count.max(1))
        };
        let (next, keys) = self.backplane.links.scan(cursor.0, step).await?;
        // Keys that are not text are not ours; what was not asked for was meant for somebody else.
        let keys = keys
            .into_iter()
            .filter_map(|key| String::from_utf8(key).ok())
            .filter(|key| pattern.matches(key));
        Ok((keys.collect(), (next != 0).then_some(Cursor(next))))
    }

    /// The entries among these keys that are wanted, those included that have expired and are kept.
    pub(super) async fn listed(
        &self,
        keys: Vec<String>,
        wanted: impl Fn(&Found) -> bool,
    ) -> Result<Vec<(Box<str>, Meta)>> {
        let borrowed: Vec<_> = keys.iter().map(String::as_str).collect();
        let found = self.look_at(&borrowed).await?;
        let entries = keys.into_iter().zip(found);
        let entry =
            |(key, found): (String, Option<Found>)| Some((key.into(), found.filter(&wanted)?.meta));
        Ok(entries.filter_map(entry).collect())
    }

    fn found(&self, key: &str, answer: Value) -> Result<Option<Found>> {
        let answer: Option<(Vec<u8>, i64)> = read(answer)?;
        Ok(answer.and_then(|(header, ttl)| {
            // -2: it has expired, and is kept; -1: it has no limit.
            let ttl = match ttl {
                -2 => Some(Duration::ZERO),
                ttl => u64::try_from(ttl).ok().map(Duration::from_millis),
            };
            let meta = self.header(key, &header)?;
            Some(Found { meta, ttl })
        }))
    }
}

fn is_unexpired(found: &Found) -> bool {
    found.ttl != Some(Duration::ZERO)
}
