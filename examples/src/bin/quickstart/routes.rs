//! The HTTP side: which URL asks the repository what, and what of it is cached as a page.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use cache_core::Cache;
use cache_tower::{CacheLayer, Rule};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cities::{Cities, City, CountryFacts, Neighbour};
use crate::database::DatabaseError;

/// How long a page is kept, unless a change to what it shows comes first.
const PAGE_TTL: Duration = Duration::from_secs(60);

/// The service.
pub(crate) fn router(cities: Cities, cache: Cache) -> cache_core::Result<Router> {
    Ok(Router::new()
        .route("/cities/{id}", get(get_city).put(put_city))
        .route("/cities/{id}/nearest", get(get_nearest))
        .route("/countries/{country}", get(get_country))
        .route("/countries/{country}/cities", get(get_cities))
        .layer(pages(cache)?)
        .route("/stats", get(get_stats))
        .with_state(cities))
}

/// Which responses are kept. They carry the tags of the functions that they are made from, so
/// that a change needs to know of neither.
fn pages(cache: Cache) -> cache_core::Result<CacheLayer> {
    let page = |route| Rule::get(route).ttl(PAGE_TTL).ignore_host();
    CacheLayer::builder(cache)
        .rule(page("/cities/{id}").tag("city:{id}"))
        .rule(page("/cities/{id}/nearest").tag("nearest"))
        .rule(page("/countries/{country}").tag("country:{country}"))
        .rule(page("/countries/{country}/cities").tag("country:{country}"))
        .build()
}

/// What a handler answers instead, when it cannot answer what was asked.
enum Failure {
    NotFound,
    Database(DatabaseError),
}

async fn get_city(
    State(cities): State<Cities>,
    Path(id): Path<u32>,
) -> Result<Json<City>, Failure> {
    cities
        .get_city(id)
        .await?
        .map(Json)
        .ok_or(Failure::NotFound)
}

/// What `PUT /cities/{id}` can change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    altitude: Option<f64>,
}

async fn put_city(
    State(cities): State<Cities>,
    Path(id): Path<u32>,
    Json(change): Json<Change>,
) -> Result<Json<City>, Failure> {
    let mut city = cities.stored_city(id).await?.ok_or(Failure::NotFound)?;
    city.name = change.name.unwrap_or(city.name);
    city.altitude = change.altitude.or(city.altitude);
    cities.save_city(city.clone()).await?;
    Ok(Json(city))
}

async fn get_nearest(
    State(cities): State<Cities>,
    Path(id): Path<u32>,
) -> Result<Json<Vec<Neighbour>>, Failure> {
    Ok(Json(cities.nearest(id).await?))
}

async fn get_country(
    State(cities): State<Cities>,
    Path(country): Path<String>,
) -> Result<Json<CountryFacts>, Failure> {
    let facts = cities.country_facts(&country).await?;
    facts.map(Json).ok_or(Failure::NotFound)
}

async fn get_cities(
    State(cities): State<Cities>,
    Path(country): Path<String>,
) -> Result<Json<Vec<City>>, Failure> {
    Ok(Json(cities.cities_of(&country).await?))
}

async fn get_stats(State(cities): State<Cities>) -> Json<Value> {
    Json(json!({ "sql_queries": cities.database().queries() }))
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "there is no such thing here".into()),
            Self::Database(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        };
        (status, Json(json!({ "error": message }))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::database::Database;

    /// A service whose pages are in the cache that `#[cached]` functions use, as at start-up.
    fn service() -> Router {
        let database = Database::of_cities().unwrap();
        router(Cities::new(database), Cache::global()).unwrap()
    }

    async fn send(service: &Router, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if !body.is_empty() {
            // A GET that describes a body is not answered from the cache.
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn get(service: &Router, path: &str) -> (StatusCode, Value) {
        send(service, "GET", path, "").await
    }

    #[tokio::test]
    async fn a_change_reaches_what_carries_a_tag_that_needs_escaping_in_a_url() {
        let service = service();
        let country = "/countries/Korea,%20South";
        let (_, cities) = get(&service, &format!("{country}/cities")).await;
        get(&service, country).await;
        let path = format!("/cities/{}", cities[0]["id"]);
        send(&service, "PUT", &path, r#"{ "altitude": 9000 }"#).await;
        let (_, facts) = get(&service, country).await;
        assert_eq!(facts["highest_city"], cities[0]["name"]);
        let (_, changed) = get(&service, &format!("{country}/cities")).await;
        assert_eq!(changed[0]["altitude"], 9_000.0);
    }

    #[tokio::test]
    async fn what_a_change_leaves_out_stays_as_it_is() {
        let service = service();
        let (_, before) = get(&service, "/cities/77").await;
        let (_, saved) = send(&service, "PUT", "/cities/77", r#"{ "name": "New" }"#).await;
        let (_, after) = get(&service, "/cities/77").await;
        assert_eq!(after, saved);
        assert_eq!(after["name"], "New");
        assert_eq!(after["altitude"], before["altitude"]);
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_found() {
        let service = service();
        for path in ["/cities/0", "/countries/Atlantis"] {
            assert_eq!(get(&service, path).await.0, StatusCode::NOT_FOUND);
        }
    }
}
