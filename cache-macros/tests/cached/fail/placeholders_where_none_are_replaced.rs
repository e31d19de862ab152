use cache_core::cached;

#[cached(key_prefix = "users:{id}", namespace = "tenant:{tenant}")]
async fn get_user(id: u64, tenant: u64) -> Option<u64> {
    let _ = tenant;
    Some(id)
}

fn main() {}
