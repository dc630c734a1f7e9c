use proptest::prelude::*;
use tidegate_datapath::route::template::{Segment, Template, Variable};

fn literal(text: &str) -> Segment {
    Segment::Literal(text.into())
}

#[test]
fn the_whole_grammar_is_read() {
    let found = Template::parse("/v1/{a.b=x/*/y}/*/{rest=**}:undelete").expect("valid");
    let segments = vec![literal("v1"), literal("x"), Segment::Single, literal("y"), Segment::Single, Segment::Multi];
    assert_eq!(found.segments, segments);
    let variables =
        vec![Variable { field: "a.b".into(), start: 1, end: 4 }, Variable { field: "rest".into(), start: 5, end: 6 }];
    assert_eq!(found.variables, variables);
    assert_eq!(found.verb.as_deref(), Some("undelete"));
}

#[test]
fn a_template_prints_as_it_is_meant() {
    for (text, printed) in [
        ("/", "/"),
        ("/v1", "/v1"),
        ("/v1/{name}", "/v1/{name}"),
        ("/v1/{name=*}:act", "/v1/{name}:act"),
        ("/v1/{name=shelves/*/books/**}", "/v1/{name=shelves/*/books/**}"),
        ("/v1/{name=fixed}", "/v1/{name=fixed}"),
        ("/a:b/c:d:e", "/a:b/c:d:e"),
        ("/**/last", "/**/last"),
        ("/v%31/%7Ea%2fb", "/v1/~a%2Fb"),
    ] {
        let template = Template::parse(text).expect(text);
        assert_eq!(template.to_string(), printed);
        assert_eq!(Template::parse(printed), Ok(template));
    }
}

#[test]
fn errors_say_where() {
    for (text, column, part) in [
        ("", 1, "starts with"),
        ("v1", 1, "starts with"),
        ("/v1/", 5, "empty segment"),
        ("/v1//a", 5, "empty segment"),
        ("/v1/{", 6, "field path"),
        ("/v1/{a..b}", 6, "field path"),
        ("/v1/{1a}", 6, "field path"),
        ("/v1/{a", 7, "expected `}`"),
        ("/v1/{a=}", 8, "empty segment"),
        ("/v1/{a={b}}", 8, "variable within"),
        ("/v1/{a}b", 8, "expected"),
        ("/v1/a{b}", 6, "whole segment"),
        ("/v1/a*", 6, "whole segment"),
        ("/v1/**/**", 8, "one `**`"),
        ("/v1/{a}/{a}", 10, "bound twice"),
        ("/v1/a:", 7, "empty verb"),
        ("/v1/{a}:", 9, "empty verb"),
        ("/v1/:act", 5, "empty segment"),
        ("/v1/..", 5, "path"),
        ("/v1/.", 5, "not a path segment"),
        ("/v1/a b", 5, "space"),
        ("/v1/a?b", 5, "`?`"),
        ("/v1/%zz", 5, "escape"),
        ("/v1}", 4, "expected"),
    ] {
        let error = Template::parse(text).expect_err(text);
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
    }
}

#[test]
fn the_number_of_segments_is_bounded() {
    assert!(Template::parse(&"/a".repeat(64)).is_ok());
    assert!(Template::parse(&"/a".repeat(65)).is_err());
}

fn templates() -> impl Strategy<Value = String> {
    let plain = prop_oneof![4 => "[a-z][a-z0-9.:_-]{0,5}[a-z]", 2 => Just("*".to_owned())];
    let inner = proptest::collection::vec(plain.clone(), 1..4).prop_map(|parts| parts.join("/"));
    let variable = (0u8..250, inner).prop_map(|(field, inner)| format!("{{f{field}.g={inner}}}"));
    let segment = prop_oneof![3 => plain, 1 => variable];
    let end = prop_oneof![2 => Just(""), 1 => Just("/**"), 1 => Just("/{rest=**}"), 1 => Just("/{x}:verb")];
    (proptest::collection::vec(segment, 1..6), end).prop_map(|(parts, end)| format!("/{}{end}", parts.join("/")))
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(text in templates()) {
        if let Ok(template) = Template::parse(&text) {
            prop_assert_eq!(Template::parse(&template.to_string()), Ok(template));
        }
    }

    #[test]
    fn any_text_is_a_template_or_an_error(text in ".{0,60}|[/{}=*:.a%]{0,40}") {
        if let Err(error) = Template::parse(&text) {
            prop_assert!(error.column >= 1 && error.column <= text.len() + 1);
        }
    }
}
