use cache_core::cache_invalidate;

struct User;

#[cache_invalidate(key_pattern = "users:get_user:{user}")]
async fn update_user(user: User) {
    let _ = user;
}

fn main() {}
