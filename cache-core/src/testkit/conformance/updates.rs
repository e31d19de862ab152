//! Updates: values changed in place, one after another.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{LONG, SHORT, User, ada, number, text};
use crate::cache::{Cache, KeepOk};
use crate::entry::{Owner, Payload};
use crate::error::ErrorKind;
use crate::policy::Policy;
use crate::provider::Slot;
use crate::terms::{EntryOptions, Ttl};
use crate::testkit::delivered;

async fn is_of_the_wrong_type(cache: &Cache, key: &str) {
    let updated = cache.update::<Json>(key, &json!({ "a": 1 })).await;
    let error = updated.expect_err("no JSON object");
    assert_eq!(error.kind(), ErrorKind::WrongType, "{key}");
}

checks! {
    updates as conformance_updates, needs [Storage, Update];

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
        is_of_the_wrong_type(cache, "text").await;
        assert_eq!(text(cache, "text").await.as_deref(), Some("text"));
        if cache.capability().counters {
            cache.increment("n", 7).await.unwrap();
            is_of_the_wrong_type(cache, "n").await;
            assert_eq!(number(cache, "n").await, Some(7));
        }
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

    /// What has expired and is kept to be shown stale is absent for a compare-and-set.
    async fn what_has_expired_and_is_kept_is_not_replaced(nodes, cache) {
        let policy = Policy::new().stale_if_error(LONG);
        cache.with_policy(policy).set("k", &1_i64).ttl(SHORT).await.unwrap();
        nodes.elapse(SHORT).await;
        let question = cache.question("k", Owner::HANDLE, &EntryOptions::new());
        let key = &*question.unwrap().key;
        let provider = &cache.engine().provider;
        let slots = provider.get(&[key]).await.unwrap();
        let [Slot::Entry(old)] = &slots[..] else {
            panic!("it is kept, so this is not expected: {slots:?}");
        };
        let new = Arc::new(old.with_payload(Payload::typed(2_i64)));
        let ttl = Some(Ttl::After(LONG));
        assert!(!provider.replace(key, old.meta().id, new, ttl).await.unwrap());
        assert_eq!(number(cache, "k").await, None);
    }
}
