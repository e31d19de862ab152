use cache_core::cached;

#[cached(tll = 60, key_prefx = "users", ttl = 60)]
async fn get_user(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
