//! Which part of the query tells one response from another.

use std::borrow::Cow;

use crate::percent;

/// The part of the query that is part of the key.
///
/// Names are compared decoded, so that `%70age` is `page`. Where parameters are sorted, those of
/// one name keep their order.
///
/// A parameter with a `;` in it is always part of the key, with all of it: some services read it
/// as two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// All of it, sorted by name: `?b=1&a=2` and `?a=2&b=1` are one. The default.
    #[default]
    Sorted,
    /// All of it, as it was sent, for services to which the order of different names matters.
    AsSent,
    /// The parameters of these names, sorted. The others do not change the response.
    Only(Vec<Cow<'static, str>>),
    /// All parameters but those of these names, sorted.
    Except(Vec<Cow<'static, str>>),
    /// None of it: the query does not change the response.
    Ignored,
}

impl Query {
    /// The parameters of these names only.
    pub fn only<I>(names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Cow<'static, str>>,
    {
        Self::Only(names.into_iter().map(Into::into).collect())
    }

    /// All parameters but those of these names.
    pub fn except<I>(names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Cow<'static, str>>,
    {
        Self::Except(names.into_iter().map(Into::into).collect())
    }

    /// What the key says of this query; `None` if there is nothing to say.
    pub(crate) fn select<'q>(&self, query: Option<&'q str>) -> Option<Cow<'q, str>> {
        let query = query?;
        match self {
            Self::Sorted => Some(sorted(query, |_| true)),
            Self::AsSent => Some(Cow::Borrowed(query)),
            Self::Only(names) => some(sorted(query, |name| has(names, name))),
            Self::Except(names) => some(sorted(query, |name| !has(names, name))),
            Self::Ignored => None,
        }
    }
}

fn some(selected: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (!selected.is_empty()).then_some(selected)
}

fn has(names: &[Cow<'static, str>], name: &[u8]) -> bool {
    names.iter().any(|it| it.as_bytes() == name)
}

fn sorted(query: &str, keep: impl Fn(&[u8]) -> bool) -> Cow<'_, str> {
    let named = query
        .split('&')
        .map(|parameter| (name(parameter), parameter));
    let kept = named.filter(|(name, text)| keep(name) || text.contains(';'));
    let mut parameters: Vec<_> = kept.collect();
    parameters.sort_by(|(one, _), (other, _)| one.cmp(other));
    let parameters: Vec<_> = parameters.into_iter().map(|(_, text)| text).collect();
    match &*parameters {
        [one] => Cow::Borrowed(one),
        _ => Cow::Owned(parameters.join("&")),
    }
}

/// The name as a handler sees it (`application/x-www-form-urlencoded`).
fn name(parameter: &str) -> Vec<u8> {
    let name = parameter.split('=').next().unwrap_or_default();
    percent::decode_bytes(&name.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(query: &Query, text: &str) -> String {
        query.select(Some(text)).unwrap_or_default().into_owned()
    }

    #[test]
    fn sorting_keeps_the_order_of_one_name() {
        let sorted = select(&Query::Sorted, "b=2&a=9&b=1&a=0");
        assert_eq!(sorted, "a=9&a=0&b=2&b=1");
    }

    #[test]
    fn a_name_is_the_same_however_it_is_written() {
        let one = select(&Query::Sorted, "b=0&a=1&%61=2");
        let other = select(&Query::Sorted, "b=0&%61=2&a=1");
        assert_eq!(one, "a=1&%61=2&b=0");
        assert_ne!(one, other);
    }

    #[test]
    fn parameters_can_be_chosen() {
        let text = "utm=x&page=2&q=a+b";
        assert_eq!(select(&Query::only(["page", "q"]), text), "page=2&q=a+b");
        assert_eq!(select(&Query::except(["utm"]), text), "page=2&q=a+b");
        assert_eq!(select(&Query::AsSent, text), text);
        assert_eq!(Query::Ignored.select(Some(text)), None);
        assert_eq!(Query::only(["id"]).select(Some(text)), None);
    }

    #[test]
    fn a_parameter_that_may_be_read_as_two_is_kept_whole() {
        let text = "utm=1;id=5&page=2";
        assert_eq!(select(&Query::only(["page"]), text), "page=2&utm=1;id=5");
        assert_eq!(select(&Query::except(["utm"]), text), "page=2&utm=1;id=5");
    }

    #[test]
    fn an_empty_query_is_not_the_same_as_none() {
        assert_eq!(Query::Sorted.select(Some("")).as_deref(), Some(""));
        assert_eq!(Query::Sorted.select(None), None);
    }
}
