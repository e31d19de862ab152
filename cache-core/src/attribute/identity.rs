//! Which function a call is of: how its keys begin, and who owns its entries.

use crate::chain::Chain;
use crate::entry::Owner;

/// An annotated function, as it describes itself at each call.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// `module_path!()`
    pub module: &'static str,
    pub function: &'static str,
    pub key_prefix: Option<&'static str>,
    /// The path of an item inside the function. It tells impls, nested functions and, if the
    /// item is a closure, instances of generics apart, which the macro cannot see.
    pub path: &'static str,
    /// A hash of the function's signature and body.
    pub code: u64,
    /// `Self`, where the function shows that there is one.
    pub self_type: Option<&'static str>,
    /// The types that tell generic instances apart in the key.
    pub types: &'a [&'static str],
    /// Whether a template says how the key goes on.
    pub template: bool,
}

/// What follows from a [`Site`].
#[derive(Clone, Debug)]
pub struct Identity {
    path: &'static str,
    self_type: Option<&'static str>,
    types: Box<[&'static str]>,
    pub(super) owner: Owner,
    /// How every key begins.
    pub(super) head: Box<str>,
}

/// Keeps the identities of a function's generic instances, each worked out at its first call.
#[derive(Debug)]
pub struct Memo(Chain<Identity>);

impl Memo {
    #[expect(clippy::new_without_default, reason = "only statics hold one")]
    pub const fn new() -> Self {
        Self(Chain::new())
    }

    pub fn of(&self, site: &Site<'_>) -> &Identity {
        let fits = |identity: &Identity| identity.is_of(site);
        self.0.find_or_add(fits, || Identity::of(site))
    }
}

/// The path of a function some of whose type parameters must not count: `plain`, which has none,
/// where those that count are all known otherwise; `full`, which has all, where the function may
/// stand in an `impl` with parameters of its own.
pub fn path(
    knows_self: bool,
    module: &str,
    plain: &'static str,
    full: &'static str,
) -> &'static str {
    let inside = plain.strip_prefix(module).unwrap_or(plain);
    let parts = inside
        .split("::")
        .filter(|part| !part.is_empty() && *part != "{{closure}}");
    // The function, and the item in it whose path this is.
    if knows_self || parts.count() == 2 {
        plain
    } else {
        full
    }
}

impl Identity {
    fn of(site: &Site<'_>) -> Self {
        Self {
            path: site.path,
            self_type: site.self_type,
            types: site.types.into(),
            owner: owner(site),
            head: head(site).into(),
        }
    }

    fn is_of(&self, site: &Site<'_>) -> bool {
        self.path == site.path && self.self_type == site.self_type && *self.types == *site.types
    }
}

fn owner(site: &Site<'_>) -> Owner {
    let code = format!("{:016x}", site.code);
    let self_type = site.self_type.unwrap_or_default();
    [site.function, site.path, &code, self_type]
        .iter()
        .chain(site.types)
        .fold(Owner::of(site.module), |owner, part| owner.and(part))
}

/// `{key_prefix}:{function}`, or `{module}:{Self}:{function}`; then the types. With a template
/// behind it the prefix is enough, and what stands here ends in `:`.
fn head(site: &Site<'_>) -> String {
    let mut head = match (site.key_prefix, site.template) {
        (Some(prefix), true) => return format!("{prefix}:"),
        (Some(prefix), false) => format!("{prefix}:{}", site.function),
        (None, _) => match surroundings(site) {
            inside if inside.is_empty() => format!("{}:{}", site.module, site.function),
            inside => format!("{}:{inside}:{}", site.module, site.function),
        },
    };
    if site.template {
        head.push(':');
        return head;
    }
    for ty in site.types {
        head.push(':');
        head.push_str(&ty.replace("::", "."));
    }
    head
}

/// The type, or the function, that the function stands in; empty directly in a module.
fn surroundings(site: &Site<'_>) -> String {
    if let Some(self_type) = site.self_type {
        return without_modules(self_type);
    }
    let inside = site.path.strip_prefix(site.module).unwrap_or(site.path);
    let function = format!("::{}", site.function);
    let end = inside.rfind(&function).unwrap_or(0);
    let inside = inside[..end].replace("::{{closure}}", "");
    without_modules(inside.trim_start_matches("::"))
}

/// A type's name as it is written where all its parts are imported: `Repo<Pg>`.
fn without_modules(name: &str) -> String {
    let mut short = String::new();
    let mut start = 0;
    for (at, character) in name.char_indices() {
        if character == ':' {
            short.truncate(start);
        } else {
            short.push(character);
            if !character.is_alphanumeric() && character != '_' {
                start = short.len();
            }
        }
        debug_assert!(at < name.len());
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: Site<'_> = Site {
        module: "app::users",
        function: "get",
        key_prefix: None,
        path: "app::users::get::{{closure}}::{{closure}}",
        code: 1,
        self_type: None,
        types: &[],
        template: false,
    };

    #[test]
    fn keys_begin_with_the_prefix_or_with_the_place_of_the_function() {
        assert_eq!(head(&SITE), "app::users:get");
        let prefixed = Site {
            key_prefix: Some("users"),
            ..SITE
        };
        assert_eq!(head(&prefixed), "users:get");
        let template = |site| Site {
            template: true,
            ..site
        };
        assert_eq!(head(&template(SITE)), "app::users:get:");
        assert_eq!(head(&template(prefixed)), "users:");
    }

    #[test]
    fn methods_and_nested_functions_say_what_they_are_in() {
        let method = Site {
            self_type: Some("app::users::Repo<app::db::Pg, (u8, alloc::string::String)>"),
            ..SITE
        };
        assert_eq!(head(&method), "app::users:Repo<Pg, (u8, String)>:get");
        for (path, expected) in [
            (
                "app::users::Repo<app::Pg>::get::{{closure}}",
                "app::users:Repo<Pg>:get",
            ),
            (
                "app::users::outer::{{closure}}::get::{{closure}}",
                "app::users:outer:get",
            ),
            (
                "<app::users::A as app::Find>::get::{{closure}}",
                "app::users:<A as Find>:get",
            ),
        ] {
            assert_eq!(head(&Site { path, ..SITE }), expected);
        }
    }

    #[test]
    fn types_stand_behind_the_function() {
        let types = &["u64", "app::db::Pg"];
        assert_eq!(
            head(&Site { types, ..SITE }),
            "app::users:get:u64:app.db.Pg"
        );
    }

    #[test]
    fn every_part_of_the_description_makes_another_owner() {
        let sites = [
            SITE,
            Site {
                module: "app",
                ..SITE
            },
            Site {
                function: "find",
                ..SITE
            },
            Site {
                path: "app::users::get",
                ..SITE
            },
            Site { code: 2, ..SITE },
            Site {
                self_type: Some("app::A"),
                ..SITE
            },
            Site {
                types: &["u8"],
                ..SITE
            },
        ];
        let owners: std::collections::HashSet<_> = sites.iter().map(owner).collect();
        assert_eq!(owners.len(), sites.len());
    }

    #[test]
    fn a_memo_is_not_mistaken_for_another_instance() {
        let memo = Memo::new();
        let other = Site {
            types: &["u8"],
            ..SITE
        };
        assert_eq!(memo.of(&SITE).owner, owner(&SITE));
        assert_eq!(memo.of(&other).owner, owner(&other));
        assert_ne!(memo.of(&other).owner, memo.of(&SITE).owner);
        assert!(std::ptr::eq(memo.of(&other), memo.of(&other)));
    }

    #[test]
    fn a_path_without_parameters_will_do_only_directly_in_a_module() {
        let full = "with all parameters";
        let of = |knows_self, plain| path(knows_self, "app::users", plain, full);
        let free = "app::users::get::{{closure}}::here";
        assert_eq!(of(false, free), free);
        let associated = "app::users::<impl app::users::Repo<T>>::get::{{closure}}::here";
        assert_eq!(of(false, associated), full);
        assert_eq!(of(true, associated), associated);
        let nested = "app::users::outer::{{closure}}::get::{{closure}}::here";
        assert_eq!(of(false, nested), full);
    }
}
