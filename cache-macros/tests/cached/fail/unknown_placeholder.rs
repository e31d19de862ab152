use cache_core::cached;

#[cached(key = "user:{user_id}", tags = ["{self.tenant}"])]
async fn get_user(id: u64, locale: &str) -> Option<u64> {
    let _ = locale;
    Some(id)
}

#[cached(key = "{id}")]
async fn get_all() -> Option<u64> {
    None
}

fn main() {}
