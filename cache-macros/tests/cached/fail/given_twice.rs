use cache_core::cached;

#[cached(ttl = 60, key_prefix = "users", ttl = 30, key_prefix = "people")]
async fn get_user(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
