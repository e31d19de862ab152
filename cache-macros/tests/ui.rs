//! What the compiler says to mistakes, and that what is right compiles with nothing but
//! `cache-core` and `serde` at hand.

#[test]
fn what_is_wrong_with_cached_is_said_at_the_users_own_tokens() {
    trybuild::TestCases::new().compile_fail("tests/cached/fail/*.rs");
}

#[test]
fn what_is_right_with_cached_compiles() {
    trybuild::TestCases::new().pass("tests/cached/pass/*.rs");
}

#[test]
fn what_is_wrong_with_cache_invalidate_is_said_at_the_users_own_tokens() {
    trybuild::TestCases::new().compile_fail("tests/cache_invalidate/fail/*.rs");
}

#[test]
fn what_is_right_with_cache_invalidate_compiles() {
    trybuild::TestCases::new().pass("tests/cache_invalidate/pass/*.rs");
}
