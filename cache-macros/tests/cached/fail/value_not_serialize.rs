use cache_core::cached;

#[derive(Clone)]
struct User;

#[cached(ttl = 60)]
async fn get_user(id: u64) -> Result<Option<User>, String> {
    let _ = id;
    Ok(None)
}

#[cached(ttl = 60)]
async fn get_name(names: &[String]) -> Option<&String> {
    names.first()
}

fn main() {}
