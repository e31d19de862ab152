use cache_core::cached;

#[cached(key = "{first}{second}")]
async fn adjacent(first: u64, second: u64) -> u64 {
    first + second
}

#[cached(key = "{first}-{second}")]
async fn hyphen(first: &str, second: &str) -> usize {
    first.len() + second.len()
}

fn main() {}
