//! What kind of result a function gives, found out from the type itself, so that aliases of
//! `Result` and `Option` count as what they stand for.
//!
//! The compiler takes the first trait below whose method fits `(&&&&&Kind::<R>::new())`: it
//! tries the type with all references first and then with one less each time. So the more special
//! an impl, the more references it is for. With one reference too few in the call, the most
//! special impl is never tried.

use std::marker::PhantomData;

use super::outcomes::{Always, CopyErrors, OnlyOk, OnlyOkSome, OnlySome, OwnErrors, ShareError};
use crate::engine::Outcome;
use crate::value::Value;

/// A type without a value of it.
pub struct Kind<R>(PhantomData<fn() -> R>);

impl<R> Kind<R> {
    #[expect(clippy::new_without_default, reason = "emitted code alone makes one")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }

    /// The kind of a value whose type has no name.
    pub const fn of(_: &R) -> Self {
        Self::new()
    }
}

/// The traits that emitted code imports, each for one kind of result.
///
/// `cache_kind` says what is stored. `cache_kind_with_own_errors` is for results that mention a lifetime or
/// a parameter of the function, whose errors may borrow: copies of those cannot wait for others.
pub mod probe {
    use super::*;

    pub trait Anything<R> {
        fn cache_kind(&self) -> Always<R>;
        fn cache_kind_with_own_errors(&self) -> Always<R>;
    }

    impl<R> Anything<R> for Kind<R> {
        fn cache_kind(&self) -> Always<R> {
            Always::new()
        }

        fn cache_kind_with_own_errors(&self) -> Always<R> {
            Always::new()
        }
    }

    pub trait AnOption<T> {
        fn cache_kind(&self) -> OnlySome<T>;
        fn cache_kind_with_own_errors(&self) -> OnlySome<T>;
    }

    impl<T> AnOption<T> for &Kind<Option<T>> {
        fn cache_kind(&self) -> OnlySome<T> {
            OnlySome::new()
        }

        fn cache_kind_with_own_errors(&self) -> OnlySome<T> {
            OnlySome::new()
        }
    }

    pub trait AResult<T, E> {
        fn cache_kind(&self) -> OnlyOk<T, E, OwnErrors>;
        fn cache_kind_with_own_errors(&self) -> OnlyOk<T, E, OwnErrors>;
    }

    impl<T, E> AResult<T, E> for &Kind<Result<T, E>> {
        fn cache_kind(&self) -> OnlyOk<T, E, OwnErrors> {
            OnlyOk::new()
        }

        fn cache_kind_with_own_errors(&self) -> OnlyOk<T, E, OwnErrors> {
            OnlyOk::new()
        }
    }

    pub trait AResultToShare<T, E> {
        fn cache_kind(&self) -> OnlyOk<T, E, CopyErrors>;
    }

    impl<T, E: Clone + Send + Sync + 'static> AResultToShare<T, E> for &&Kind<Result<T, E>> {
        fn cache_kind(&self) -> OnlyOk<T, E, CopyErrors> {
            OnlyOk::new()
        }
    }

    pub trait AResultOfOption<T, E> {
        fn cache_kind(&self) -> OnlyOkSome<T, E, OwnErrors>;
        fn cache_kind_with_own_errors(&self) -> OnlyOkSome<T, E, OwnErrors>;
    }

    impl<T, E> AResultOfOption<T, E> for &&&Kind<Result<Option<T>, E>> {
        fn cache_kind(&self) -> OnlyOkSome<T, E, OwnErrors> {
            OnlyOkSome::new()
        }

        fn cache_kind_with_own_errors(&self) -> OnlyOkSome<T, E, OwnErrors> {
            OnlyOkSome::new()
        }
    }

    pub trait AResultOfOptionToShare<T, E> {
        fn cache_kind(&self) -> OnlyOkSome<T, E, CopyErrors>;
    }

    impl<T, E> AResultOfOptionToShare<T, E> for &&&&Kind<Result<Option<T>, E>>
    where
        E: Clone + Send + Sync + 'static,
    {
        fn cache_kind(&self) -> OnlyOkSome<T, E, CopyErrors> {
            OnlyOkSome::new()
        }
    }

    pub trait Succeeds<R> {
        /// Whether the function did what it was called for.
        fn cache_succeeded(&self, result: &R) -> bool;
    }

    impl<R> Succeeds<R> for Kind<R> {
        fn cache_succeeded(&self, _: &R) -> bool {
            true
        }
    }

    pub trait CanFail<T, E> {
        fn cache_succeeded(&self, result: &Result<T, E>) -> bool;
    }

    impl<T, E> CanFail<T, E> for &Kind<Result<T, E>> {
        fn cache_succeeded(&self, result: &Result<T, E>) -> bool {
            result.is_ok()
        }
    }
}

/// Demands that what is stored of a result can be. The type that it returns promises so, and the
/// compiler has no more to say about it elsewhere.
pub fn cacheable<R, O: Outcome<R>>(outcome: O) -> impl Outcome<R> {
    outcome
}

/// A kind of result that can be `None`.
#[diagnostic::on_unimplemented(
    message = "`cache_none` is for functions whose result contains an `Option`",
    label = "the result of this function is never `None`"
)]
pub trait CanBeNone<R> {
    /// The kind that stores `None`, too.
    fn with_none(self) -> impl Outcome<R>;
}

#[diagnostic::do_not_recommend]
impl<T> CanBeNone<Option<T>> for OnlySome<T>
where
    Option<T>: Value,
{
    fn with_none(self) -> impl Outcome<Option<T>> {
        Always::new()
    }
}

#[diagnostic::do_not_recommend]
impl<T, E, S> CanBeNone<Result<Option<T>, E>> for OnlyOkSome<T, E, S>
where
    Option<T>: Value,
    S: ShareError<E>,
{
    fn with_none(self) -> impl Outcome<Result<Option<T>, E>> {
        OnlyOk::<Option<T>, E, S>::new()
    }
}

/// [`cacheable`], with `None` stored too.
pub fn with_none<R, O: CanBeNone<R>>(outcome: O) -> impl Outcome<R> {
    outcome.with_none()
}

#[cfg(test)]
mod tests {
    use super::probe::*;
    use super::*;
    use std::any::type_name_of_val;

    type Aliased<T> = Result<Option<T>, String>;
    type Answer = Option<u8>;
    struct Unclonable;

    macro_rules! kind {
        ($result:ty) => {{
            let name = type_name_of_val(&(&&&&&Kind::<$result>::new()).cache_kind());
            let own = type_name_of_val(&(&&&&&Kind::<$result>::new()).cache_kind_with_own_errors());
            [name, own].map(|name| name.replace("cache_core::attribute::outcomes::", ""))
        }};
    }

    #[test]
    fn each_kind_of_result_is_told_from_the_others() {
        assert_eq!(kind!(u8), ["Always<u8>", "Always<u8>"]);
        assert_eq!(kind!(Option<u8>), ["OnlySome<u8>", "OnlySome<u8>"]);
        assert_eq!(
            kind!(Result<u8, u16>),
            ["OnlyOk<u8, u16, CopyErrors>", "OnlyOk<u8, u16, OwnErrors>"]
        );
        assert_eq!(
            kind!(Result<Option<u8>, u16>),
            [
                "OnlyOkSome<u8, u16, CopyErrors>",
                "OnlyOkSome<u8, u16, OwnErrors>"
            ]
        );
    }

    #[test]
    fn an_alias_counts_as_what_it_stands_for() {
        assert_eq!(kind!(Answer), ["OnlySome<u8>", "OnlySome<u8>"]);
        let [kind, _] = kind!(Aliased<u8>);
        assert_eq!(kind, "OnlyOkSome<u8, alloc::string::String, CopyErrors>");
    }

    #[test]
    fn errors_that_cannot_be_copied_are_not_shared() {
        for [kind, _] in [
            kind!(Result<u8, Unclonable>),
            kind!(Result<Option<u8>, Unclonable>),
            kind!(Result<u8, std::rc::Rc<u8>>),
        ] {
            assert!(kind.ends_with("OwnErrors>"), "{kind}");
        }
    }

    #[test]
    #[expect(clippy::needless_borrow, reason = "written as it is emitted")]
    fn only_an_err_is_no_success() {
        let failed: Result<u8, u8> = Err(1);
        assert!(!(&&Kind::of(&failed)).cache_succeeded(&failed));
        let done: Result<u8, u8> = Ok(1);
        assert!((&&Kind::of(&done)).cache_succeeded(&done));
        let nothing: Option<u8> = None;
        assert!((&&Kind::of(&nothing)).cache_succeeded(&nothing));
    }
}
