// What a user writes first, under a user's strictest lints.
#![deny(warnings, missing_docs, unused, rust_2018_idioms)]
//! A service.

use cache_core::{cache_invalidate, cached};

/// A user.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct User {
    /// The number.
    pub id: u64,
    /// The name.
    pub name: String,
}

/// A database.
#[derive(Debug)]
pub struct Database;

/// What the database says.
#[derive(Debug)]
pub struct DatabaseError;

/// Reads a user.
#[cached(ttl = 60, key_prefix = "users", skip(database), tags = ["user:{id}"])]
pub async fn get_user(database: &Database, id: u64) -> Result<Option<User>, DatabaseError> {
    let _ = database;
    let name = String::from("Ada");
    Ok(Some(User { id, name }))
}

/// Writes a user.
#[cache_invalidate(key_pattern = "users:get_user:{user.id}", tags = ["users"])]
pub async fn update_user(database: &Database, user: User) -> Result<(), DatabaseError> {
    let _ = (database, user);
    Ok(())
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let user = get_user(&Database, 1).await.unwrap().unwrap();
        assert_eq!(user.name, "Ada");
        update_user(&Database, user).await.unwrap();
    });
}
