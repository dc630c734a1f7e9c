//! Path templates, one on each line, and a path on the last: printing and parsing agree, and what a look-up finds fits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_datapath::route::path::normalize;
use tidegate_datapath::route::template::{MAX_SEGMENTS, Template};
use tidegate_datapath::route::tree::{Find, Tree};

fuzz_target!(|input: &str| {
    let (templates, path) = input.rsplit_once('\n').unwrap_or((input, "/"));
    let mut tree = Tree::default();
    let mut inserted: Vec<Template> = Vec::new();
    for text in templates.lines().take(8) {
        let Ok(template) = Template::parse(text) else { continue };
        assert!(template.segments.len() <= MAX_SEGMENTS);
        let printed = template.to_string();
        let again = Template::parse(&printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
        assert_eq!(again, template, "{printed}");
        match tree.insert("GET", template.clone()) {
            Ok(index) => {
                assert_eq!(index, inserted.len());
                inserted.push(template);
            }
            Err(other) => assert!(inserted[other].same_shape(&template), "no rival of {printed}"),
        }
    }
    let Ok(normal) = normalize(path.as_bytes()) else { return };
    match tree.find(b"GET", &normal.path) {
        Find::Match(found) => {
            assert_eq!(found.captures.len(), inserted[found.binding].variables.len());
            for capture in &found.captures {
                assert!(capture.len() <= normal.path.len());
            }
        }
        Find::WrongMethod { .. } => panic!("all are GET"),
        Find::None => {}
    }
    match tree.find(b"POST", &normal.path) {
        Find::Match(_) => panic!("none is POST"),
        Find::WrongMethod { allowed, .. } => assert_eq!(allowed, [&b"GET"[..]]),
        Find::None => {}
    }
});
