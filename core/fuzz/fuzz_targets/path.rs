//! Request targets: the normal form is one, and never says more than the target did.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_datapath::route::path::{fold, normalize};

fn slashes(path: &[u8]) -> usize {
    path.iter().filter(|&&byte| byte == b'/').count()
}

fuzz_target!(|target: &[u8]| {
    let Ok(normal) = normalize(target) else { return };
    let path = &*normal.path;
    if path == b"*" {
        return;
    }
    let query_at = target.iter().position(|&byte| byte == b'?');
    assert_eq!(normal.query, query_at.map(|at| &target[at + 1..]));
    let original = &target[..query_at.unwrap_or(target.len())];
    assert!(slashes(path) <= slashes(original), "a separator was gained");
    assert!(path.starts_with(b"/") && path.iter().all(|byte| byte.is_ascii_graphic()));
    assert!(path.len() <= 3 * original.len());
    assert!(!path.windows(2).any(|pair| pair == b"//"), "an empty segment");
    assert!(!path.split(|&byte| byte == b'/').any(|segment| matches!(segment, b"." | b"..")), "a dot segment");
    let again = normalize(path).expect("the normal form is one");
    assert_eq!(&*again.path, path);
    if let Ok(Some(lenient)) = fold(path) {
        assert!(lenient.starts_with(b"/") && lenient != path);
        assert!(!lenient.split(|&byte| byte == b'/').any(|segment| matches!(segment, b"." | b"..")), "dots are left");
    }
});
