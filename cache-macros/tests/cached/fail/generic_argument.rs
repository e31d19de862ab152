use cache_core::cached;

#[cached(ttl = 60)]
async fn get<T: Clone>(id: T) -> Option<T> {
    Some(id)
}

fn main() {}
