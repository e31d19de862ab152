//! Keys: different questions never share one.

use cache_core::{Cache, Pattern};

use super::*;
use crate::rules::{Query, Rule, Rules};

fn key_by(rule: Rule, uri: &str, fields: &[(&'static str, &str)]) -> Option<String> {
    let rules = Rules::compile(vec![rule], vec![], &Cache::memory(), 1_024).unwrap();
    let mut request = Request::builder().uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(()).unwrap();
    of(&request, rules.get(request.uri().path()).unwrap().rule)
}

fn rule() -> Rule {
    Rule::get("/{*path}")
}

fn key(uri: &str, fields: &[(&'static str, &str)]) -> String {
    key_by(rule(), uri, fields).unwrap()
}

#[test]
fn a_key_reads_as_the_request_does() {
    let rule = rule().vary_header("accept-language").vary_cookie("theme");
    let fields = [
        ("host", "Example.com:80"),
        ("accept-language", "de, en"),
        ("cookie", "id=7; theme=dark"),
    ];
    assert_eq!(
        key_by(rule, "/cities/7?b=2&a=1", &fields).unwrap(),
        "/cities/7 example.com:80 ?a=1&b=2 accept-language=de,#20en cookie:theme=dark"
    );
}

#[test]
fn path_query_and_host_are_in_the_key() {
    let host = [("host", "a")];
    let keys = [
        key("/x", &host),
        key("/y", &host),
        key("/x?", &host),
        key("/x?q", &host),
        key("/x", &[("host", "b")]),
        key("/x", &[]),
    ];
    let distinct: std::collections::HashSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len(), "{keys:?}");
    assert_eq!(key("http://A/x", &[]), key("http://a/x", &host));
}

#[test]
fn the_scheme_is_in_the_key_where_the_request_names_it() {
    let host = [("host", "a")];
    let keys = [
        key("http://a/x", &[]),
        key("https://a/x", &[]),
        key("/x", &host),
        key("/x", &[("host", "a :http")]),
        key("/x", &[("host", "http://a")]),
    ];
    let distinct: std::collections::HashSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len(), "{keys:?}");
    assert_eq!(keys[1], "/x a :https");
    assert_eq!(key("HTTPS://a/x", &[]), keys[1]);
}

#[test]
fn a_request_for_two_hosts_has_no_key() {
    assert_eq!(key_by(rule(), "http://a/x", &[("host", "b")]), None);
    assert_eq!(key_by(rule(), "/x", &[("host", "a"), ("host", "b")]), None);
    let ignored = rule().ignore_host();
    assert!(key_by(ignored, "http://a/x", &[("host", "b")]).is_some());
}

#[test]
fn no_part_can_be_written_to_read_as_another() {
    let rule = || {
        rule()
            .vary_header("x-a")
            .vary_header("x-b")
            .vary_cookie("c")
    };
    let key = |uri: &str, fields: &[_]| key_by(rule(), uri, fields).unwrap();
    let keys = [
        key("/x", &[("x-a", "1 x-b=2")]),
        key("/x", &[("x-a", "1"), ("x-b", "2")]),
        key("/x", &[("x-a", "1, x-b=2")]),
        key("/x", &[("x-a", "1"), ("x-a", "2")]),
        key("/x", &[("x-a", "1,2")]),
        key("/x", &[("x-a", "")]),
        key("/x", &[]),
        key("/x", &[("x-a", "1#20x-b=2")]),
        key("/x", &[("cookie", "c=1 cookie:c=2")]),
        key("/x", &[("cookie", "c=1; c=2")]),
        key("/x?x-a=1", &[]),
        key("/x", &[("host", "a?x-a=1")]),
    ];
    let distinct: std::collections::HashSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len(), "{keys:#?}");
}

#[test]
fn an_equivalent_path_that_is_written_otherwise_has_a_key_of_its_own() {
    let (plain, escaped) = (key("/cities/a", &[]), key("/cities/%61", &[]));
    assert_ne!(plain, escaped);
    assert!(escaped.starts_with(&plain));
    assert_eq!(url_tag("/cities/a"), url_tag("/cities/%61"));
}

#[test]
fn a_cookie_is_the_same_however_its_name_is_written() {
    let key = |cookie| key_by(rule().vary_cookie("theme"), "/x", &[("cookie", cookie)]).unwrap();
    assert_ne!(key("%74heme=dark"), key("other=1"));
    assert_eq!(key("other=1"), key("other=2"));
}

#[test]
fn a_long_key_keeps_its_path_and_stays_injective() {
    let long = "v".repeat(1_000);
    let one = key(&format!("/cities/7?q={long}1"), &[]);
    let other = key(&format!("/cities/7?q={long}2"), &[]);
    assert!(one.starts_with("/cities/7 ##") && one.len() <= MAX_KEY_BYTES);
    assert_ne!(one, other);
    let host = key("/cities/7", &[("host", &one["/cities/7 ".len()..])]);
    assert_ne!(host, one);
    assert_eq!(key_by(rule(), &format!("/{long}"), &[]), None);
}

#[test]
fn a_path_pattern_takes_all_variants_of_a_path_and_no_other_path() {
    let pattern = |path: &str| Pattern::new(path_pattern(path)).unwrap();
    let cities = pattern(&path_literal("/cities*"));
    assert!(cities.matches(&key("/cities*?page=2", &[("host", "a")])));
    assert!(!cities.matches(&key("/cities/7", &[])));
    assert!(pattern("/cities/*").matches(&key("/cities/7?x=1", &[])));
    assert!(!pattern("/cities/*").matches(&key("/cities", &[("host", "/x")])));
}

#[test]
fn a_glob_over_paths_matches_them_as_they_stand_in_keys() {
    let matches = |glob: &str, uri: &str| {
        let pattern = Pattern::new(path_pattern(&path_glob(glob))).unwrap();
        pattern.matches(&key(uri, &[("host", "a")]))
    };
    assert!(matches("/s\u{e3}o/*", "/s%C3%A3o/1") && matches("/s%c3%a3o/*", "/s%C3%A3o/1"));
    assert!(matches("/c%69ty/*", "/city/7") && !matches("/c%69ty/*", "/town/7"));
    assert!(matches("/[ab]/*", "/b/1") && !matches("/[ab]/*", "/c/1"));
    assert!(matches("/\\*/7", "/*/7") && !matches("/\\*/7", "/a/7"));
}

#[test]
fn a_long_url_has_a_tag_of_its_own() {
    let (one, other) = (
        url_tag(&format!("/{:0300}", 1)),
        url_tag(&format!("/{:0300}", 2)),
    );
    assert_ne!(one, other);
    assert!(one.len() <= MAX_TAG_BYTES);
    assert_eq!(url_tag("/cities/7"), "http:/cities/7");
}

#[test]
fn parameters_that_do_not_matter_are_not_in_the_key() {
    let key = |uri| key_by(rule().query(Query::only(["page"])), uri, &[]).unwrap();
    assert_eq!(key("/x?page=2&utm=1"), key("/x?utm=2&page=2"));
    assert_ne!(key("/x?page=2"), key("/x?page=3"));
}
