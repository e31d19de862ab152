//! Texts with placeholders for route parameters, such as `city:{id}`.

use std::collections::BTreeSet;

use cache_core::{Error, ErrorKind, Result};

/// A text in which `{name}` stands for a route parameter; `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Parameter(String),
}

impl Template {
    /// Reads a template. A `*` in front of a name, as catch-all parameters have in a route, is
    /// not part of the name.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let name = rest.split_once('}').filter(|_| brace == "{");
            let (name, after) = name.ok_or_else(|| broken(text))?;
            let name = name.strip_prefix('*').unwrap_or(name);
            if name.is_empty() || name.contains('{') {
                return Err(broken(text));
            }
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            pieces.push(Piece::Parameter(name.to_owned()));
            rest = after;
        }
        literal.push_str(rest);
        pieces.push(Piece::Literal(literal));
        Ok(Self(pieces))
    }

    /// The names of the parameters that occur.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        let pieces = self.0.iter();
        let names = pieces.filter_map(|piece| match piece {
            Piece::Parameter(name) => Some(&**name),
            Piece::Literal(_) => None,
        });
        names.collect()
    }

    /// How many placeholders there are, of the same name or not.
    pub(crate) fn placeholders(&self) -> usize {
        let is_parameter = |piece: &&Piece| matches!(piece, Piece::Parameter(_));
        self.0.iter().filter(is_parameter).count()
    }

    /// Writes all but the parameters in another form.
    pub(crate) fn map_literals(self, form: impl Fn(&str) -> String) -> Self {
        let mapped = self.0.into_iter().map(|piece| match piece {
            Piece::Literal(literal) => Piece::Literal(form(&literal)),
            parameter @ Piece::Parameter(_) => parameter,
        });
        Self(mapped.collect())
    }

    /// The texts that result when each parameter is replaced by one of its forms; none if one of
    /// them has none.
    pub(crate) fn fill(&self, forms: impl Fn(&str) -> Vec<String>) -> Vec<String> {
        let mut texts = vec![String::new()];
        for piece in &self.0 {
            let parts = match piece {
                Piece::Literal(literal) => vec![literal.clone()],
                Piece::Parameter(name) => forms(name),
            };
            let longer = |text: &String| {
                let longer = parts.iter().map(|part| format!("{text}{part}"));
                longer.collect::<Vec<_>>()
            };
            texts = texts.iter().flat_map(longer).collect();
        }
        texts
    }
}

fn broken(text: &str) -> Error {
    let message = format!(
        "`{text}` has a brace without its other half, or a placeholder without a name; \
         write `{{{{` and `}}}}` for the characters themselves"
    );
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str) -> Vec<String> {
        vec![format!("<{name}>")]
    }

    #[test]
    fn parameters_are_replaced() {
        let template = Template::parse("city:{id}:{*rest}").unwrap();
        assert_eq!(template.fill(one), ["city:<id>:<rest>"]);
        assert_eq!(template.fill(|_| vec![]), [""; 0]);
        assert_eq!(template.names(), BTreeSet::from(["id", "rest"]));
    }

    #[test]
    fn every_form_of_every_parameter_is_tried() {
        let template = Template::parse("{a}{b}").unwrap();
        let forms = |name: &str| vec![name.to_owned(), "-".to_owned()];
        assert_eq!(template.fill(forms), ["ab", "a-", "-b", "--"]);
    }

    #[test]
    fn doubled_braces_are_braces() {
        let template = Template::parse("{{a}}:{b}").unwrap();
        assert_eq!(template.fill(one), ["{a}:<b>"]);
    }

    #[test]
    fn broken_templates_are_refused() {
        for broken in ["{", "a{b", "}", "{}", "{*}", "{a{b}"] {
            let error = Template::parse(broken).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{broken}");
        }
    }
}
