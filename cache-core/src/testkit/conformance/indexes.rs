//! Indexes: they follow their entries, and never show what does not belong to them.

use std::convert::Infallible;

use super::{LONG, SHORT, User, ada, number, text, unsupported};
use crate::cache::Cache;
use crate::error::{ErrorKind, Result};
use crate::terms::EntryOptions;

type Found = Vec<(String, String)>;

/// What is found under a value of the index `i`, sorted; by keys alone it must be the same.
async fn found(cache: &Cache, value: &str) -> Found {
    let mut found: Found = cache.get_by_index("i", value).await.expect("get_by_index");
    let mut keys = cache.get_keys_by_index("i", value).await.expect("keys");
    found.sort();
    keys.sort();
    assert!(
        found.iter().map(|(key, _)| key).eq(&keys),
        "{found:?}, {keys:?}"
    );
    found
}

async fn is_found(cache: &Cache, value: &str) -> bool {
    !found(cache, value).await.is_empty()
}

fn pairs(expected: &[(&str, &str)]) -> Found {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    expected.iter().map(owned).collect()
}

fn indexed(value: &str) -> EntryOptions {
    EntryOptions::new().index("i", value)
}

/// Asks for what the provider says that it cannot do.
pub(super) async fn are_refused(cache: &Cache) {
    unsupported(cache.set("k", "v").index("i", "1").await);
    let many = cache.set_many(&[("k", 1)], indexed("1")).await;
    unsupported(many);
    unsupported(cache.get_by_index::<String>("i", "1").await);
    unsupported(cache.get_keys_by_index("i", "1").await);
    let load = || async { Ok::<_, Infallible>("loaded".to_owned()) };
    let Ok(loaded) = cache.get_or_set_with("k", indexed("1"), load).await;
    assert_eq!(loaded, "loaded", "a load runs all the same");
    assert_eq!(text(cache, "k").await, None, "and is not stored");
}

checks! { indexes as conformance_indexes, needs [Storage, Indexes];
    /// What is indexed is found under each of its values, and under no other.
    async fn an_entry_is_found_under_its_values(nodes, cache) {
        cache.set("a", "A").index("i", "1").index("i", "2").await.expect("set");
        cache.set("b", "B").index("i", "2").index("j", "1").await.expect("set");
        cache.set("c", "C").tag("1").await.expect("set");
        assert_eq!(found(cache, "1").await, pairs(&[("a", "A")]));
        assert_eq!(found(cache, "2").await, pairs(&[("a", "A"), ("b", "B")]));
        assert_eq!(found(cache, "3").await, pairs(&[]));
        let others: Found = cache.get_by_index("j", "1").await.expect("get_by_index");
        assert_eq!(others, pairs(&[("b", "B")]));
        assert!(!is_found(&cache.namespace("inside"), "1").await);
        assert_eq!(found(&nodes.reader.namespace("an_entry_is_found_under_its_values"), "2").await.len(), 2);
    }

    /// All that is there is found, however many that are.
    async fn many_entries_are_found(_nodes, cache) {
        let keys: Vec<String> = (0..1_203).map(|number| format!("k{number}")).collect();
        let values: Vec<_> = keys.iter().map(|key| (&**key, key.clone())).collect();
        cache.set_many(&values, indexed("all")).await.expect("set_many");
        cache.delete("k7").await.expect("delete");
        assert_eq!(found(cache, "all").await.len(), 1_202);
    }

    /// The value that takes an entry's place is found under its own values only.
    async fn an_index_follows_what_is_overwritten(_nodes, cache) {
        cache.set("k", "old").index("i", "old").await.expect("set");
        cache.set("k", "new").index("i", "new").await.expect("set");
        assert!(!is_found(cache, "old").await);
        assert_eq!(found(cache, "new").await, pairs(&[("k", "new")]));
        cache.set_many(&[("k", "bare".to_owned())], EntryOptions::new()).await.expect("set");
        assert!(!is_found(cache, "new").await);
        cache.set("k", "back").index("i", "old").await.expect("set");
        assert_eq!(found(cache, "old").await, pairs(&[("k", "back")]));
    }

    /// What goes, by whatever, is not found.
    async fn an_index_follows_what_goes(_nodes, cache) {
        let store = async || cache.set("k", "v").index("i", "1").tag("t").await.expect("set");
        store().await;
        assert!(cache.delete("k").await.expect("delete"));
        assert!(!is_found(cache, "1").await, "deleted");
        store().await;
        cache.invalidate_pattern("k*").await.expect("invalidate_pattern");
        assert!(!is_found(cache, "1").await, "invalidated by pattern");
        store().await;
        cache.invalidate_tag("t").await.expect("invalidate_tag");
        assert!(!is_found(cache, "1").await, "invalidated by tag");
        store().await;
        cache.clear().await.expect("clear");
        assert!(!is_found(cache, "1").await, "cleared");
        store().await;
        assert_eq!(found(cache, "1").await, pairs(&[("k", "v")]), "stored again");
        cache.set("k", "v").ttl(std::time::Duration::ZERO).await.expect("set");
        assert!(!is_found(cache, "1").await, "removed by a set");
    }

    /// What has expired is not found; what has got another time to live is found for that long.
    async fn an_index_follows_what_expires(nodes, cache) {
        cache.set("gone", "v").ttl(SHORT).index("i", "1").await.expect("set");
        cache.set("longer", "v").ttl(SHORT).index("i", "1").await.expect("set");
        cache.set("ever", "v").ttl(SHORT).index("i", "2").await.expect("set");
        assert!(cache.expire("longer", LONG).await.expect("expire"));
        assert!(cache.expire("ever", None).await.expect("expire"));
        nodes.elapse(SHORT * 2).await;
        assert_eq!(found(cache, "1").await, pairs(&[("longer", "v")]));
        assert_eq!(found(cache, "2").await, pairs(&[("ever", "v")]));
    }

    /// A load's result is indexed as its options say.
    async fn what_is_loaded_is_found(_nodes, cache) {
        let load = || async { Ok::<_, Infallible>("v".to_owned()) };
        let Ok(_) = cache.get_or_set_with("k", indexed("1"), load).await;
        assert_eq!(found(cache, "1").await, pairs(&[("k", "v")]));
    }

    /// A value that cannot be read as what is asked for is left out, and found by its key.
    async fn what_is_of_another_type_is_left_out(_nodes, cache) {
        cache.set("user", &ada()).index("i", "1").await.expect("set");
        cache.set("text", "v").index("i", "1").await.expect("set");
        let users: Vec<(String, User)> = cache.get_by_index("i", "1").await.expect("get_by_index");
        assert_eq!(users, [("user".to_owned(), ada())]);
        assert_eq!(cache.get_keys_by_index("i", "1").await.expect("keys").len(), 2);
    }

    /// Names and values are any text, and none is taken for another.
    async fn no_two_values_are_taken_for_one(_nodes, cache) {
        let long = "x".repeat(10_000);
        let values = ["", "a", "a:b", "a\0b", "{a}", "*", "é", &long];
        for (at, value) in values.iter().enumerate() {
            cache.set(&format!("k{at}"), *value).index("i", value).await.expect("set");
        }
        for (at, value) in values.iter().enumerate() {
            assert_eq!(found(cache, value).await, pairs(&[(&format!("k{at}"), value)]));
        }
        let options = indexed("b").index("ia", "");
        cache.set_many(&[("apart", "v".to_owned())], options).await.expect("set_many");
        assert!(cache.get_keys_by_index("", "iab").await.expect("keys").is_empty());
    }

    /// Values of indexes count as tags, and their own tags cannot be given.
    async fn an_index_is_among_the_tags(_nodes, cache) {
        let full = (0..crate::MAX_TAGS).fold(EntryOptions::new(), |it, at| it.tag(at.to_string()));
        let over = cache.set_many(&[("k", 1)], full.index("i", "1")).await;
        assert_eq!(over.expect_err("too many").kind(), ErrorKind::InvalidTag);
        let given: Result<()> = cache.set("k", "v").tag("\0tag").await;
        assert_eq!(given.expect_err("reserved").kind(), ErrorKind::InvalidTag);
        let gone = cache.invalidate_tag("\0tag").await;
        assert_eq!(gone.expect_err("reserved").kind(), ErrorKind::InvalidTag);
    }

    /// A counter is found under what it began with, whatever is added to it later.
    async fn a_counter_stays_in_its_index(_nodes, cache) {
        if !cache.capability().counters {
            unsupported(cache.increment_with("n", 1, indexed("1")).await);
            return;
        }
        cache.increment_with("n", 1, indexed("1")).await.expect("increment");
        cache.increment("n", 1).await.expect("increment");
        assert_eq!(number(cache, "n").await, Some(2));
        let numbers: Vec<(String, i64)> = cache.get_by_index("i", "1").await.expect("get_by_index");
        assert_eq!(numbers, [("n".to_owned(), 2)]);
    }

    /// A value that is updated stays in its index, for as long as it lives then.
    async fn what_is_updated_stays_in_its_index(nodes, cache) {
        cache.set("k", &ada()).ttl(SHORT).index("i", "1").await.expect("set");
        let patch = serde_json::json!({ "age": 36 });
        let update = cache.update::<User>("k", &patch).ttl(LONG).await;
        if !cache.capability().update {
            unsupported(update);
            return;
        }
        assert!(update.expect("update").is_some());
        nodes.elapse(SHORT * 2).await;
        let users: Vec<(String, User)> = cache.get_by_index("i", "1").await.expect("get_by_index");
        assert_eq!(users.first().and_then(|(_, user)| user.age), Some(36));
    }
}
