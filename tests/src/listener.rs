//! Whoever listens to traces: keeps each span, with what was recorded in it, and each event.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

/// The fields of a span or an event.
pub type Fields = BTreeMap<&'static str, String>;

/// A subscriber to what the cache tells; clones share what was heard.
#[derive(Clone, Debug, Default)]
pub struct Listener(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    spans: Vec<(&'static str, Fields)>,
    events: Vec<(Option<usize>, Fields)>,
    entered: Vec<usize>,
}

impl Listener {
    /// Listens on this thread until the guard is dropped.
    pub fn listening() -> (Self, DefaultGuard) {
        let listener = Self::default();
        let guard = tracing::subscriber::set_default(listener.clone());
        (listener, guard)
    }

    /// The spans of this name, in the order in which they were made.
    pub fn spans(&self, name: &str) -> Vec<Fields> {
        let heard = self.heard();
        let named = heard.spans.iter().filter(|(it, _)| *it == name);
        named.map(|(_, fields)| fields.clone()).collect()
    }

    /// What the cache has said of its reads.
    pub fn reads(&self) -> Vec<Fields> {
        let heard = self.heard();
        let reads = heard.events.iter().map(|(_, fields)| fields);
        reads.filter(|it| it.contains_key("why")).cloned().collect()
    }

    /// In which span something was said.
    pub fn said_in(&self, message: &str) -> Option<&'static str> {
        let heard = self.heard();
        let said = |fields: &Fields| fields.get("message").is_some_and(|it| it == message);
        let (span, _) = heard.events.iter().find(|(_, fields)| said(fields))?;
        span.map(|index| heard.spans[index].0)
    }

    /// Whether nothing was heard.
    pub fn is_silent(&self) -> bool {
        let heard = self.heard();
        heard.spans.is_empty() && heard.events.is_empty()
    }

    /// Whether a text is anywhere in what was heard.
    pub fn has_heard(&self, text: &str) -> bool {
        format!("{:?}", self.heard()).contains(text)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        target.starts_with("cache_core") || target.starts_with("traces")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::new();
        span.record(&mut Noted(&mut fields));
        let mut heard = self.heard();
        heard.spans.push((span.metadata().name(), fields));
        Id::from_u64(heard.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut heard = self.heard();
        values.record(&mut Noted(&mut heard.spans[index(span)].1));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Noted(&mut fields));
        let mut heard = self.heard();
        let span = heard.entered.last().copied();
        heard.events.push((span, fields));
    }

    fn enter(&self, span: &Id) {
        self.heard().entered.push(index(span));
    }

    fn exit(&self, span: &Id) {
        let left = self.heard().entered.pop();
        assert_eq!(left, Some(index(span)), "spans are left in order");
    }
}

fn index(span: &Id) -> usize {
    usize::try_from(span.into_u64()).expect("few spans") - 1
}

struct Noted<'f>(&'f mut Fields);

impl Visit for Noted<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
