//! Rules as they are checked and looked up.

use std::time::Duration;

use cache_core::ErrorKind;
use http::StatusCode;

use super::*;

fn compile(rules: Vec<Rule>, invalidations: Vec<Invalidation>) -> Result<Rules> {
    Rules::compile(rules, invalidations, &Cache::memory(), 1_024)
}

fn refused(rules: Vec<Rule>, invalidations: Vec<Invalidation>) -> String {
    let error = compile(rules, invalidations).err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    error.to_string()
}

#[test]
fn a_route_is_found_as_axum_finds_it() {
    let rules = vec![
        Rule::get("/cities/{id}"),
        Rule::get("/cities/new"),
        Rule::get("/files/{*path}"),
    ];
    let rules = compile(rules, vec![]).unwrap();
    let owner = |path| rules.get(path).map(|found| found.rule.owner);
    let distinct = ["/cities/7", "/cities/new", "/files/a/b"].map(owner);
    assert!(distinct.iter().all(Option::is_some));
    assert!(distinct[0] != distinct[1] && distinct[1] != distinct[2]);
    assert_eq!(owner("/cities/8"), distinct[0]);
    assert_eq!(owner("/files/"), None);
    assert_eq!(owner("/cities/7/"), None);
    let found = rules.get("/files/a/b").unwrap();
    assert_eq!(found.parameters.get("path"), Some("a/b"));
}

#[test]
fn rules_that_share_in_another_way_own_other_responses() {
    let rule = || Rule::get("/a");
    let rules = [
        rule(),
        Rule::get("/{a}"),
        rule().query(Query::Ignored),
        rule().query(Query::only(["a"])),
        rule().query(Query::except(["a"])),
        rule().ignore_host(),
        rule().vary_header("accept"),
        rule().vary_header("accept").vary_header("origin"),
        rule().vary_cookie("accept"),
        rule().ignore_cookies(),
        rule().share_authorized(),
    ];
    let owner = |rule| {
        let rules = compile(vec![rule], vec![]).unwrap();
        rules.get("/a").unwrap().rule.owner.as_u64()
    };
    let same = owner(rule().ttl(Duration::from_secs(1)).tag("a"));
    assert_eq!(owner(rule()), same);
    let owners: std::collections::HashSet<_> = rules.into_iter().map(owner).collect();
    assert_eq!(owners.len(), 11);
}

#[test]
fn a_broken_route_is_refused() {
    assert!(refused(vec![Rule::get("/a/{")], vec![]).contains("/a/{"));
    assert!(refused(vec![Rule::get("/{*a}/b")], vec![]).contains("Catch-all"));
    assert!(refused(vec![Rule::get("a")], vec![]).contains("begins with `/`"));
}

#[test]
fn two_rules_for_one_route_are_refused() {
    let twice = vec![Rule::get("/a/{id}"), Rule::get("/a/{name}")];
    let message = refused(twice, vec![]);
    assert!(
        message.contains("/a/{name}") && message.contains("/a/{id}"),
        "{message}"
    );
    let put = || Invalidation::on(Method::PUT, "/a").tag("a");
    refused(vec![], vec![put(), put()]);
    let different = vec![put(), Invalidation::on(Method::DELETE, "/a").tag("a")];
    assert!(compile(vec![], different).is_ok());
}

#[test]
fn a_placeholder_that_is_not_a_parameter_is_refused() {
    let message = refused(vec![Rule::get("/a/{id}").tag("a:{name}")], vec![]);
    assert!(message.contains("`{name}` in `a:{name}`"), "{message}");
    let put = || Invalidation::on(Method::PUT, "/a/{id}");
    refused(vec![], vec![put().path("/a/{name}")]);
    refused(vec![], vec![put().tag("a:{name}")]);
    refused(vec![], vec![put().key_pattern("a:{name}")]);
}

#[test]
fn options_that_cannot_work_are_refused() {
    refused(vec![Rule::get("/a").override_ttl()], vec![]);
    let partial = Rule::get("/a").statuses([StatusCode::PARTIAL_CONTENT]);
    assert!(refused(vec![partial], vec![]).contains("206"));
    refused(vec![Rule::get("/a").vary_header("*")], vec![]);
    refused(vec![Rule::get("/a").vary_header("a b")], vec![]);
    let put = || Invalidation::on(Method::PUT, "/a");
    refused(vec![], vec![put().key_pattern("a:[")]);
    refused(vec![], vec![put().path("b")]);
    assert!(refused(vec![], vec![put().path("/b/*")]).contains("path_pattern"));
    for query in [put().path("/b?page=1"), put().path_pattern("/b?*")] {
        assert!(refused(vec![], vec![query]).contains("`/b` goes with every query"));
    }
}

#[test]
fn an_invalidation_that_could_never_run_is_refused() {
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        let message = refused(vec![], vec![Invalidation::on(method, "/a").tag("a")]);
        assert!(message.contains("changes nothing"), "{message}");
    }
    let message = refused(vec![], vec![Invalidation::on_any("/a")]);
    assert!(message.contains("names nothing"), "{message}");
}

#[test]
fn a_text_of_too_many_forms_is_refused() {
    let route = "/{a}/{b}/{c}/{d}/{e}/{f}";
    let five = "{a}{b}{c}{d}{e}";
    let six = "{a}{b}{c}{d}{e}{f}";
    assert!(compile(vec![Rule::get(route).tag(five)], vec![]).is_ok());
    assert!(refused(vec![Rule::get(route).tag(six)], vec![]).contains("5 placeholders"));
    let put = || Invalidation::on(Method::PUT, route);
    refused(vec![], vec![put().tag(six)]);
    refused(vec![], vec![put().path(route)]);
    refused(vec![], vec![put().path_pattern(format!("{route}/*"))]);
    assert!(compile(vec![], vec![put().key_pattern(six)]).is_ok());
}

#[test]
fn a_tag_that_all_would_carry_or_none_can_is_refused() {
    refused(vec![Rule::get("/a").tag("")], vec![]);
    refused(vec![Rule::get("/a").tag("x".repeat(257))], vec![]);
    let put = Invalidation::on(Method::PUT, "/a").tag("");
    refused(vec![], vec![put]);
    assert!(compile(vec![Rule::get("/{a}").tag("{a}")], vec![]).is_ok());
}

#[test]
fn a_lifetime_that_the_response_states_comes_first() {
    let minute = Duration::from_secs(60);
    let stated = Some(Duration::from_secs(5));
    let lifetime = |rule: Rule| {
        let rules = compile(vec![rule], vec![]).unwrap();
        let rule = rules.get("/a").unwrap().rule;
        (rule.lifetime(stated), rule.lifetime(None))
    };
    let rule = || Rule::get("/a").ttl(minute);
    assert_eq!(lifetime(rule()), (stated, Some(minute)));
    assert_eq!(
        lifetime(rule().override_ttl()),
        (Some(minute), Some(minute))
    );
    assert_eq!(lifetime(Rule::get("/a")), (stated, None));
}

#[test]
fn the_rules_of_a_method_and_of_any_method_both_apply() {
    let invalidations = vec![
        Invalidation::on(Method::PUT, "/a/{id}").tag("put"),
        Invalidation::on_any("/a/{key}").tag("any"),
    ];
    let rules = compile(vec![], invalidations).unwrap();
    assert_eq!(rules.mutation(&Method::PUT, "/a/1").count(), 2);
    assert_eq!(rules.mutation(&Method::POST, "/a/1").count(), 1);
    assert_eq!(rules.mutation(&Method::PUT, "/b").count(), 0);
}
