use cache_core::cache_invalidate;

#[cache_invalidate(key_pattern = "users:*")]
fn update_user(id: u64) {
    let _ = id;
}

fn main() {}
