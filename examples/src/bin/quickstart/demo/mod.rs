//! The tour: what the cache does, shown by requests to the running service.

mod client;
mod observed;
mod table;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::client::{Answer, Client, Result};
use self::observed::{Observed, counted};
use self::table::{Row, Table};

const COUNTRY: &str = "/countries/Germany";
/// Another page, so another response; the handler makes the same function call for it.
const SAME_COUNTRY: &str = "/countries/Germany?for=somebody-else";
const OTHER_COUNTRY: &str = "/countries/France";
const COLD_COUNTRY: &str = "/countries/Japan";
const COLD_CITY: &str = "/cities/4711";
const READERS: usize = 1_000;
/// Higher than any city of the data set, in metres.
const NEW_ALTITUDE: f64 = 9_000.0;

/// Makes the tour and prints its table; says whether every step showed what it should.
pub(crate) async fn run(server: SocketAddr) -> Result<bool> {
    allow_many_connections()?;
    let mut tour = Tour {
        client: Client::new(server),
        table: Table::default(),
    };
    let made = tour.make().await;
    print!("{}", tour.table);
    made.map(|()| tour.table.is_ok())
}

struct Tour {
    client: Client,
    table: Table,
}

impl Tour {
    async fn make(&mut self) -> Result<()> {
        self.read_twice().await?;
        self.read_another_page_of_the_same_function().await?;
        self.update().await?;
        self.let_a_herd_read_one_page().await?;
        self.let_a_herd_read_one_row().await
    }

    async fn read_twice(&mut self) -> Result<()> {
        let first = self.get(COUNTRY).await?;
        let row = first.row("first read", "miss, 1 query");
        self.table.push(row.and(first.is_miss(1)));

        let second = self.get(COUNTRY).await?;
        let times = ratio(first.answer.took, second.answer.took);
        let row = second.row("second read", "hit, 0 queries, same, faster");
        let row = row
            .and(second.is_hit())
            .and_show(first.answer.body == second.answer.body, "same", "DIFFERENT")
            .and_show(times > 1.0, format!("{times:.0} times faster"), "SLOWER");
        self.table.push(row);
        Ok(())
    }

    async fn read_another_page_of_the_same_function(&mut self) -> Result<()> {
        let page = self.get(SAME_COUNTRY).await?;
        let row = page.row("another URL, same function call", "miss, 0 queries");
        self.table.push(row.and(page.is_miss(0)));
        Ok(())
    }

    async fn update(&mut self) -> Result<()> {
        self.get(OTHER_COUNTRY).await?;
        let cities = self.client.get("/countries/Germany/cities").await?.body;
        let city = &cities[0];
        let path = format!("/cities/{}", city["id"]);
        let change = json!({ "altitude": NEW_ALTITUDE });
        let saved = self.client.put(&path, &change).await?;
        let altitude = &saved.body["altitude"];
        self.table.push(Row {
            step: "raise one city of the country",
            expected: "200, 9000.0 m",
            shown: format!("{}, {altitude} m", saved.status.as_u16()),
            took: saved.took,
            ok: saved.status == StatusCode::OK && *altitude == NEW_ALTITUDE,
        });
        self.read_again(&city["name"]).await
    }

    /// What was made from the city is fresh, in both worlds; the rest is still there.
    async fn read_again(&mut self, highest: &Value) -> Result<()> {
        let is_fresh = |facts: &Value| {
            facts["highest_city"] == *highest && facts["highest_altitude"] == NEW_ALTITUDE
        };
        let again = self.get(COUNTRY).await?;
        let row = again.row("read again: function and page", "miss, 1 query, fresh");
        let row = row.and(again.is_miss(1));
        let fresh = is_fresh(&again.answer.body);
        self.table.push(row.and_show(fresh, "fresh", "STALE"));

        let url = self.get(SAME_COUNTRY).await?;
        let row = url.row("the other URL again", "miss, 0 queries, fresh");
        let row = row.and(url.is_miss(0));
        let fresh = is_fresh(&url.answer.body);
        self.table.push(row.and_show(fresh, "fresh", "STALE"));

        let other = self.get(OTHER_COUNTRY).await?;
        let row = other.row("another country", "hit, 0 queries");
        self.table.push(row.and(other.is_hit()));
        Ok(())
    }

    async fn let_a_herd_read_one_page(&mut self) -> Result<()> {
        let paths = vec![COLD_COUNTRY.to_owned(); READERS];
        self.herd("1,000 readers of one cold page", paths).await
    }

    async fn let_a_herd_read_one_row(&mut self) -> Result<()> {
        let path = |reader| format!("{COLD_CITY}?reader={reader}");
        let paths = (0..READERS).map(path).collect();
        self.herd("1,000 readers of one cold row, a URL each", paths)
            .await
    }

    async fn herd(&mut self, step: &'static str, paths: Vec<String>) -> Result<()> {
        let before = self.client.sql_queries().await?;
        let began = Instant::now();
        let answers = all_at_once(&self.client, paths).await?;
        let took = began.elapsed();
        let queries = self.client.sql_queries().await? - before;
        let good = answers.iter().filter(|answer| is_same(answer, &answers[0]));
        let good = good.count();
        self.table.push(Row {
            step,
            expected: "1 query, 1000 good answers",
            shown: format!("{}, {good} good answers", counted(queries)),
            took,
            ok: queries == 1 && good == READERS,
        });
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<Observed> {
        let before = self.client.sql_queries().await?;
        let answer = self.client.get(path).await?;
        let queries = self.client.sql_queries().await? - before;
        Ok(Observed { answer, queries })
    }
}

async fn all_at_once(client: &Client, paths: Vec<String>) -> Result<Vec<Answer>> {
    let mut readers = JoinSet::new();
    for path in paths {
        let client = client.clone();
        readers.spawn(async move { client.get(&path).await });
    }
    readers.join_all().await.into_iter().collect()
}

fn is_same(answer: &Answer, other: &Answer) -> bool {
    answer.status == StatusCode::OK && answer.body == other.body
}

fn ratio(slow: Duration, fast: Duration) -> f64 {
    slow.as_secs_f64() / fast.as_secs_f64()
}

/// Readers and server share this process, so each reader takes two of its open files.
fn allow_many_connections() -> Result<()> {
    let needed = 3 * READERS as u64;
    let possible = rlimit::increase_nofile_limit(needed)?;
    if possible < needed {
        let message = format!(
            "the demo needs {needed} open files; this machine allows {possible} (ulimit -n)"
        );
        return Err(message.into());
    }
    Ok(())
}
