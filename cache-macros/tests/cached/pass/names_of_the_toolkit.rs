// Types of the user's that go by the names that emitted code uses inside.
#![deny(warnings)]
#![allow(dead_code)]

use cache_core::cached;

type Option = std::option::Option<Kind>;
type Result<T> = std::result::Result<T, Error>;

mod core {}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
enum Kind {
    Anything,
    AResult,
}

#[derive(Debug)]
struct Error;

trait Anything {
    fn kind(&self) {}
    fn succeeded(&self) {}
}

impl<T> Anything for T {}

#[cached(ttl = 60)]
async fn option() -> Option {
    use Kind::*;
    Some(Anything)
}

#[cached(ttl = 60)]
async fn result() -> Result<Kind> {
    Ok(Kind::AResult)
}

#[cache_core::cache_invalidate(key_pattern = "*")]
async fn invalidate() -> Result<()> {
    Ok(())
}

fn main() {}
