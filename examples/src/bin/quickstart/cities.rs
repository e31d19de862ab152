//! The repository: what the service asks the database, and what it changes there.
//!
//! Functions know nothing of the cache beyond their attributes. Results carry tags that say
//! what they were made from; a change names the tags of what it changes, and everything that
//! carries one of them goes, whether a function's result or a page.

use cache_core::{cache_invalidate, cached};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};

use crate::database::{Database, DatabaseError};

/// A row of the table `city`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct City {
    pub(crate) id: u32,
    pub(crate) country: String,
    pub(crate) name: String,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    /// In metres, where it is known.
    pub(crate) altitude: Option<f64>,
}

/// A city and how far it is from another.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Neighbour {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) country: String,
    pub(crate) km: f64,
}

/// What is remarkable about a country.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct CountryFacts {
    pub(crate) country: String,
    pub(crate) cities: u32,
    pub(crate) mean_altitude: Option<f64>,
    pub(crate) highest_city: String,
    pub(crate) highest_altitude: Option<f64>,
    /// The city that is farthest from the next city on Earth.
    pub(crate) loneliest_city: String,
    pub(crate) loneliest_km: f64,
}

/// The repository of cities.
#[derive(Clone)]
pub(crate) struct Cities {
    database: Database,
}

impl Cities {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// One city.
    #[cached(ttl = 600, key_prefix = "cities", tags = ["city:{id}"])]
    pub(crate) async fn get_city(&self, id: u32) -> Result<Option<City>, DatabaseError> {
        self.stored_city(id).await
    }

    /// One city as the database has it: what a change begins with. Another machine may have
    /// changed what this one still remembers.
    pub(crate) async fn stored_city(&self, id: u32) -> Result<Option<City>, DatabaseError> {
        self.database
            .query(move |connection| {
                let sql = "SELECT * FROM city WHERE id = ?1";
                connection.query_row(sql, [id], city).optional()
            })
            .await
    }

    /// The cities of a country, by name.
    #[cached(ttl = 600, key_prefix = "cities", tags = ["country:{country}"])]
    pub(crate) async fn cities_of(&self, country: &str) -> Result<Vec<City>, DatabaseError> {
        let country = country.to_owned();
        self.database
            .query(move |connection| {
                let sql = "SELECT * FROM city WHERE country = ?1 ORDER BY name, id";
                connection
                    .prepare_cached(sql)?
                    .query_map([country], city)?
                    .collect()
            })
            .await
    }

    /// The ten cities nearest to this one: a scan of the whole table.
    #[cached(ttl = 600, key_prefix = "cities", tags = ["nearest"])]
    pub(crate) async fn nearest(&self, id: u32) -> Result<Vec<Neighbour>, DatabaseError> {
        self.database
            .query(move |connection| nearest(connection, id))
            .await
    }

    /// What is remarkable about a country: compares each of its cities with every city on Earth.
    #[cached(ttl = 600, key_prefix = "cities", tags = ["country:{country}"])]
    pub(crate) async fn country_facts(
        &self,
        country: &str,
    ) -> Result<Option<CountryFacts>, DatabaseError> {
        let country = country.to_owned();
        self.database
            .query(move |connection| country_facts(connection, &country))
            .await
    }

    /// Saves a city's name and altitude. Any city may be among the nearest to another.
    #[cache_invalidate(tags = ["city:{city.id}", "country:{city.country}", "nearest"])]
    pub(crate) async fn save_city(&self, city: City) -> Result<(), DatabaseError> {
        self.database
            .query(move |connection| {
                let sql = "UPDATE city SET name = ?2, altitude = ?3 WHERE id = ?1";
                connection
                    .execute(sql, (city.id, city.name, city.altitude))
                    .map(drop)
            })
            .await
    }
}

fn nearest(connection: &Connection, id: u32) -> rusqlite::Result<Vec<Neighbour>> {
    let sql = "
        SELECT other.id, other.name, other.country,
               distance_km(here.latitude, here.longitude, other.latitude, other.longitude) AS km
        FROM city AS here JOIN city AS other ON other.id <> here.id
        WHERE here.id = ?1
        ORDER BY km LIMIT 10";
    connection
        .prepare_cached(sql)?
        .query_map([id], neighbour)?
        .collect()
}

fn country_facts(connection: &Connection, country: &str) -> rusqlite::Result<Option<CountryFacts>> {
    let sql = "
        WITH here AS (SELECT * FROM city WHERE country = ?1),
        lonely AS (
            SELECT here.name, min(distance_km(
                here.latitude, here.longitude, other.latitude, other.longitude)) AS km
            FROM here JOIN city AS other ON other.id <> here.id
            GROUP BY here.id ORDER BY km DESC LIMIT 1),
        high AS (SELECT name, altitude FROM here ORDER BY altitude DESC, id LIMIT 1)
        SELECT ?1, (SELECT count(*) FROM here), (SELECT avg(altitude) FROM here),
               high.name, high.altitude, lonely.name, lonely.km
        FROM high, lonely";
    connection
        .prepare_cached(sql)?
        .query_row([country], facts)
        .optional()
}

fn city(row: &Row<'_>) -> rusqlite::Result<City> {
    Ok(City {
        id: row.get(0)?,
        country: row.get(1)?,
        name: row.get(2)?,
        latitude: row.get(3)?,
        longitude: row.get(4)?,
        altitude: row.get(5)?,
    })
}

fn neighbour(row: &Row<'_>) -> rusqlite::Result<Neighbour> {
    Ok(Neighbour {
        id: row.get(0)?,
        name: row.get(1)?,
        country: row.get(2)?,
        km: row.get(3)?,
    })
}

fn facts(row: &Row<'_>) -> rusqlite::Result<CountryFacts> {
    Ok(CountryFacts {
        country: row.get(0)?,
        cities: row.get(1)?,
        mean_altitude: row.get(2)?,
        highest_city: row.get(3)?,
        highest_altitude: row.get(4)?,
        loneliest_city: row.get(5)?,
        loneliest_km: row.get(6)?,
    })
}
