use cache_core::cached;

// All of them are reported at once, and the function is still there for its callers.
#[cached(ttl = , key_prefix = "", tags = ["user:{user_id}"], skip(db), unknown)]
async fn get_user(id: u64) -> Option<u64> {
    Some(id)
}

async fn caller() -> Option<u64> {
    get_user(1).await
}

fn main() {}
