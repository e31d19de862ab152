use cache_core::cached;

#[cached(ttl = 60)]
fn get_user(id: u64) -> Option<u64> {
    Some(id)
}

#[cached(ttl = 60)]
struct User;

trait Users {
    #[cached(ttl = 60)]
    async fn get(&self, id: u64) -> Option<u64>;
}

fn main() {}
