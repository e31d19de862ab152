use cache_core::cached;

struct Users;

impl Users {
    #[cached(skip(db, self, id, id))]
    async fn get(&self, id: u64) -> Option<u64> {
        Some(id)
    }
}

fn main() {}
