use proptest::prelude::*;
use std::borrow::Cow;
use tidegate_datapath::route::path::{PathError, fold, normalize};

fn path(target: &str) -> Result<String, PathError> {
    normalize(target.as_bytes()).map(|target| String::from_utf8(target.path.into_owned()).expect("paths are ASCII"))
}

#[test]
fn clean_paths_are_borrowed() {
    for target in ["/", "/api.Echo/Echo", "/v1/health", "/a-b_c~d/e:f@g/", "/a.b/c..d/e.", "/$&'()*+,=!"] {
        let found = normalize(target.as_bytes()).expect("valid");
        assert!(matches!(found.path, Cow::Borrowed(same) if same == target.as_bytes()), "{target}");
        assert_eq!(found.query, None);
    }
}

#[test]
fn spellings_of_a_path_come_out_the_same() {
    for (target, expected) in [
        ("/%61pi.Echo/Ech%6F", "/api.Echo/Echo"),
        ("//api.Echo///Echo", "/api.Echo/Echo"),
        ("/x/../api.Echo/Echo", "/api.Echo/Echo"),
        ("/x/%2e%2E/api.Echo/./Echo", "/api.Echo/Echo"),
        ("/./a", "/a"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/a/..", "/"),
        ("/a//../b", "/b"),
        ("/a//", "/a/"),
        ("//", "/"),
        ("/.hidden/...", "/.hidden/..."),
        ("/%7euser", "/~user"),
        ("/a%2fb%5cc%3Bd", "/a%2Fb%5Cc%3Bd"),
        ("/a%252f", "/a%252f"),
        ("/a;v=1/b", "/a;v=1/b"),
        ("/caf\u{e9}", "/caf%C3%A9"),
        ("/a%0ab", "/a%0Ab"),
        ("*", "*"),
    ] {
        assert_eq!(path(target).as_deref(), Ok(expected), "{target}");
    }
}

#[test]
fn dangerous_paths_are_refused() {
    for (target, expected) in [
        ("", PathError::NotAbsolute),
        ("api.Echo/Echo", PathError::NotAbsolute),
        ("http://host/a", PathError::NotAbsolute),
        ("*/", PathError::NotAbsolute),
        ("?a=b", PathError::NotAbsolute),
        ("/a%00", PathError::Null),
        ("/a\0", PathError::Control),
        ("/a b", PathError::Control),
        ("/a\r\nb", PathError::Control),
        ("/a\x7f", PathError::Control),
        ("/a\\b", PathError::Backslash),
        ("/a#b", PathError::Fragment),
        ("/a?b#c", PathError::Fragment),
        ("/a?b c", PathError::Control),
        ("/a%", PathError::Escape),
        ("/a%2", PathError::Escape),
        ("/a%zz", PathError::Escape),
        ("/a%+1", PathError::Escape),
        ("/..", PathError::AboveRoot),
        ("/a/../../b", PathError::AboveRoot),
        ("/%2e%2e/b", PathError::AboveRoot),
        ("/a/..;x/b", PathError::HiddenDots),
        ("/a/.;/b", PathError::HiddenDots),
        ("/a/..%2fb", PathError::HiddenDots),
        ("/a%2F%2e%2e%5Cb", PathError::HiddenDots),
        ("/a%5c..;x", PathError::HiddenDots),
    ] {
        assert_eq!(path(target), Err(expected), "{target:?}");
    }
}

#[test]
fn the_query_is_split_off_unchanged() {
    for (target, expected, query) in [
        ("/a?", "/a", ""),
        ("/a?b=%2f&c=//../?d", "/a", "b=%2f&c=//../?d"),
        ("/a/%2e/b?c=%00", "/a/b", "c=%00"),
        ("/a//?x", "/a/", "x"),
    ] {
        let found = normalize(target.as_bytes()).expect("valid");
        assert_eq!((&*found.path, found.query), (expected.as_bytes(), Some(query.as_bytes())), "{target}");
    }
}

#[test]
fn the_fold_reads_as_a_lenient_backend_would() {
    for (path, expected) in [
        ("/a/b", None),
        ("/a%2Fb", Some("/a/b")),
        ("/a%5Cb", Some("/a/b")),
        ("/a;v=1/b;w", Some("/a/b")),
        ("/a%3Bv/b", Some("/a/b")),
        ("/%40admin", Some("/@admin")),
        ("/a%2F%2Fb", Some("/a/b")),
        ("/caf%C3%A9", Some("/caf\u{e9}")),
    ] {
        assert_eq!(fold(path.as_bytes()), Ok(expected.map(|text| text.as_bytes().to_vec())), "{path}");
    }
}

fn targets() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        5 => "[a-z.]{0,3}",
        3 => Just("/".to_owned()),
        1 => Just("//".to_owned()),
        2 => Just("..".to_owned()),
        3 => "%[0-9a-fA-F]{2}",
        1 => Just("%2e".to_owned()),
        1 => Just("%2f".to_owned()),
        1 => Just(";".to_owned()),
        1 => "[?#%\\\\]",
    ];
    prop_oneof![
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()).into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

/// How many segments a path has, where only a raw slash separates.
fn slashes(path: &[u8]) -> usize {
    path.iter().filter(|&&byte| byte == b'/').count()
}

proptest! {
    #[test]
    fn normalising_twice_changes_nothing(target in targets()) {
        if let Ok(once) = normalize(&target) {
            let path = once.path.into_owned();
            let twice = normalize(&path).expect("a normal path is valid");
            prop_assert!(matches!(twice.path, Cow::Borrowed(_)));
            prop_assert_eq!(&*twice.path, &path[..]);
            prop_assert_eq!(twice.query, None);
        }
    }

    #[test]
    fn a_normal_path_holds_no_dots_no_double_slashes_and_no_controls(target in targets()) {
        if let Ok(found) = normalize(&target) && *found.path != *b"*" {
            let path = std::str::from_utf8(&found.path).expect("ASCII");
            prop_assert!(path.starts_with('/') && !path.contains("//") && !path.contains(['?', '#', '\\']));
            prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
            prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }

    #[test]
    fn decoding_never_makes_a_separator(target in targets()) {
        let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
        if let Ok(found) = normalize(&target) {
            // A trailing slash stands for a last dot segment.
            prop_assert!(slashes(&found.path) <= slashes(&target[..end]).max(1));
        }
    }

    #[test]
    fn folding_never_panics_and_is_normal_or_nothing(target in targets()) {
        if let Ok(found) = normalize(&target) && let Ok(Some(folded)) = fold(&found.path) {
            prop_assert!(folded.starts_with(b"/"));
            prop_assert!(!folded.windows(2).any(|pair| pair == b"//"));
        }
    }
}
