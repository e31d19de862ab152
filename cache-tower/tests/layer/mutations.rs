//! Requests that change something make go what they changed, when they have succeeded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::testkit::Gate;
use cache_core::{Cache, EntryOptions};
use cache_tower::{CacheLayer, CacheLayerBuilder, Invalidation, Rule};
use http::{Method, StatusCode};
use tower::Layer;

use crate::stores;
use crate::support::*;

/// Rules for cities and for lists of cities.
fn cities(cache: Cache) -> CacheLayerBuilder {
    CacheLayer::builder(cache)
        .rule(Rule::get("/cities/{id}").ttl(MINUTE).tag("city:{id}"))
        .rule(Rule::get("/cities").ttl(MINUTE))
        .rule(Rule::get("/mayors/{id}").ttl(MINUTE).tag("city:{id}"))
}

fn put() -> Invalidation {
    Invalidation::on(Method::PUT, "/cities/{id}")
}

/// A service that answers GET by number and all else with this status.
fn changing(code: StatusCode) -> Origin {
    let (answers, _) = numbered(&[]);
    let (origin, _) = origin(move |request| {
        let answers = answers.clone();
        async move {
            if request.method() == Method::GET {
                return tower::ServiceExt::oneshot(answers, request).await;
            }
            Ok(of_status(code))
        }
    });
    origin
}

async fn is_stored(site: &Site, uri: &str) -> bool {
    is_hit(&get(site, uri).await)
}

async fn fill(site: &Site, uris: &[&str]) {
    for uri in uris {
        get_text(site, uri).await;
        assert!(is_stored(site, uri).await, "{uri}");
    }
}

async fn change(site: &Site, method: Method, uri: &str) -> Answer {
    ask(site, request(method, uri, &[])).await
}

#[tokio::test]
async fn a_change_makes_go_what_the_rule_names() {
    let layer = cities(Cache::memory())
        .invalidate(put().path("/cities").tag("city:{id}"))
        .build()
        .unwrap();
    let site = layer.layer(changing(StatusCode::NO_CONTENT));
    fill(
        &site,
        &[
            "/cities/7",
            "/cities/8",
            "/cities",
            "/mayors/7",
            "/mayors/8",
        ],
    )
    .await;
    let answer = change(&site, Method::PUT, "/cities/7").await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(status(&answer), "cache-core; fwd=method");
    assert!(is_stored(&site, "/cities/8").await && is_stored(&site, "/mayors/8").await);
    assert!(!is_stored(&site, "/cities/7").await && !is_stored(&site, "/mayors/7").await);
    assert!(!is_stored(&site, "/cities").await);
}

#[tokio::test]
async fn a_change_that_failed_makes_nothing_go() {
    for code in [StatusCode::CONFLICT, StatusCode::INTERNAL_SERVER_ERROR] {
        let layer = cities(Cache::memory()).invalidate(put().path("/cities"));
        let site = layer.build().unwrap().layer(changing(code));
        fill(&site, &["/cities/7", "/cities"]).await;
        change(&site, Method::PUT, "/cities/7").await;
        assert!(is_stored(&site, "/cities/7").await && is_stored(&site, "/cities").await);
    }
}

#[tokio::test]
async fn the_target_itself_goes_without_a_rule() {
    for method in ["PUT", "POST", "DELETE", "PATCH", "REBUILD"] {
        let layer = cities(Cache::memory()).build().unwrap();
        let site = layer.layer(changing(StatusCode::SEE_OTHER));
        fill(&site, &["/cities/7", "/cities/8"]).await;
        change(&site, method.parse().unwrap(), "/cities/7").await;
        assert!(!is_stored(&site, "/cities/7").await, "{method}");
        assert!(is_stored(&site, "/cities/8").await);
    }
}

#[tokio::test]
async fn a_path_goes_with_every_query_host_and_variant() {
    let rule = Rule::get("/cities").ttl(MINUTE).vary_header("accept");
    let layer = CacheLayer::builder(Cache::memory())
        .rule(rule)
        .invalidate(put().path("/cities"));
    let site = layer.build().unwrap().layer(changing(StatusCode::OK));
    let questions: [(&str, &[(&str, &str)]); 4] = [
        ("/cities", &[]),
        ("/cities?page=2", &[]),
        ("/cities", &[("host", "b.example")]),
        ("/cities", &[("accept", "text/html")]),
    ];
    for (uri, fields) in questions {
        text(get_with(&site, uri, fields).await).await;
        assert!(is_hit(&get_with(&site, uri, fields).await));
    }
    change(&site, Method::PUT, "/cities/7").await;
    for (uri, fields) in questions {
        assert!(
            !is_hit(&get_with(&site, uri, fields).await),
            "{uri} {fields:?}"
        );
    }
}

#[tokio::test]
async fn paths_go_by_pattern() {
    let layer = cities(Cache::memory())
        .invalidate(Invalidation::on_any("/imports").path_pattern("/cities/*"));
    let site = layer.build().unwrap().layer(changing(StatusCode::OK));
    fill(&site, &["/cities/7", "/cities/8?x=1", "/mayors/7"]).await;
    change(&site, Method::POST, "/imports").await;
    assert!(!is_stored(&site, "/cities/7").await && !is_stored(&site, "/cities/8?x=1").await);
    assert!(is_stored(&site, "/mayors/7").await);
}

#[tokio::test]
async fn one_tag_reaches_functions_and_responses_alike() {
    let cache = Cache::memory();
    let function = cache.namespace("functions");
    let layer = cities(cache.clone()).invalidate(put().tag("city:{id}"));
    let site = layer.build().unwrap().layer(changing(StatusCode::OK));
    let tagged = || EntryOptions::new().tag("city:7");
    let load = async || Ok::<_, cache_core::Error>("Oslo".to_owned());
    function
        .get_or_set_with("get_city:7", tagged(), load)
        .await
        .unwrap();
    fill(&site, &["/mayors/7"]).await;
    change(&site, Method::PUT, "/cities/7").await;
    assert!(!is_stored(&site, "/mayors/7").await);
    assert_eq!(function.get::<String>("get_city:7").await.unwrap(), None);
    assert!(is_stored(&site, "/mayors/7").await);
    cache.invalidate_tag("city:7").await.unwrap();
    assert!(!is_stored(&site, "/mayors/7").await);
}

#[tokio::test]
async fn the_keys_of_functions_go_by_pattern_whatever_the_type_of_the_argument() {
    let cache = Cache::memory();
    let users = cache.namespace("users");
    let layer = cities(cache.clone()).invalidate(
        put()
            .key_pattern("cities:get_city:{id}")
            .key_pattern_in(&users, "*:{id}"),
    );
    let site = layer.build().unwrap().layer(changing(StatusCode::OK));
    let key = |argument: &dyn Fn(&mut cache_core::KeyWriter)| {
        let mut key = cache_core::KeyWriter::new();
        key.literal("cities:get_city:");
        argument(&mut key);
        key.as_str().to_owned()
    };
    let number = key(&|key| key.part(&7_u32).unwrap());
    let name = key(&|key| key.part("7").unwrap());
    let other = key(&|key| key.part(&77_u32).unwrap());
    for key in [&number, &name, &other] {
        cache.set(key, "Oslo").await.unwrap();
    }
    users.set("mayor_of:7", "Anne").await.unwrap();
    change(&site, Method::PUT, "/cities/7").await;
    assert!(!cache.exists(&number).await.unwrap() && !cache.exists(&name).await.unwrap());
    assert!(cache.exists(&other).await.unwrap());
    assert!(!users.exists("mayor_of:7").await.unwrap());
}

#[tokio::test]
async fn one_number_written_in_two_ways_is_one_city() {
    let layer = cities(Cache::memory()).invalidate(put().tag("city:{id}"));
    let site = layer.build().unwrap().layer(changing(StatusCode::OK));
    fill(&site, &["/cities/007", "/cities/7"]).await;
    change(&site, Method::PUT, "/cities/07").await;
    assert!(!is_stored(&site, "/cities/7").await && !is_stored(&site, "/cities/007").await);
}

#[tokio::test]
async fn an_escaped_target_is_the_same_target() {
    let layer = cities(Cache::memory()).build().unwrap();
    let site = layer.layer(changing(StatusCode::OK));
    fill(&site, &["/cities/oslo"]).await;
    change(&site, Method::PUT, "/cities/%6Fslo").await;
    assert!(!is_stored(&site, "/cities/oslo").await);
}

#[tokio::test]
async fn a_target_whose_route_is_escaped_is_the_same_target() {
    let layer = cities(Cache::memory()).invalidate(put().path("/cities"));
    let site = layer.build().unwrap().layer(changing(StatusCode::OK));
    fill(&site, &["/cities/7", "/cities"]).await;
    change(&site, Method::PUT, "/%63ities/7").await;
    assert!(!is_stored(&site, "/cities/7").await && !is_stored(&site, "/cities").await);
}

#[tokio::test]
async fn a_path_goes_in_every_form_in_which_it_was_asked_for() {
    let layer = cities(Cache::memory()).invalidate(put().path("/mayors/{id}"));
    let site = layer.build().unwrap().layer(changing(StatusCode::OK));
    let forms = ["/mayors/007", "/mayors/%2B7", "/cities/007", "/cities/7"];
    fill(&site, &forms).await;
    change(&site, Method::PUT, "/cities/7").await;
    for form in forms {
        assert!(!is_stored(&site, form).await, "{form}");
    }
}

/// A page is asked for while the results of functions go, which takes a while.
async fn a_page_of_an_old_function_result_does_not_outlive_the_change(
    gate: Gate,
    pages: Cache,
    functions: Cache,
) {
    let row = Arc::new(AtomicUsize::new(1));
    let (cache, stored) = (functions.clone(), Arc::clone(&row));
    let (origin, _) = origin(move |request| {
        let (cache, row) = (cache.clone(), Arc::clone(&stored));
        async move {
            if request.method() == Method::PUT {
                row.store(2, Ordering::SeqCst);
                return Ok(with_fields("", &[]));
            }
            let load = async || Ok::<_, cache_core::Error>(row.load(Ordering::SeqCst) as u64);
            let city = cache.get_or_set("get_city:7", load).await.unwrap();
            Ok(with_fields(format!("{city}"), &[]))
        }
    });
    let rule = put().key_pattern_in(&functions, "get_city:{id}");
    let site = cities(pages).invalidate(rule).build().unwrap();
    let site = site.layer(origin);
    assert_eq!(get_text(&site, "/cities/7").await, "1");
    let client = tokio::spawn({
        let site = site.clone();
        async move { change(&site, Method::PUT, "/cities/7").await }
    });
    soon(gate.entered()).await;
    get_text(&site, "/cities/7").await;
    gate.open();
    assert_eq!(status(&client.await.unwrap()), "cache-core; fwd=method");
    assert_eq!(get_text(&site, "/cities/7").await, "2");
}

#[tokio::test]
async fn a_page_does_not_outlive_what_it_is_made_of_in_the_same_cache() {
    let (gate, cache) = stores::slow_invalidation();
    let functions = cache.namespace("functions");
    a_page_of_an_old_function_result_does_not_outlive_the_change(gate, cache, functions).await;
}

#[tokio::test]
async fn a_page_does_not_outlive_what_it_is_made_of_in_another_cache() {
    let (gate, functions) = stores::slow_invalidation();
    let pages = Cache::memory();
    a_page_of_an_old_function_result_does_not_outlive_the_change(gate, pages, functions).await;
}

/// A service that changes what GET answers, and then ends its PUT in this way.
fn ending<F>(end: F) -> Origin
where
    F: Fn() -> Result<http::Response<TestBody>, Broken> + Clone + Send + Sync + 'static,
{
    let row = Arc::new(AtomicUsize::new(1));
    let (origin, _) = origin(move |request| {
        let (row, end) = (Arc::clone(&row), end.clone());
        async move {
            if request.method() == Method::PUT {
                row.fetch_add(1, Ordering::SeqCst);
                return end();
            }
            Ok(with_fields(row.load(Ordering::SeqCst).to_string(), &[]))
        }
    });
    origin
}

async fn put_city(site: &Site) -> Result<Answer, Broken> {
    let request = request(Method::PUT, "/cities/7", &[]);
    tower::ServiceExt::oneshot(site.clone(), request).await
}

#[tokio::test]
async fn a_change_that_ends_in_an_error_of_the_service_makes_go_what_it_may_have_changed() {
    let layer = cities(Cache::memory()).build().unwrap();
    let site = layer.layer(ending(|| Err(Broken)));
    assert_eq!(get_text(&site, "/cities/7").await, "1");
    assert_eq!(put_city(&site).await.unwrap_err(), Broken);
    assert_eq!(get_text(&site, "/cities/7").await, "2");
}

#[tokio::test]
async fn a_change_that_ends_in_a_panic_makes_go_what_it_may_have_changed() {
    let layer = cities(Cache::memory()).build().unwrap();
    let site = layer.layer(ending(|| panic!("on purpose")));
    assert_eq!(get_text(&site, "/cities/7").await, "1");
    let client = tokio::spawn({
        let site = site.clone();
        async move { put_city(&site).await.map(drop) }
    });
    let fallen = client.await.unwrap_err().into_panic();
    assert_eq!(*fallen.downcast::<&str>().unwrap(), "on purpose");
    assert_eq!(get_text(&site, "/cities/7").await, "2");
}

#[tokio::test]
async fn a_change_whose_outcome_a_gateway_does_not_know_makes_go_what_it_may_have_changed() {
    for code in [
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ] {
        let layer = cities(Cache::memory()).build().unwrap();
        let site = layer.layer(ending(move || Ok(of_status(code))));
        assert_eq!(get_text(&site, "/cities/7").await, "1");
        assert_eq!(put_city(&site).await.unwrap().status(), code);
        assert_eq!(get_text(&site, "/cities/7").await, "2");
    }
}

#[tokio::test]
async fn what_the_answer_names_as_changed_goes() {
    let (answers, _) = numbered(&[("location", "/cities/7")]);
    let layer = cities(Cache::memory()).build().unwrap();
    let site = layer.layer(answers);
    fill(&site, &["/cities/7", "/cities/8"]).await;
    change(&site, Method::POST, "/cities").await;
    assert!(!is_stored(&site, "/cities/7").await && is_stored(&site, "/cities/8").await);
}

#[tokio::test]
async fn a_change_that_concerns_nothing_cached_passes_untouched() {
    let layer = cities(Cache::memory()).build().unwrap();
    let site = layer.layer(changing(StatusCode::OK));
    let answer = change(&site, Method::POST, "/login").await;
    assert!(answer.headers().is_empty());
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_keep_the_invalidation() {
    let (gate, held) = Gate::new();
    let answers = changing(StatusCode::OK);
    let (origin, _) = origin(move |request| {
        let (held, answers) = (held.clone(), answers.clone());
        async move {
            if request.method() == Method::PUT {
                held.pass().await;
            }
            tower::ServiceExt::oneshot(answers, request).await
        }
    });
    let layer = cities(Cache::memory()).build().unwrap();
    let site = layer.layer(origin);
    fill(&site, &["/cities/7"]).await;
    let client = tokio::spawn({
        let site = site.clone();
        async move { change(&site, Method::PUT, "/cities/7").await }
    });
    gate.entered().await;
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    assert!(is_stored(&site, "/cities/7").await);
    gate.open();
    let gone = async {
        while is_stored(&site, "/cities/7").await {
            tokio::task::yield_now().await;
        }
    };
    soon(gone).await;
}
