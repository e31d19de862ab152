use cache_core::cache_invalidate;

#[cache_invalidate]
async fn update_user(id: u64) {
    let _ = id;
}

#[cache_invalidate(tags = [])]
async fn update_team(id: u64) {
    let _ = id;
}

#[cache_invalidate(get_user(id))]
async fn update_name(id: u64) {
    let _ = id;
}

fn main() {}
