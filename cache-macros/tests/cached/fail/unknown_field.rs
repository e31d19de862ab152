use cache_core::cached;

struct User {
    id: u64,
}

#[cached(key = "user:{user.idd}")]
async fn get_user(user: User) -> Option<u64> {
    Some(user.id)
}

fn main() {}
