use proptest::prelude::*;
use std::borrow::Cow;
use tidegate_datapath::route::template::{Segment, Template};
use tidegate_datapath::route::tree::{Find, Match, Tree};

fn tree(bindings: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::default();
    for (index, (method, template)) in bindings.iter().enumerate() {
        assert_eq!(tree.insert(method, Template::parse(template).expect(template)), Ok(index));
    }
    tree
}

fn found(tree: &Tree, method: &str, path: &str) -> Option<(usize, Vec<String>)> {
    match tree.find(method.as_bytes(), path.as_bytes()) {
        Find::Match(Match { binding, captures }) => {
            Some((binding, captures.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()))
        }
        _ => None,
    }
}

fn captured(template: &str, path: &str) -> Option<Vec<String>> {
    found(&tree(&[("GET", template)]), "GET", path).map(|(_, captures)| captures)
}

#[test]
fn variables_are_captured() {
    for (template, path, expected) in [
        ("/v1/{name}", "/v1/a", vec!["a"]),
        ("/v1/{name}", "/v1/a/", vec!["a"]),
        ("/v1/{name=shelves/*}/books/{book}", "/v1/shelves/1/books/2", vec!["shelves/1", "2"]),
        ("/v1/{path=**}", "/v1", vec![""]),
        ("/v1/{path=**}", "/v1/a", vec!["a"]),
        ("/v1/{path=**}", "/v1/a/b/c", vec!["a/b/c"]),
        ("/v1/{path=**}/end/{last}", "/v1/a/b/end/c", vec!["a/b", "c"]),
        ("/v1/{path=**}/end", "/v1/end", vec![""]),
        ("/v1/{path=a/**/b}/c", "/v1/a/x/y/b/c", vec!["a/x/y/b"]),
        ("/{first}/{path=**}/{a}/{b=x/*}", "/1/2/3/4/x/5", vec!["1", "2/3", "4", "x/5"]),
        ("/{first}/{path=**}/{a}", "/1/2", vec!["1", "", "2"]),
        ("/v1/{name}:act", "/v1/a:b:act", vec!["a:b"]),
        ("/v1/{name=fixed}", "/v1/fixed", vec!["fixed"]),
        ("/", "/", vec![]),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(captured(template, path), Some(expected), "{template} on {path}");
    }
}

#[test]
fn what_does_not_match_is_not_found() {
    for (template, path) in [
        ("/v1/{name}", "/v1"),
        ("/v1/{name}", "/v1/"),
        ("/v1/{name}", "/v1/a/b"),
        ("/v1/{name}", "/V1/a"),
        ("/v1/a:act", "/v1/a"),
        ("/v1/a:act", "/v1/a:other"),
        ("/v1/a:act", "/v1/a/act"),
        ("/v1/a:act", "/v1/a/:act"),
        ("/v1/{name}:act", "/v1/:act"),
        ("/v1/{path=**}/end", "/v1/a"),
        ("/a", "/"),
        ("/v1/health", "/v1/health;x"),
        ("/v1/health", "/v1%2Fhealth"),
        ("/v1/health", "*"),
    ] {
        assert_eq!(captured(template, path), None, "{template} on {path}");
    }
}

#[test]
fn one_segment_is_decoded_and_several_keep_what_is_reserved() {
    assert_eq!(captured("/v1/{name}", "/v1/a%2Fb%20c%25"), Some(vec!["a/b c%".into()]));
    assert_eq!(captured("/v1/{name=x/*}", "/v1/x/a%2Fb%20c"), Some(vec!["x/a%2Fb c".into()]));
    assert_eq!(captured("/v1/{name=**}", "/v1/a%2Fb%3Ac%20d"), Some(vec!["a%2Fb%3Ac d".into()]));
}

#[test]
fn the_more_literal_binding_wins_whatever_the_order() {
    let bindings =
        [("GET", "/v1/**"), ("GET", "/v1/{name}"), ("GET", "/v1/health"), ("GET", "/v1/*/b"), ("GET", "/v1/a/{x}")];
    let tree = tree(&bindings);
    for (path, expected) in
        [("/v1/health", 2), ("/v1/other", 1), ("/v1/a/b", 4), ("/v1/c/b", 3), ("/v1/c/d", 0), ("/v1", 0)]
    {
        assert_eq!(found(&tree, "GET", path).map(|(binding, _)| binding), Some(expected), "{path}");
    }
}

#[test]
fn a_less_literal_binding_serves_where_the_closer_one_leads_nowhere() {
    let tree = tree(&[("GET", "/a/b/c"), ("GET", "/*/b/d"), ("POST", "/a/b/d"), ("GET", "/a/{rest=**}")]);
    assert_eq!(found(&tree, "GET", "/a/b/d"), Some((3, vec!["b/d".into()])));
    assert_eq!(found(&tree, "POST", "/a/b/d"), Some((2, vec![])));
}

#[test]
fn an_unknown_verb_is_part_of_the_segment() {
    let tree = tree(&[("GET", "/v1/{name}"), ("POST", "/v1/{name}:act")]);
    assert_eq!(found(&tree, "GET", "/v1/a:b"), Some((0, vec!["a:b".into()])));
    assert_eq!(found(&tree, "POST", "/v1/a:act"), Some((1, vec!["a".into()])));
    assert_eq!(found(&tree, "GET", "/v1/a:act"), Some((0, vec!["a:act".into()])));
}

#[test]
fn a_wrong_method_names_template_and_allowed_methods() {
    let tree = tree(&[("GET", "/v1/x"), ("PUT", "/v1/x"), ("*", "/any")]);
    let allowed: Vec<&[u8]> = vec![b"GET", b"PUT"];
    assert_eq!(tree.find(b"POST", b"/v1/x"), Find::WrongMethod { template: "/v1/x", allowed });
    assert_eq!(found(&tree, "PURGE", "/any"), Some((2, vec![])));
    assert_eq!(found(&tree, "HEAD", "/v1/x"), Some((0, vec![])));
    assert_eq!(found(&tree, "HEAD", "/any"), Some((2, vec![])));
}

#[test]
fn equal_shapes_conflict() {
    let mut tree = tree(&[("GET", "/v1/{a}/x"), ("GET", "/v1/{a=**}/x"), ("GET", "/v1/a:act")]);
    for (method, template, expected) in [
        ("GET", "/v1/{b}/x", Err(0)),
        ("GET", "/v1/*/x", Err(0)),
        ("GET", "/v1/**/x", Err(1)),
        ("GET", "/v1/a:act", Err(2)),
        ("POST", "/v1/{b}/x", Ok(3)),
        ("GET", "/v1/a:other", Ok(4)),
    ] {
        assert_eq!(tree.insert(method, Template::parse(template).expect(template)), expected, "{template}");
    }
}

/// The meaning of a template, by trying everything.
fn matches(segments: &[Segment], path: &[&str]) -> bool {
    match segments.split_first() {
        None => path.is_empty(),
        Some((Segment::Multi, rest)) => (0..=path.len()).any(|taken| matches(rest, &path[taken..])),
        Some((Segment::Single, rest)) => path.split_first().is_some_and(|(_, path)| matches(rest, path)),
        Some((Segment::Literal(text), rest)) => {
            path.split_first().is_some_and(|(first, path)| first == text && matches(rest, path))
        }
    }
}

fn small_templates() -> impl Strategy<Value = Vec<String>> {
    let segment = prop_oneof![3 => "[ab]", 1 => Just("*".to_owned()), 1 => Just("**".to_owned())];
    let template = proptest::collection::vec(segment, 1..5).prop_map(|parts| format!("/{}", parts.join("/")));
    proptest::collection::vec(template, 1..8)
}

proptest! {
    #[test]
    fn the_tree_agrees_with_trying_every_template(
        templates in small_templates(),
        path in proptest::collection::vec("[abc]", 1..6),
    ) {
        let mut tree = Tree::default();
        let mut kept = Vec::new();
        for text in templates {
            if let Ok(template) = Template::parse(&text) && tree.insert("GET", template.clone()).is_ok() {
                kept.push(template);
            }
        }
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let text = format!("/{}", path.join("/"));
        match tree.find(b"GET", text.as_bytes()) {
            Find::Match(found) => prop_assert!(matches(&kept[found.binding].segments, &segments)),
            _ => prop_assert!(!kept.iter().any(|template| matches(&template.segments, &segments))),
        }
    }

    #[test]
    fn captures_are_what_the_wildcards_took(left in "[a-z]{1,4}", middle in proptest::collection::vec("[a-z]{1,4}", 0..5)) {
        let path = format!("/v1/{left}/{}", [middle.clone(), vec!["end".into()]].concat().join("/"));
        prop_assert_eq!(captured("/v1/{a}/{b=**}/end", &path), Some(vec![left, middle.join("/")]));
    }

    #[test]
    fn no_path_panics(path in proptest::collection::vec(any::<u8>(), 0..60)) {
        let tree = tree(&[("GET", "/{a}/{b=**}/x/{c}:act"), ("GET", "/{a=**}"), ("GET", "/a/*:go")]);
        let _ = tree.find(b"GET", &path);
    }
}

#[test]
fn a_long_path_costs_no_more_than_its_length() {
    let mut bindings: Vec<String> = (0..60).map(|depth| format!("{}/end", "/*".repeat(depth))).collect();
    bindings.push(format!("{}/**", "/a".repeat(60)));
    let pairs: Vec<(&str, &str)> = bindings.iter().map(|template| ("GET", template.as_str())).collect();
    let tree = tree(&pairs);
    let path = "/a".repeat(100_000);
    assert!(matches!(tree.find(b"GET", path.as_bytes()), Find::Match(Match { captures, .. }) if captures.is_empty()));
    let value: Cow<'_, str> = "/b".repeat(100_000).into();
    assert_eq!(tree.find(b"GET", value.as_bytes()), Find::None);
}
