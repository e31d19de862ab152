use cache_core::cached;

// What is wrong in the body is said there, as without the attribute.
#[cached(ttl = 60)]
async fn get_user(id: u64) -> Result<u64, String> {
    if id == 0 {
        return Some(id);
    }
    id.parse()?;
    "text"
}

#[cached(ttl = 60)]
async fn moved(name: String) -> String {
    drop(name);
    name
}

fn main() {}
