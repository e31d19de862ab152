use std::borrow::Cow;

use cache_core::cached;

// What is kept outlives the call, so that it cannot borrow from its arguments.
#[cached(ttl = 60)]
async fn name<'a>(text: &'a str) -> Cow<'a, str> {
    text.into()
}

fn main() {}
