use cache_core::cached;

#[cached(ttl = 60)]
async fn refresh(id: u64) {
    let _ = id;
}

#[cached(ttl = 60)]
async fn numbers(id: u64) -> impl Iterator<Item = u64> {
    0..id
}

#[cached(ttl = 60, cache_none)]
async fn count(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
