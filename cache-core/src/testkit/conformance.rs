//! What every provider must do, as checks that run against a cache over it.
//!
//! Each check gets [`Nodes`] of its own and begins on an empty namespace.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{Nodes, delivered};
use crate::cache::{Cache, KeepOk};
use crate::entry::Owner;
use crate::error::ErrorKind;
use crate::terms::{EntryOptions, Ttl};

/// Long enough for a real server to answer in between, short enough to be waited for.
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(600);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    age: Option<u8>,
    scores: Vec<f64>,
    notes: BTreeMap<String, Vec<u8>>,
}

fn ada() -> User {
    User {
        name: "Ada \"Λ\" \u{0}".into(),
        age: None,
        scores: vec![0.1, -0.0, f64::MAX],
        notes: BTreeMap::from([(String::new(), vec![0, 255])]),
    }
}

async fn text(cache: &Cache, key: &str) -> Option<String> {
    cache.get(key).await.expect("get")
}

async fn number(cache: &Cache, key: &str) -> Option<i64> {
    cache.get(key).await.expect("get")
}

async fn keys(cache: &Cache, pattern: &str) -> Vec<String> {
    let mut scan = cache.scan_keys(pattern, 10).expect("a pattern");
    let mut keys = Vec::new();
    while let Some(page) = scan.next_page().await.expect("a page") {
        keys.extend(page);
    }
    keys.sort();
    keys.dedup();
    keys
}

macro_rules! checks {
    ($($(#[$doc:meta])* async fn $name:ident($nodes:ident, $cache:ident) $body:block)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Panics
            ///
            /// If the provider does otherwise.
            pub async fn $name($nodes: &Nodes) {
                let $cache = &$nodes.actor.namespace(stringify!($name));
                $body
            }
        )*

        /// Emits every check of [`testkit::conformance`](crate::testkit::conformance) as a named
        /// test. The argument is as in [`race_table!`](crate::race_table).
        ///
        /// ```
        /// mod memory {
        ///     cache_core::conformance!(async {
        ///         cache_core::testkit::Nodes::one(cache_core::Cache::memory())
        ///     });
        /// }
        /// ```
        #[macro_export]
        macro_rules! conformance {
            ($fixture:expr) => {
                $crate::conformance_tests! { $fixture; $($name)* }
            };
        }
    };
}

/// One test for each name.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($fixture:expr; $($name:ident)*) => { $(
        #[test]
        fn $name() {
            $crate::testkit::block_on(async {
                let nodes = $fixture.await;
                $crate::testkit::conformance::$name(&nodes).await;
            });
        }
    )* };
}

checks! {
    /// `get` of what is not there is `None`.
    async fn an_absent_key_is_a_miss_and_no_error(nodes, cache) {
        assert_eq!(text(cache, "k").await, None);
        assert!(!cache.exists("k").await.unwrap());
        assert_eq!(cache.get_ttl("k").await.unwrap(), None);
        assert!(!cache.delete("k").await.unwrap());
        assert!(!cache.expire("k", LONG).await.unwrap());
    }

    /// Values of all shapes survive.
    async fn what_is_set_is_read_back_equal(nodes, cache) {
        cache.set("user", &ada()).await.unwrap();
        assert_eq!(cache.get::<User>("user").await.unwrap(), Some(ada()));
        cache.set("text", "").await.unwrap();
        assert_eq!(text(cache, "text").await.as_deref(), Some(""));
        cache.set("bytes", &[0_u8, 255][..]).await.unwrap();
        assert_eq!(cache.get("bytes").await.unwrap(), Some(vec![0_u8, 255]));
        cache.set("none", &None::<u8>).await.unwrap();
        assert_eq!(cache.get::<Option<u8>>("none").await.unwrap(), Some(None));
        let large = "x".repeat(1 << 20);
        cache.set("large", &large).await.unwrap();
        assert_eq!(text(cache, "large").await, Some(large));
    }

    /// The last write is what is read.
    async fn a_set_replaces_what_was_there(nodes, cache) {
        cache.set("k", "one").await.unwrap();
        cache.set("k", &2).await.unwrap();
        assert_eq!(number(cache, "k").await, Some(2));
        assert_eq!(text(cache, "k").await, None, "another type than was stored");
    }

    /// `delete` and `exists` tell.
    async fn delete_says_whether_it_was_there(nodes, cache) {
        cache.set("k", "v").await.unwrap();
        assert!(cache.exists("k").await.unwrap());
        assert!(cache.delete("k").await.unwrap());
        assert!(!cache.exists("k").await.unwrap());
        assert!(!cache.delete("k").await.unwrap());
    }

    /// Many at once, in the order of the question.
    async fn many_keys_are_handled_in_order(nodes, cache) {
        let values = [("a", 1), ("b", 2), ("c", 3)];
        cache.set_many(&values, EntryOptions::new().tag("t")).await.unwrap();
        let read = cache.get_many::<i32>(&["c", "x", "a", "a"]).await.unwrap();
        assert_eq!(read, [Some(3), None, Some(1), Some(1)]);
        assert_eq!(cache.delete_many(&["a", "x", "b"]).await.unwrap(), 2);
        assert_eq!(cache.get_many::<i32>(&["a", "b", "c"]).await.unwrap(), [None, None, Some(3)]);
        assert_eq!(cache.get_many::<i32>(&[]).await.unwrap(), []);
        cache.set_many::<i32>(&[], EntryOptions::new()).await.unwrap();
        assert_eq!(cache.delete_many(&[]).await.unwrap(), 0);
    }

    /// Entries expire by themselves, and a write begins a new time to live.
    async fn entries_expire(nodes, cache) {
        cache.set("k", "v").ttl(SHORT).await.unwrap();
        cache.set("stays", "v").ttl(SHORT).await.unwrap();
        cache.set("stays", "w").ttl(LONG).await.unwrap();
        assert_eq!(text(cache, "k").await.as_deref(), Some("v"));
        nodes.elapse(SHORT).await;
        assert_eq!(text(cache, "k").await, None);
        assert!(!cache.exists("k").await.unwrap());
        assert!(!cache.delete("k").await.unwrap());
        assert!(keys(cache, "k").await.is_empty());
        assert_eq!(text(cache, "stays").await.as_deref(), Some("w"));
    }

    /// What a load brought expires, too.
    async fn loaded_values_expire(nodes, cache) {
        let options = EntryOptions::new().ttl(SHORT);
        let load = |value: i64| async move { Ok::<_, Infallible>(value) };
        let call = |value| cache.get_or_set_with("k", options.clone(), move || load(value));
        assert_eq!(call(1).await, Ok(1));
        assert_eq!(call(2).await, Ok(1));
        nodes.elapse(SHORT).await;
        assert_eq!(call(3).await, Ok(3));
    }

    /// What is missing is loaded by one call, what is there is not.
    async fn missing_keys_are_loaded_by_one_call(nodes, cache) {
        cache.set("b", &0).await.unwrap();
        let mut calls = Vec::new();
        let keys = ["a", "b", "bad", "none", "a"];
        let options = EntryOptions::new().ttl(LONG).tag("t");
        let answers = cache.get_many_or_load_with(&keys, options, |keys| {
            calls.push(keys);
            async { Ok([("a".to_owned(), Ok(1)), ("bad".to_owned(), Err("bad"))]) }
        });
        let expected = [Ok(Some(1)), Ok(Some(0)), Err("bad"), Ok(None), Ok(Some(1))];
        assert_eq!(answers.await, expected);
        assert_eq!(calls, [["a", "bad", "none"]]);
        let stored = cache.get_many::<i32>(&keys).await.unwrap();
        assert_eq!(stored, [Some(1), Some(0), None, None, Some(1)]);
        cache.invalidate_tag("t").await.unwrap();
        let stored = cache.get_many::<i32>(&keys).await.unwrap();
        assert_eq!(stored, [None, Some(0), None, None, None]);
    }

    /// As many keys as a page shows, and more.
    async fn a_thousand_missing_keys_are_loaded_and_stored(nodes, cache) {
        let names: Vec<String> = (0..1_000).map(|name| name.to_string()).collect();
        let keys: Vec<&str> = names.iter().map(String::as_str).collect();
        let load = async |keys: Vec<String>| {
            let value = |key: String| (key.clone(), Ok::<_, Infallible>(key));
            Ok(keys.into_iter().map(value).collect::<Vec<_>>())
        };
        let answers = cache.get_many_or_load(&keys, load).await;
        assert!(answers.iter().zip(&names).all(|(answer, name)| answer.as_ref().unwrap().as_ref() == Some(name)));
        let stored = cache.get_many::<String>(&keys).await.unwrap();
        assert!(stored.iter().all(Option::is_some));
    }

    /// The time to live that is left.
    async fn the_time_to_live_can_be_read_and_changed(nodes, cache) {
        let left = |ttl| match ttl {
            Some(Ttl::After(span)) => span,
            other => panic!("a limited time to live, not {other:?}"),
        };
        cache.set("k", "v").ttl(LONG).await.unwrap();
        let ttl = left(cache.get_ttl("k").await.unwrap());
        assert!(ttl <= LONG && ttl > LONG / 2, "{ttl:?}");

        assert!(cache.expire("k", LONG * 4).await.unwrap());
        let ttl = left(cache.get_ttl("k").await.unwrap());
        assert!(ttl > LONG * 2 && ttl <= LONG * 4, "{ttl:?}");

        assert!(cache.expire("k", Ttl::Never).await.unwrap());
        assert_eq!(cache.get_ttl("k").await.unwrap(), Some(Ttl::Never));
        assert_eq!(text(cache, "k").await.as_deref(), Some("v"));

        assert!(cache.expire("k", SHORT).await.unwrap());
        nodes.elapse(SHORT).await;
        assert_eq!(text(cache, "k").await, None);
        assert!(!cache.expire("k", LONG).await.unwrap(), "gone is gone");
        assert_eq!(text(cache, "k").await, None);
    }

    /// A time to live of zero keeps nothing.
    async fn a_time_to_live_of_zero_removes(nodes, cache) {
        cache.set("k", "v").await.unwrap();
        cache.set("k", "w").ttl(Duration::ZERO).await.unwrap();
        assert_eq!(text(cache, "k").await, None);
        cache.set("k", "v").await.unwrap();
        assert!(cache.expire("k", Duration::ZERO).await.unwrap());
        assert_eq!(text(cache, "k").await, None);
        let options = EntryOptions::new().ttl(Duration::ZERO);
        let load = || async { Ok::<_, Infallible>(1) };
        assert_eq!(cache.get_or_set_with("k", options, load).await, Ok(1));
        assert!(!cache.exists("k").await.unwrap());
    }

    /// The default time to live is the handle's.
    async fn the_default_time_to_live_is_the_namespaces(nodes, cache) {
        let forever = cache.with_default_ttl(Ttl::Never);
        forever.set("k", "v").await.unwrap();
        assert_eq!(cache.get_ttl("k").await.unwrap(), Some(Ttl::Never));
        cache.with_default_ttl(SHORT).set("k", "v").await.unwrap();
        nodes.elapse(SHORT).await;
        assert_eq!(text(cache, "k").await, None);
    }

    /// Counters count, from zero, by any amount.
    async fn counters_count(nodes, cache) {
        assert_eq!(cache.increment("n", 5).await.unwrap(), 5);
        assert_eq!(cache.increment("n", -7).await.unwrap(), -2);
        assert_eq!(cache.increment("n", 0).await.unwrap(), -2);
        assert_eq!(number(cache, "n").await, Some(-2));
        assert_eq!(cache.get::<i8>("n").await.unwrap(), Some(-2));
        cache.set("n", &41).await.unwrap();
        assert_eq!(cache.increment("n", 1).await.unwrap(), 42);
        assert!(cache.delete("n").await.unwrap());
        assert_eq!(cache.increment("n", 1).await.unwrap(), 1);
    }

    /// Downwards, too, through zero.
    async fn counters_count_down(nodes, cache) {
        assert_eq!(cache.decrement("n", 3).await.unwrap(), -3);
        assert_eq!(cache.increment("n", 10).await.unwrap(), 7);
        assert_eq!(cache.decrement("n", -1).await.unwrap(), 8);
        let error = cache.decrement("n", i64::MIN).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overflow);
        assert_eq!(number(cache, "n").await, Some(8));
        let options = EntryOptions::new().ttl(SHORT).tag("t");
        assert_eq!(cache.decrement_with("m", 1, options).await.unwrap(), -1);
        cache.invalidate_tag("t").await.unwrap();
        assert_eq!(number(cache, "m").await, None);
    }

    /// A backend that is there says so.
    async fn a_ping_is_answered(nodes, cache) {
        let ping = cache.ping().await.unwrap();
        assert!(ping.in_touch);
        assert_ne!(ping.memory_tier, Some(false));
    }

    /// At the ends of `i64`, exactly.
    async fn a_counter_does_not_leave_its_range(nodes, cache) {
        for (end, beyond) in [(i64::MAX, 1), (i64::MIN, -1)] {
            cache.set("n", &(end - beyond)).await.unwrap();
            assert_eq!(cache.increment("n", beyond).await.unwrap(), end);
            let error = cache.increment("n", beyond).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Overflow);
            assert_eq!(number(cache, "n").await, Some(end));
        }
    }

    /// What is no number is left alone.
    async fn a_value_that_is_no_number_is_not_incremented(nodes, cache) {
        cache.set("k", "text").ttl(LONG).await.unwrap();
        cache.set("big", &u64::MAX).await.unwrap();
        cache.set("float", &1.5).await.unwrap();
        for key in ["k", "big", "float"] {
            let error = cache.increment(key, 1).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WrongType, "{key}");
        }
        assert_eq!(text(cache, "k").await.as_deref(), Some("text"));
        assert_eq!(cache.get::<u64>("big").await.unwrap(), Some(u64::MAX));
        assert_eq!(cache.get::<f64>("float").await.unwrap(), Some(1.5));
    }

    /// A number that a function computed is not a counter of the handle's.
    async fn another_owners_number_is_not_incremented(nodes, cache) {
        let function = Owner::of("a function");
        let load = || async { Ok::<_, Infallible>(41_i64) };
        let options = EntryOptions::new;
        let computed = cache.through("n", function, options, KeepOk, load).await;
        assert_eq!(computed, Ok(41));
        let error = cache.increment("n", 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongType);
        let load = || async { Ok::<_, Infallible>(0) };
        let computed = cache.through("n", function, options, KeepOk, load).await;
        assert_eq!(computed, Ok(41), "it was left alone");
        assert!(cache.delete("n").await.unwrap());
        assert_eq!(cache.increment("n", 1).await.unwrap(), 1);
    }

    /// The time to live begins when the counter does.
    async fn increments_do_not_push_a_counters_end_out(nodes, cache) {
        let options = EntryOptions::new().ttl(SHORT);
        assert_eq!(cache.increment_with("n", 1, options).await.unwrap(), 1);
        let longer = EntryOptions::new().ttl(LONG);
        assert_eq!(cache.increment_with("n", 1, longer).await.unwrap(), 2);
        nodes.elapse(SHORT).await;
        assert_eq!(number(cache, "n").await, None);
        assert_eq!(cache.increment("n", 1).await.unwrap(), 1);
    }

    /// Nothing is lost.
    async fn concurrent_increments_all_count(nodes, cache) {
        let tasks: Vec<_> = (0..50)
            .map(|task| {
                let node = if task % 2 == 0 { &nodes.actor } else { &nodes.reader };
                let cache = node.namespace("concurrent_increments_all_count");
                tokio::spawn(async move {
                    for _ in 0..20 {
                        cache.increment("n", 1).await.expect("increment");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(number(cache, "n").await, Some(1_000));
    }

    /// Derived writes bring nothing back.
    async fn what_is_hidden_is_neither_extended_nor_counted_on(nodes, cache) {
        cache.set("n", &41).tag("t").await.unwrap();
        cache.increment("tagged", 1).await.unwrap();
        cache.invalidate_tag("t").await.unwrap();
        assert!(!cache.expire("n", LONG).await.unwrap());
        assert_eq!(number(cache, "n").await, None);
        assert_eq!(cache.increment("n", 1).await.unwrap(), 1, "it begins anew");
        assert_eq!(number(cache, "n").await, Some(1));
        cache.invalidate_pattern("*").await.unwrap();
        assert_eq!(cache.increment("n", 1).await.unwrap(), 1);
    }

    /// A counter keeps its tags when it is incremented.
    async fn an_incremented_counter_is_still_tagged(nodes, cache) {
        let options = EntryOptions::new().tag("t");
        cache.increment_with("n", 1, options).await.unwrap();
        cache.increment("n", 1).await.unwrap();
        assert!(cache.expire("n", LONG).await.unwrap());
        cache.invalidate_tag("t").await.unwrap();
        assert_eq!(number(cache, "n").await, None);
    }

    /// What the patch names changes, and nothing else.
    async fn an_update_changes_what_it_names(nodes, cache) {
        cache.set("user", &ada()).await.unwrap();
        let patch = json!({ "name": "Grace", "age": 36, "notes": { "": null, "new": [1] } });
        let expected = User {
            name: "Grace".into(),
            age: Some(36),
            notes: BTreeMap::from([("new".to_owned(), vec![1])]),
            ..ada()
        };
        let updated = cache.update::<User>("user", &patch).await.unwrap();
        assert_eq!(updated.as_ref(), Some(&expected));
        assert_eq!(cache.get::<User>("user").await.unwrap(), Some(expected));
        delivered(&nodes.reader, &nodes.actor).await;
        let other = nodes.reader.namespace("an_update_changes_what_it_names");
        assert_eq!(other.get::<User>("user").await.unwrap(), updated);
        let removed = cache.update::<User>("user", &json!({ "age": null })).await.unwrap();
        assert_eq!(removed.unwrap().age, None);
    }

    /// A patch that does not fit is an error, and the value stays.
    async fn an_update_that_does_not_fit_changes_nothing(nodes, cache) {
        cache.set("user", &ada()).await.unwrap();
        for patch in [json!({ "age": "old" }), json!({ "name": null }), json!([1]), json!(null)] {
            let error = cache.update::<User>("user", &patch).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WrongType, "{patch}");
        }
        assert_eq!(cache.get::<User>("user").await.unwrap(), Some(ada()));
        cache.set("text", "text").await.unwrap();
        cache.increment("n", 7).await.unwrap();
        for key in ["text", "n"] {
            let error = cache.update::<Json>(key, &json!({ "a": 1 })).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WrongType, "{key}");
        }
        assert_eq!(text(cache, "text").await.as_deref(), Some("text"));
        assert_eq!(number(cache, "n").await, Some(7));
    }

    /// Nothing is made, and nothing comes back.
    async fn what_is_absent_expired_or_hidden_is_not_updated(nodes, cache) {
        let patch = json!({ "name": "Grace" });
        let update = |key| cache.update::<User>(key, &patch);
        cache.set("expired", &ada()).ttl(SHORT).await.unwrap();
        cache.set("tagged", &ada()).tag("t").await.unwrap();
        cache.set("matched", &ada()).await.unwrap();
        cache.invalidate_tag("t").await.unwrap();
        cache.invalidate_pattern("m*").await.unwrap();
        nodes.elapse(SHORT).await;
        for key in ["absent", "expired", "tagged", "matched"] {
            assert_eq!(update(key).await.unwrap(), None, "{key}");
            assert_eq!(update(key).ttl(LONG).await.unwrap(), None, "{key}");
            assert!(!cache.exists(key).await.unwrap(), "{key}");
            assert_eq!(cache.get::<User>(key).await.unwrap(), None, "{key}");
        }
    }

    /// An update is no new value: it goes when the old one would have.
    async fn an_updated_value_keeps_its_tags_and_its_end(nodes, cache) {
        let patch = json!({ "age": 36 });
        let update = |key| cache.update::<User>(key, &patch);
        for key in ["short", "long", "none", "kept"] {
            cache.set(key, &ada()).ttl(SHORT).tag(key).await.unwrap();
        }
        update("short").await.unwrap().unwrap();
        update("long").ttl(LONG).await.unwrap().unwrap();
        update("none").ttl(Ttl::Never).await.unwrap().unwrap();
        cache.expire("kept", LONG).await.unwrap();
        update("kept").await.unwrap().unwrap();
        assert_eq!(cache.get_ttl("none").await.unwrap(), Some(Ttl::Never));
        nodes.elapse(SHORT).await;
        assert!(!cache.exists("short").await.unwrap());
        for key in ["long", "none", "kept"] {
            assert!(cache.exists(key).await.unwrap(), "{key}");
            cache.invalidate_tag(key).await.unwrap();
            assert!(!cache.exists(key).await.unwrap(), "{key}");
        }
        cache.set("k", &ada()).await.unwrap();
        assert!(update("k").ttl(Duration::ZERO).await.unwrap().is_some());
        assert!(!cache.exists("k").await.unwrap());
    }

    /// Nothing is lost.
    async fn concurrent_updates_all_count(nodes, cache) {
        cache.set("k", &json!({})).await.unwrap();
        let tasks: Vec<_> = (0..20)
            .map(|task| {
                let node = if task % 2 == 0 { &nodes.actor } else { &nodes.reader };
                let cache = node.namespace("concurrent_updates_all_count");
                tokio::spawn(async move {
                    for n in 0..10 {
                        let patch = json!({ format!("{task}:{n}"): n });
                        let updated = cache.update::<Json>("k", &patch).await;
                        assert!(updated.expect("update").is_some());
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        delivered(&nodes.actor, &nodes.reader).await;
        let all = cache.get::<BTreeMap<String, i64>>("k").await.unwrap().unwrap();
        assert_eq!(all.len(), 200);
    }

    /// What a function computed is none of the handle's to change.
    async fn another_owners_value_is_not_updated(nodes, cache) {
        let function = Owner::of("a function");
        let load = || async { Ok::<_, Infallible>(ada()) };
        let computed = cache.through("k", function, EntryOptions::new, KeepOk, load).await;
        assert_eq!(computed, Ok(ada()));
        let error = cache.update::<User>("k", &json!({ "age": 36 })).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongType);
        assert!(cache.exists("k").await.unwrap());
    }

    /// Keys of two namespaces never meet.
    async fn namespaces_are_worlds_of_their_own(nodes, cache) {
        let (one, two) = (cache.namespace("tenant:1"), cache.namespace("tenant:2"));
        let tenant = cache.namespace("tenant");
        one.set("k", "one").await.unwrap();
        two.set("k", "two").await.unwrap();
        tenant.set("1:k", "neither").await.unwrap();
        assert_eq!(text(&one, "k").await.as_deref(), Some("one"));
        assert_eq!(text(&tenant.namespace("1"), "k").await.as_deref(), Some("one"));
        one.invalidate_pattern("*").await.unwrap();
        assert_eq!(text(&one, "k").await, None);
        assert_eq!(text(&two, "k").await.as_deref(), Some("two"));
        assert_eq!(text(&tenant, "1:k").await.as_deref(), Some("neither"));
    }

    /// What clear takes: the namespace and those inside it.
    async fn clear_takes_the_namespace_and_those_inside(nodes, cache) {
        let (inner, other) = (cache.namespace("a").namespace("b"), cache.namespace("ab"));
        for cache in [cache, &cache.namespace("a"), &inner, &other] {
            cache.set("k", "v").await.unwrap();
        }
        cache.namespace("a").clear().await.unwrap();
        assert_eq!(text(&cache.namespace("a"), "k").await, None);
        assert_eq!(text(&inner, "k").await, None);
        assert_eq!(text(&other, "k").await.as_deref(), Some("v"));
        assert_eq!(text(cache, "k").await.as_deref(), Some("v"));
        inner.set("k", "new").await.unwrap();
        assert_eq!(text(&inner, "k").await.as_deref(), Some("new"));
    }

    /// A glob takes what it matches in its namespace, and nothing else.
    async fn patterns_take_what_they_match(nodes, cache) {
        let all = ["user:1", "user:2", "user:10", "users:1", "*", "user:é", "{a}", "a[b"];
        for key in all {
            cache.set(key, "v").await.unwrap();
        }
        cache.namespace("inner").set("user:1", "v").await.unwrap();
        cache.invalidate_pattern("user:?").await.unwrap();
        cache.invalidate_pattern(r"\*").await.unwrap();
        cache.invalidate_pattern(r"a\[[a-c]").await.unwrap();
        let left = ["user:10", "user:é", "users:1", "{a}"];
        assert_eq!(keys(cache, "*").await, left);
        for key in all {
            let expected = left.contains(&key).then_some("v");
            assert_eq!(text(cache, key).await.as_deref(), expected, "{key}");
        }
        assert!(text(&cache.namespace("inner"), "user:1").await.is_some());
    }

    /// The count is of what could be shown.
    async fn delete_by_pattern_counts_what_was_visible(nodes, cache) {
        for key in ["a:1", "a:2", "a:3", "b:1"] {
            cache.set(key, "v").await.unwrap();
        }
        cache.set("a:expired", "v").ttl(SHORT).await.unwrap();
        cache.set("a:hidden", "v").tag("t").await.unwrap();
        cache.invalidate_tag("t").await.unwrap();
        nodes.elapse(SHORT).await;
        assert_eq!(cache.delete_by_pattern("a:*").await.unwrap(), 3);
        assert_eq!(cache.delete_by_pattern("a:*").await.unwrap(), 0);
        assert_eq!(keys(cache, "*").await, ["b:1"]);
        cache.set("a:1", "v").await.unwrap();
        cache.invalidate_pattern("a:*").await.unwrap();
        assert_eq!(cache.delete_by_pattern("a:*").await.unwrap(), 0, "hidden before");
        cache.set("a:1", "v").await.unwrap();
        assert_eq!(text(cache, "a:1").await.as_deref(), Some("v"));
    }

    /// Broken patterns are refused.
    async fn a_broken_pattern_is_an_error(nodes, cache) {
        for pattern in ["", "a[", "a\\"] {
            let errors = [
                cache.invalidate_pattern(pattern).await.map(drop),
                cache.delete_by_pattern(pattern).await.map(drop),
                cache.scan_keys(pattern, 10).map(drop),
            ];
            for error in errors {
                assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidPattern);
            }
        }
    }

    /// Scanning returns every key once or more, whatever the page.
    async fn a_scan_sees_every_key(nodes, cache) {
        let names: Vec<String> = (0..100).map(|n| format!("k{n:03}")).collect();
        let values: Vec<(&str, i32)> = names.iter().map(|name| (&**name, 1)).collect();
        cache.set_many(&values, EntryOptions::new()).await.unwrap();
        cache.namespace("inner").set("k", &1).await.unwrap();
        assert_eq!(keys(cache, "*").await, names);
        assert_eq!(keys(cache, "k00?").await.len(), 10);
    }

    /// A tag reaches every namespace, and only what carries it.
    async fn a_tag_takes_what_carries_it_everywhere(nodes, cache) {
        let (one, two) = (cache.namespace("one"), cache.namespace("two"));
        one.set("k", "v").tag("team:7").tag("x").await.unwrap();
        two.set("k", "v").tags(["team:7"]).await.unwrap();
        two.set("other", "v").tag("team:77").await.unwrap();
        cache.invalidate_tag("team:7").await.unwrap();
        assert_eq!(text(&one, "k").await, None);
        assert_eq!(text(&two, "k").await, None);
        assert!(text(&two, "other").await.is_some());
        one.set("k", "new").tag("team:7").await.unwrap();
        assert_eq!(text(&one, "k").await.as_deref(), Some("new"));
    }

    /// A write after somebody else's invalidation stands.
    async fn a_set_after_another_nodes_clear_survives(nodes, cache) {
        let other = nodes.reader.namespace("a_set_after_another_nodes_clear_survives");
        cache.set("k", "old").await.unwrap();
        cache.clear().await.unwrap();
        // The other node may not have heard of the clear yet.
        other.set("k", "new").await.unwrap();
        delivered(&nodes.reader, &nodes.actor).await;
        delivered(&nodes.actor, &nodes.reader).await;
        assert_eq!(text(&other, "k").await.as_deref(), Some("new"));
        assert_eq!(text(cache, "k").await.as_deref(), Some("new"));
    }

    /// The longest possible key works, and one byte more is an error.
    async fn keys_have_a_limit(nodes, cache) {
        let mut length = 1_024;
        while cache.set(&"x".repeat(length), "v").await.is_err() {
            length -= 1;
        }
        assert!(length > 900, "prefix and namespace are short: {length}");
        assert_eq!(text(cache, &"x".repeat(length)).await.as_deref(), Some("v"));
        let error = cache.set(&"x".repeat(length + 1), "v").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidKey);
        assert!(error.to_string().contains("1024"), "{error}");
    }

    /// Hits and misses are counted by namespace.
    async fn reads_are_counted_by_namespace(nodes, cache) {
        let before = cache.metrics();
        cache.set("k", "v").await.unwrap();
        text(cache, "k").await;
        text(cache, "absent").await;
        cache.set("gone", "v").tag("t").await.unwrap();
        cache.invalidate_tag("t").await.unwrap();
        text(cache, "gone").await;
        let after = cache.metrics();
        assert_eq!(after.hits - before.hits, 1);
        assert_eq!(after.absent - before.absent, 1);
        assert_eq!(after.invalidated - before.invalidated, 1);
        assert_eq!(cache.namespace("other").metrics().hits, 0);
    }
}
