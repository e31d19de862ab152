use cache_core::cached;

#[cached(ttl = "5m", key_prefix = users, tags = [1], cache_none = "yes", skip = id, include_args(false))]
async fn get_user(id: u64) -> Option<u64> {
    Some(id)
}

#[cached(ttl = -1)]
async fn negative(id: u64) -> u64 {
    id
}

#[cached(ttl = 1.5)]
async fn fraction(id: u64) -> u64 {
    id
}

#[cached(ttl = 0)]
async fn nothing(id: u64) -> u64 {
    id
}

fn main() {}
