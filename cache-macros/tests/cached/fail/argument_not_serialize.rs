use cache_core::cached;

struct Database;

#[cached(ttl = 60)]
async fn get_user(database: &Database, id: u64) -> Option<u64> {
    let _ = database;
    Some(id)
}

struct Filter {
    database: Database,
}

#[cached(ttl = 60, key = "{filter.database}", tags = ["{filter}"])]
async fn find(filter: Filter) -> Option<u64> {
    let _ = filter;
    None
}

fn main() {}
