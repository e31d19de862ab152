use cache_core::cached;

#[cached(ttl = seconds, cache = id)]
async fn get_user(id: u64, seconds: u32) -> Option<u64> {
    let _ = seconds;
    Some(id)
}

#[cached(cache = nowhere)]
async fn get_team(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
