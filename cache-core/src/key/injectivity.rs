//! Proof by many examples that different values are written differently: every small tree of
//! serde's data model against every other, and random larger ones.

use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde::Serialize;
use serde::ser::{
    SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};

use super::{KeyPart, KeyWriter};
use crate::error::{ErrorKind, Result};
use crate::pattern::Pattern;

fn try_part<T: KeyPart + ?Sized>(value: &T) -> Result<String> {
    let mut key = KeyWriter::new();
    key.part(value)?;
    Ok(key.as_str().to_owned())
}

fn part<T: KeyPart + ?Sized>(value: &T) -> String {
    try_part(value).unwrap()
}

/// Any value of serde's data model.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    None,
    Some(Box<Tree>),
    Unit,
    Seq(Vec<Tree>),
    Tuple(Vec<Tree>),
    Map(BTreeMap<String, Tree>),
    Named(&'static str, Body),
    Variant(&'static str, &'static str, Body),
}

/// What a struct or a variant consists of.
#[derive(Clone, Debug, PartialEq)]
enum Body {
    Unit,
    Newtype(Box<Tree>),
    Tuple(Vec<Tree>),
    Fields(Vec<(&'static str, Tree)>),
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::None => serializer.serialize_none(),
            Self::Some(value) => serializer.serialize_some(value),
            Self::Unit => serializer.serialize_unit(),
            Self::Seq(values) => serializer.collect_seq(values),
            Self::Tuple(values) => {
                let mut tuple = serializer.serialize_tuple(values.len())?;
                values
                    .iter()
                    .try_for_each(|value| tuple.serialize_element(value))?;
                tuple.end()
            }
            Self::Map(entries) => serializer.collect_map(entries),
            Self::Named(name, body) => serialize_struct(serializer, name, body),
            Self::Variant(name, variant, body) => {
                serialize_variant(serializer, name, variant, body)
            }
        }
    }
}

fn serialize_struct<S: Serializer>(
    serializer: S,
    name: &'static str,
    body: &Body,
) -> std::result::Result<S::Ok, S::Error> {
    match body {
        Body::Unit => serializer.serialize_unit_struct(name),
        Body::Newtype(value) => serializer.serialize_newtype_struct(name, value),
        Body::Tuple(values) => {
            let mut tuple = serializer.serialize_tuple_struct(name, values.len())?;
            values
                .iter()
                .try_for_each(|value| tuple.serialize_field(value))?;
            tuple.end()
        }
        Body::Fields(fields) => {
            let mut written = serializer.serialize_struct(name, fields.len())?;
            fields
                .iter()
                .try_for_each(|(name, value)| written.serialize_field(name, value))?;
            written.end()
        }
    }
}

fn serialize_variant<S: Serializer>(
    serializer: S,
    name: &'static str,
    variant: &'static str,
    body: &Body,
) -> std::result::Result<S::Ok, S::Error> {
    match body {
        Body::Unit => serializer.serialize_unit_variant(name, 0, variant),
        Body::Newtype(value) => serializer.serialize_newtype_variant(name, 0, variant, value),
        Body::Tuple(values) => {
            let len = values.len();
            let mut tuple = serializer.serialize_tuple_variant(name, 0, variant, len)?;
            values
                .iter()
                .try_for_each(|value| tuple.serialize_field(value))?;
            tuple.end()
        }
        Body::Fields(fields) => {
            let len = fields.len();
            let mut written = serializer.serialize_struct_variant(name, 0, variant, len)?;
            fields
                .iter()
                .try_for_each(|(name, value)| written.serialize_field(name, value))?;
            written.end()
        }
    }
}

/// Texts that imitate the forms of other values.
const TEXTS: [&str; 22] = [
    "", "a", "1", "-1", "1.0", "1e16", "true", "()", "(1)", "unit<>", "<>", "<1>", "1,1",
    "tuple<1>", "map<>", "bytes<>", "\"\"", "%31", "a=1", "A!b", "A()", "a~",
];
const NAMES: [&str; 6] = ["", "A", "1", "tuple", "A!b", "a=1"];

fn leaves() -> Vec<Tree> {
    let scalars = [
        Tree::Bool(true),
        Tree::Int(1),
        Tree::Int(-1),
        Tree::Float(1.0),
        Tree::Float(1e16),
        Tree::Float(f64::INFINITY),
        Tree::None,
        Tree::Unit,
        Tree::Bytes(vec![]),
        Tree::Bytes(vec![1]),
    ];
    let texts = TEXTS.map(|text| Tree::Text(text.into()));
    scalars.into_iter().chain(texts).collect()
}

/// Every compound of these children: alone, and in each pair.
fn compounds(children: &[Tree]) -> Vec<Tree> {
    let mut trees = around(&[]);
    for first in children {
        trees.push(Tree::Some(first.clone().into()));
        trees.extend(around(std::slice::from_ref(first)));
        for second in children {
            trees.extend(around(&[first.clone(), second.clone()]));
        }
    }
    trees
}

/// Each kind of compound that can have exactly these children.
fn around(children: &[Tree]) -> Vec<Tree> {
    let keys = ["a", "b"].map(str::to_owned);
    let entries = keys.into_iter().zip(children.iter().cloned());
    let mut trees = vec![
        Tree::Seq(children.into()),
        Tree::Tuple(children.into()),
        Tree::Map(entries.collect()),
    ];
    for body in bodies(children) {
        trees.push(Tree::Variant("A", "b", body.clone()));
        trees.push(Tree::Named("A", body));
    }
    trees
}

fn bodies(children: &[Tree]) -> Vec<Body> {
    let fields = ["a", "b"].into_iter().zip(children.iter().cloned());
    let mut bodies = vec![Body::Tuple(children.into()), Body::Fields(fields.collect())];
    match children {
        [] => bodies.push(Body::Unit),
        [child] => bodies.push(Body::Newtype(child.clone().into())),
        _ => {}
    }
    bodies
}

fn assert_all_different(trees: impl IntoIterator<Item = Tree>) {
    let mut seen = HashMap::new();
    for tree in trees {
        if let Some(other) = seen.insert(part(&tree), tree.clone()) {
            panic!("{other:?} and {tree:?} are both {}", part(&tree));
        }
    }
    assert!(seen.len() > 5_000);
}

#[test]
fn small_values_of_every_kind_are_all_different() {
    let leaves = leaves();
    assert_all_different(leaves.iter().cloned().chain(compounds(&leaves)));
}

#[test]
fn compounds_of_compounds_are_all_different() {
    let inner = [
        Tree::Int(1),
        Tree::Text("1".into()),
        Tree::Text(String::new()),
    ];
    assert_all_different(compounds(&compounds(&inner)));
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Tree::Bool),
        any::<i64>().prop_map(Tree::Int),
        prop::num::f64::NORMAL.prop_map(Tree::Float),
        "[a1:%(<=,~\"é]{0,4}".prop_map(Tree::Text),
        prop::sample::select(leaves()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let name = || prop::sample::select(&NAMES[..]);
        let children = || prop::collection::vec(inner.clone(), 0..3);
        let fields = prop::collection::vec((name(), inner.clone()), 0..3);
        let body = prop_oneof![
            Just(Body::Unit),
            inner.clone().prop_map(|child| Body::Newtype(child.into())),
            children().prop_map(Body::Tuple),
            fields.prop_map(Body::Fields),
        ];
        prop_oneof![
            inner.clone().prop_map(|child| Tree::Some(child.into())),
            children().prop_map(Tree::Seq),
            children().prop_map(Tree::Tuple),
            prop::collection::btree_map("[a1=]{0,2}", inner.clone(), 0..3).prop_map(Tree::Map),
            (name(), body.clone()).prop_map(|(name, body)| Tree::Named(name, body)),
            (name(), name(), body)
                .prop_map(|(name, variant, body)| Tree::Variant(name, variant, body)),
        ]
    })
}

proptest! {
    #[test]
    fn two_values_share_a_part_only_if_they_are_equal(left in any_tree(), right in any_tree()) {
        prop_assert_eq!(left == right, part(&left) == part(&right));
    }

    #[test]
    fn different_texts_are_different_parts(left: String, right: String) {
        prop_assert_eq!(left == right, part(&left) == part(&right));
    }

    #[test]
    fn a_part_is_a_pattern_that_matches_itself_alone(tree in any_tree(), other in any_tree()) {
        let (text, other) = (part(&tree), part(&other));
        let pattern = Pattern::new(text.clone()).unwrap();
        prop_assert_eq!(pattern.matches(&other), text == other);
        prop_assert!(pattern.matches(&text));
    }

    #[test]
    fn a_part_holds_neither_separators_nor_braces(tree in any_tree()) {
        let forbidden = |character: char| ":{}\n".contains(character);
        let text = part(&tree);
        prop_assert!(!text.contains(forbidden), "{}", text);
    }
}

#[test]
fn what_is_typed_by_hand_is_what_is_written() {
    assert_eq!(part(&42_u64), "42");
    assert_eq!(part(&u128::MAX), u128::MAX.to_string());
    assert_eq!(part(&i128::MIN), i128::MIN.to_string());
    assert_eq!(part("berlin"), "berlin");
    assert_eq!(part(&'x'), "x");
    assert_eq!(part(&Some(3)), "(3)");
    assert_eq!(part(&("a", "b")), "tuple<a,b>");
    assert_eq!(part(&vec!["a", "b"]), "<a,b>");
    assert_eq!(part(&1.0_f32), "1.0");
    assert_eq!(part(&std::net::Ipv4Addr::LOCALHOST), "127.0.0.1");
}

#[derive(Serialize)]
struct UserId(u64);

#[derive(Serialize)]
#[serde(transparent)]
struct Plain(u64);

#[derive(Serialize)]
enum Order {
    Newest,
    Near { km: f64 },
}

#[derive(Serialize)]
struct Filter<'a> {
    country: &'a str,
    order: Order,
}

#[test]
fn structs_and_variants_are_named() {
    let order = Order::Near { km: 2.5 };
    let filter = Filter {
        country: "DE",
        order,
    };
    assert_eq!(part(&filter), "Filter(country=DE,order=Order!Near(km=2.5))");
    assert_eq!(part(&Order::Newest), "Order!Newest");
    assert_eq!(part(&UserId(42)), "UserId(42)");
    assert_eq!(part(&Plain(42)), "42");
}

#[test]
fn an_untagged_number_and_its_digits_are_different() {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Either {
        Number(u32),
        Text(&'static str),
    }
    assert_ne!(part(&Either::Number(1)), part(&Either::Text("1")));
}

#[test]
fn a_hash_map_is_written_the_same_way_each_time() {
    let keys = 0..100;
    let forwards: HashMap<_, _> = keys.clone().map(|key| (key, key)).collect();
    let backwards: HashMap<_, _> = keys.rev().map(|key| (key, key)).collect();
    assert_eq!(part(&forwards), part(&backwards));
    assert_eq!(part(&HashMap::from([("b", 2), ("a", 1)])), "map<a=1,b=2>");
}

#[test]
fn a_set_without_an_order_is_refused_wherever_it_stands() {
    #[derive(Serialize)]
    struct Search {
        tags: HashSet<u32>,
    }
    #[derive(Serialize)]
    #[serde(transparent)]
    struct Transparent(HashSet<u32>);
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Untagged {
        Set(HashSet<u32>),
    }
    let tags = HashSet::from([1, 2]);
    let search = Search { tags: tags.clone() };
    for refused in [
        try_part(&tags),
        try_part(&&Arc::new(tags.clone())),
        try_part(&Some(vec![&tags])),
        try_part(&search),
        try_part(&Transparent(tags.clone())),
        try_part(&Untagged::Set(tags.clone())),
        try_part(&std::sync::Mutex::new(tags.clone())),
        try_part(&BinaryHeap::from([1, 2])),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidKey);
    }
}

#[test]
fn a_number_that_is_not_one_is_refused() {
    for refused in [try_part(&f64::NAN), try_part(&[f32::NAN])] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidKey);
    }
}
