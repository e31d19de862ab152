//! Different questions have different answers.

use cache_tower::Query;

use crate::support::*;

/// A service whose answer is the URI and the host that it was asked for.
fn echo() -> (Origin, Calls) {
    origin(|request| async move {
        let host = request.headers().get("host").cloned();
        let host = host.map_or(String::new(), |host| host.to_str().unwrap().to_owned());
        Ok(with_fields(format!("{host}{}", request.uri()), &[]))
    })
}

#[tokio::test]
async fn path_and_query_are_keyed() {
    let (origin, calls) = echo();
    let site = site(rule(), origin);
    for _ in 0..2 {
        for uri in [
            "/a",
            "/b",
            "/a/b",
            "/a?x=1",
            "/a?x=2",
            "/a?",
            "/a?x=1&x=2",
            "/a?x=2&x=1",
        ] {
            assert_eq!(get_text(&site, uri).await, uri);
        }
    }
    assert_eq!(calls.count(), 8);
}

#[tokio::test]
async fn the_host_is_keyed() {
    let (origin, _) = echo();
    let site = site(rule(), origin);
    for _ in 0..2 {
        for host in ["a.example", "b.example"] {
            let answer = get_with(&site, "/a", &[("host", host)]).await;
            assert_eq!(text(answer).await, format!("{host}/a"));
        }
    }
    let (origin, calls) = echo();
    let site = crate::support::site(rule().ignore_host(), origin);
    for host in ["a.example", "b.example"] {
        text(get_with(&site, "/a", &[("host", host)]).await).await;
    }
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn the_scheme_is_keyed() {
    let (origin, calls) = echo();
    let site = site(rule(), origin);
    for _ in 0..2 {
        for uri in ["http://h.example/a", "https://h.example/a"] {
            assert_eq!(get_text(&site, uri).await, uri);
        }
    }
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn a_parameter_that_may_be_read_as_two_is_keyed() {
    for query in [Query::only(["id"]), Query::except(["utm"])] {
        let (origin, _) = echo();
        let site = site(rule().query(query), origin);
        for uri in ["/a?utm=1;id=5", "/a?utm=1;id=6", "/a?utm=1", "/a"] {
            let answer = get(&site, uri).await;
            let shares = uri == "/a?utm=1" || uri == "/a";
            assert!(text(answer).await == uri || shares, "{uri}");
        }
    }
}

#[tokio::test]
async fn the_order_of_different_parameters_does_not_matter() {
    let (origin, calls) = echo();
    let site = site(rule(), origin);
    get_text(&site, "/a?x=1&y=2").await;
    get_text(&site, "/a?y=2&x=1").await;
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn parameters_that_do_not_matter_are_not_keyed() {
    let (origin, calls) = echo();
    let site = site(rule().query(Query::except(["utm_source"])), origin);
    get_text(&site, "/a?page=1&utm_source=x").await;
    get_text(&site, "/a?page=1&utm_source=y").await;
    assert_eq!(calls.count(), 1);
    get_text(&site, "/a?page=2").await;
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn header_fields_and_cookies_that_the_rule_names_are_keyed() {
    let (origin, calls) = numbered(&[]);
    let rule = rule().vary_header("accept").vary_cookie("theme");
    let site = site(rule, origin);
    let asked = async |accept, cookie| {
        let fields = [("accept", accept), ("cookie", cookie)];
        text(get_with(&site, "/a", &fields).await).await
    };
    assert_eq!(asked("text/html", "theme=dark; id=1").await, "answer 1");
    assert_eq!(asked("text/html", "id=2; theme=dark").await, "answer 1");
    assert_eq!(asked("text/html", "theme=light").await, "answer 2");
    assert_eq!(asked("text/json", "theme=light").await, "answer 3");
    assert_eq!(calls.count(), 3);
}

#[tokio::test]
async fn an_escaped_path_is_not_taken_for_the_path_that_it_escapes() {
    let (origin, _) = echo();
    let site = site(rule(), origin);
    assert_eq!(get_text(&site, "/%61").await, "/%61");
    assert_eq!(get_text(&site, "/a").await, "/a");
}

#[tokio::test]
async fn a_request_without_a_key_is_passed_on() {
    let (origin, calls) = echo();
    let site = site(rule(), origin);
    let long = format!("/{}", "x".repeat(2_000));
    for _ in 0..2 {
        let answer = get(&site, &long).await;
        assert_eq!(status(&answer), "cache-core; fwd=bypass; detail=no-key");
        assert_eq!(text(answer).await, long);
    }
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn a_long_query_is_keyed_in_whole() {
    let (origin, calls) = echo();
    let site = site(rule(), origin);
    let uri = |last| format!("/a?q={}{last}", "x".repeat(2_000));
    for _ in 0..2 {
        assert_eq!(get_text(&site, &uri(1)).await, uri(1));
        assert_eq!(get_text(&site, &uri(2)).await, uri(2));
    }
    assert_eq!(calls.count(), 2);
}
