//! What the `metrics` facade is told. `docs/metrics.md` has the list.
//!
//! Times are told one by one, when a load or a call ends. Sums are told when somebody asks for them to be
//! published: a counter of the facade is shared by all threads, and none of those may be on the path
//! of a hit in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Label, Unit, counter, gauge, histogram};

use super::{Counters, Metrics, Miss};
use crate::provider::Usage;

const LOAD_TIME: &str = "cache_load_duration_seconds";
const CALL_TIME: &str = "cache_call_duration_seconds";

/// A load of this namespace has ended.
pub(super) fn load_took(counters: &Counters, took: Duration) {
    let labels = vec![
        Label::new("provider", counters.provider()),
        Label::new("namespace", Arc::clone(counters.label())),
    ];
    histogram!(LOAD_TIME, labels).record(took);
}

/// A call of a backend.
pub(crate) struct Call {
    pub(crate) provider: &'static str,
    pub(crate) operation: &'static str,
}

impl Call {
    pub(crate) fn took(&self, took: Duration, outcome: &'static str) {
        let (provider, operation) = (self.provider, self.operation);
        histogram!(CALL_TIME, "provider" => provider, "operation" => operation, "outcome" => outcome)
            .record(took);
    }
}

/// What sets the series of one cache apart from those of others in this process.
pub(crate) struct Series {
    /// The deployment's key prefix.
    pub(crate) cache: Arc<str>,
    pub(crate) provider: &'static str,
}

impl Series {
    /// Publishes sums, namespace by namespace; those that share a name are added up.
    pub(crate) fn publish(&self, namespaces: &[Arc<Counters>]) {
        let mut by_label = BTreeMap::<&Arc<str>, Metrics>::new();
        for counters in namespaces {
            let sum = by_label.entry(counters.label()).or_default();
            sum.add(&counters.snapshot());
        }
        for (label, metrics) in by_label {
            self.publish_namespace(label, &metrics);
        }
    }

    fn publish_namespace(&self, namespace: &Arc<str>, metrics: &Metrics) {
        let tell = |name: &'static str, more: Option<Label>, sum: u64| {
            let mut labels = self.labels("namespace", Arc::clone(namespace));
            labels.extend(more);
            counter!(name, labels).absolute(sum);
        };
        tell("cache_hits_total", None, metrics.hits);
        for why in Miss::EVERY {
            let reason = Label::new("reason", why.as_str());
            tell("cache_misses_total", Some(reason), metrics.missed(why));
        }
        tell("cache_sets_total", None, metrics.sets);
        tell("cache_deletes_total", None, metrics.deletes);
        tell("cache_invalidations_total", None, metrics.invalidations);
        tell("cache_loads_total", None, metrics.loads);
        tell("cache_load_errors_total", None, metrics.load_errors);
        tell("cache_errors_total", None, metrics.errors);
        tell("cache_stale_total", None, metrics.stale);
        tell("cache_refreshes_total", None, metrics.refreshes);
    }

    /// Publishes what is stored in a tier, as far as it is known.
    pub(crate) fn publish_usage(&self, tier: &'static str, usage: &Usage) {
        let labels = || self.labels("tier", Arc::from(tier));
        if let Some(entries) = usage.entries {
            gauge!("cache_entries", labels()).set(entries as f64);
        }
        if let Some(bytes) = usage.bytes {
            gauge!("cache_size_bytes", labels()).set(bytes as f64);
        }
        if let Some(evictions) = usage.evictions {
            counter!("cache_evictions_total", labels()).absolute(evictions);
        }
        if let Some(expirations) = usage.expirations {
            counter!("cache_expirations_total", labels()).absolute(expirations);
        }
    }

    fn labels(&self, name: &'static str, value: Arc<str>) -> Vec<Label> {
        vec![
            Label::new("cache", Arc::clone(&self.cache)),
            Label::new("provider", self.provider),
            Label::new(name, value),
        ]
    }
}

/// Says what each of them is. A recorder that is installed later has not heard it before.
pub(crate) fn describe() {
    use metrics::{describe_counter as counter, describe_gauge as gauge};
    counter!("cache_hits_total", Unit::Count, "Reads that were answered");
    counter!(
        "cache_misses_total",
        Unit::Count,
        "Reads that found nothing to show"
    );
    counter!("cache_sets_total", Unit::Count, "Values that were written");
    counter!(
        "cache_deletes_total",
        Unit::Count,
        "Values that were deleted"
    );
    counter!(
        "cache_invalidations_total",
        Unit::Count,
        "Things that were invalidated"
    );
    counter!("cache_loads_total", Unit::Count, "Loads that have ended");
    counter!(
        "cache_load_errors_total",
        Unit::Count,
        "Loads that ended in an error"
    );
    counter!(
        "cache_errors_total",
        Unit::Count,
        "Operations that failed while a value was computed"
    );
    counter!(
        "cache_stale_total",
        Unit::Count,
        "Reads that were answered with a stale value"
    );
    counter!(
        "cache_refreshes_total",
        Unit::Count,
        "Loads in the background"
    );
    counter!(
        "cache_evictions_total",
        Unit::Count,
        "Entries that made room for others"
    );
    counter!(
        "cache_expirations_total",
        Unit::Count,
        "Expired entries that were freed"
    );
    gauge!("cache_entries", Unit::Count, "Entries that are stored");
    gauge!(
        "cache_size_bytes",
        Unit::Bytes,
        "What keys and values weigh"
    );
    metrics::describe_histogram!(LOAD_TIME, Unit::Seconds, "How long loads took");
    metrics::describe_histogram!(CALL_TIME, Unit::Seconds, "How long calls of a backend took");
}
