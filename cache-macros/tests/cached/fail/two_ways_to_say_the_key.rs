use cache_core::cached;

#[cached(key = "{id}", skip(locale), include_args = false)]
async fn get_user(id: u64, locale: &str) -> Option<u64> {
    let _ = locale;
    Some(id)
}

fn main() {}
