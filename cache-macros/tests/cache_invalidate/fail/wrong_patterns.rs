use cache_core::cache_invalidate;

#[cache_invalidate(key_pattern = "users:get_user:{user_id}", key_pattern = "")]
async fn update_user(id: u64) {
    let _ = id;
}

#[cache_invalidate(key_patterns = ["users:[ab", "users:\\", "users:{id"], tags = ["{team}"])]
async fn update_team(id: u64) {
    let _ = id;
}

fn main() {}
