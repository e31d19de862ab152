use cache_core::cached;

#[cached(key = "user:{id", tags = ["{}", "{id.len()}", "id}", "", "{id:?}"])]
async fn get_user(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
