use cache_core::cache_invalidate;

#[cache_invalidate(key_pattern("users:*"), tag = "users", before = 1, ttl = 60)]
async fn update_user(id: u64) {
    let _ = id;
}

#[cache_invalidate(key_pattern = "users:*", before, before)]
async fn update_team(id: u64) {
    let _ = id;
}

fn main() {}
