//! Nobody sees another's page, and nothing is shared that says it is not for others.

use cache_tower::Rule;
use http::StatusCode;

use crate::support::*;

/// Asks twice; whether the second answer came from the cache.
async fn is_shared(rule: Rule, response: &'static [(&str, &str)], asked: &[(&str, &str)]) -> bool {
    let (origin, calls) = numbered(response);
    let site = site(rule, origin);
    text(get_with(&site, "/a", asked).await).await;
    let again = get_with(&site, "/a", asked).await;
    let hit = is_hit(&again);
    assert_eq!(calls.count(), if hit { 1 } else { 2 }, "{}", status(&again));
    hit
}

#[tokio::test]
async fn a_plain_response_is_shared() {
    assert!(is_shared(rule(), &[], &[]).await);
    assert!(is_shared(rule(), &[("cache-control", "public")], &[]).await);
}

#[tokio::test]
async fn a_response_that_sets_a_cookie_is_not_shared() {
    assert!(!is_shared(rule(), &[("set-cookie", "id=alice")], &[]).await);
}

#[tokio::test]
async fn a_response_that_says_private_no_store_or_no_cache_is_not_shared() {
    assert!(!is_shared(rule(), &[("cache-control", "private, max-age=60")], &[]).await);
    assert!(!is_shared(rule(), &[("cache-control", "no-store")], &[]).await);
    assert!(!is_shared(rule(), &[("cache-control", "no-cache")], &[]).await);
    let stubborn = rule().override_ttl();
    assert!(!is_shared(stubborn, &[("cache-control", "private")], &[]).await);
}

#[tokio::test]
async fn a_response_whose_cache_control_cannot_be_read_is_not_shared() {
    for says in [
        &[("cache-control", "private; max-age=60")],
        &[("cache-control", "max-age=60\", private")],
        &[("cache-control", "x=\"a, no-store")],
        &[("cache-control", "private max-age=60")],
        &[("cache-control", "max-age=60 private")],
    ] {
        let stubborn = rule().override_ttl();
        assert!(!is_shared(rule(), says, &[]).await, "{says:?}");
        assert!(!is_shared(stubborn, says, &[]).await, "{says:?}");
    }
}

#[tokio::test]
async fn a_response_that_says_so_to_caches_of_this_kind_is_not_shared() {
    for says in [
        &[
            ("cdn-cache-control", "no-store"),
            ("cache-control", "max-age=60"),
        ],
        &[
            ("surrogate-control", "no-store"),
            ("cache-control", "max-age=60"),
        ],
    ] {
        assert!(!is_shared(rule(), says, &[]).await, "{says:?}");
    }
    assert!(is_shared(rule(), &[("surrogate-control", "max-age=60")], &[]).await);
}

#[tokio::test]
async fn a_response_to_a_request_with_authorization_is_not_shared() {
    let asked = [("authorization", "Bearer alice")];
    assert!(!is_shared(rule(), &[], &asked).await);
    assert!(is_shared(rule().share_authorized(), &[], &asked).await);
}

#[tokio::test]
async fn a_response_to_a_request_with_cookies_is_not_shared_unless_the_rule_says_so() {
    let asked = [("cookie", "id=alice")];
    assert!(!is_shared(rule(), &[], &asked).await);
    assert!(is_shared(rule().ignore_cookies(), &[], &asked).await);
    assert!(is_shared(rule().vary_cookie("theme"), &[], &asked).await);
}

#[tokio::test]
async fn a_user_is_never_shown_what_is_stored_for_strangers_or_another_user() {
    let (origin, _) = origin(|request| async move {
        let user = request.headers().get("authorization").cloned();
        let user = user.map_or("nobody".to_owned(), |user| {
            user.to_str().unwrap().to_owned()
        });
        Ok(with_fields(user, &[]))
    });
    let site = site(rule(), origin);
    let page_of = |user: &'static str| {
        let site = site.clone();
        async move { text(get_with(&site, "/a", &[("authorization", user)]).await).await }
    };
    assert_eq!(get_text(&site, "/a").await, "nobody");
    assert_eq!(page_of("alice").await, "alice");
    assert_eq!(page_of("bob").await, "bob");
    assert_eq!(get_text(&site, "/a").await, "nobody");
}

#[tokio::test]
async fn each_user_has_pages_of_their_own_where_the_key_says_who_asks() {
    let (origin, calls) = numbered(&[("vary", "authorization")]);
    let site = site(rule().vary_header("authorization"), origin);
    let page_of = async |user| text(get_with(&site, "/a", &[("authorization", user)]).await).await;
    assert_eq!(page_of("alice").await, "answer 1");
    assert_eq!(page_of("bob").await, "answer 2");
    assert_eq!(page_of("alice").await, "answer 1");
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn a_response_that_varies_by_what_is_not_in_the_key_is_not_shared() {
    let vary = &[("vary", "accept-language")];
    assert!(!is_shared(rule(), vary, &[]).await);
    assert!(is_shared(rule().vary_header("accept-language"), vary, &[]).await);
    let all = rule().vary_header("accept-language");
    assert!(!is_shared(all, &[("vary", "*")], &[]).await);
}

#[tokio::test]
async fn a_stored_response_is_not_shown_to_who_asks_for_another_variant() {
    let (origin, _) = origin(|request| async move {
        let language = request.headers()["accept-language"]
            .to_str()
            .unwrap()
            .to_owned();
        Ok(with_fields(language, &[("vary", "Accept-Language")]))
    });
    let site = site(rule().vary_header("accept-language"), origin);
    for _ in 0..2 {
        for language in ["de", "en", "fr"] {
            let answer = get_with(&site, "/a", &[("accept-language", language)]).await;
            assert_eq!(text(answer).await, language);
        }
    }
}

#[tokio::test]
async fn only_statuses_of_the_rule_are_stored() {
    for (code, admitted) in [(404, false), (500, false), (301, false), (200, true)] {
        let code = StatusCode::from_u16(code).unwrap();
        let (origin, calls) = origin(move |_| async move { Ok(of_status(code)) });
        let site = site(rule(), origin);
        for _ in 0..2 {
            assert_eq!(get(&site, "/a").await.status(), code);
        }
        assert_eq!(calls.count() == 1, admitted, "{code}");
    }
    let (origin, calls) = origin(|_| async { Ok(of_status(StatusCode::NOT_FOUND)) });
    let site = site(rule().statuses([StatusCode::NOT_FOUND]), origin);
    text(get(&site, "/a").await).await;
    assert_eq!(get(&site, "/a").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn parts_and_not_modified_answers_are_never_stored() {
    for code in [StatusCode::PARTIAL_CONTENT, StatusCode::NOT_MODIFIED] {
        let (origin, calls) = origin(move |_| async move { Ok(of_status(code)) });
        let site = site(rule(), origin);
        get(&site, "/a").await;
        get(&site, "/a").await;
        assert_eq!(calls.count(), 2);
    }
}

#[tokio::test]
async fn requests_for_parts_and_with_conditions_are_for_the_service() {
    let (origin, calls) = numbered(&[]);
    let site = site(rule(), origin);
    assert_eq!(get_text(&site, "/a").await, "answer 1");
    for (name, value) in [
        ("range", "bytes=0-1"),
        ("if-none-match", "\"a\""),
        ("if-modified-since", "Fri, 20 Nov 2026 06:30:00 GMT"),
    ] {
        let before = calls.count();
        let answer = get_with(&site, "/a", &[(name, value)]).await;
        assert!(
            status(&answer).contains("fwd=bypass"),
            "{}",
            status(&answer)
        );
        assert_eq!(calls.count(), before + 1);
    }
    assert_eq!(get_text(&site, "/a").await, "answer 1");
}

#[tokio::test]
async fn fields_of_the_connection_are_not_stored_and_all_others_are() {
    let (origin, _) = numbered(&[
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("etag", "\"a\""),
        ("content-encoding", "br"),
        ("link", "</a>"),
        ("link", "</b>"),
    ]);
    let site = site(rule(), origin);
    text(get(&site, "/a").await).await;
    let hit = get(&site, "/a").await;
    assert!(is_hit(&hit));
    let names = ["connection", "x-hop", "keep-alive"];
    assert!(names.iter().all(|name| !hit.headers().contains_key(*name)));
    assert_eq!(hit.headers()["etag"], "\"a\"");
    assert_eq!(hit.headers()["content-encoding"], "br");
    assert_eq!(hit.headers().get_all("link").iter().count(), 2);
}

#[tokio::test]
async fn a_hit_equals_the_first_answer_but_for_age_and_cache_status() {
    let (origin, _) = numbered(&[("etag", "\"a\""), ("content-type", "text/plain")]);
    let site = site(rule(), origin);
    let mut first = get(&site, "/a").await;
    let mut heads = vec![first.headers().clone()];
    assert_eq!(next(&mut first).await.unwrap().unwrap(), "answer 1");
    let hit = get(&site, "/a").await;
    heads.push(hit.headers().clone());
    assert_eq!(
        (hit.status(), text(hit).await),
        (StatusCode::OK, "answer 1".to_owned())
    );
    for head in &mut heads {
        head.remove("age");
        head.remove("cache-status");
    }
    assert_eq!(heads[0], heads[1]);
    assert!(heads[0].contains_key("date"));
}
