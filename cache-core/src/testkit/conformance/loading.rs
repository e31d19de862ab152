//! Loads of many keys at once.

use std::convert::Infallible;

use super::LONG;
use crate::terms::EntryOptions;

checks! {
    loading as conformance_loading, needs [Storage];

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
}
