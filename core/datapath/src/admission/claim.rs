//! Values of a token's claims that rate limits tell callers apart by.

use serde_json::Value;

/// The claim of a verified token's payload, as text: a string, a number, true or false. Anything else counts as absent.
///
/// `path` is the name of a claim, or names from the outermost one joined by dots. A claim whose own name has dots
/// (`https://example.com/tenant`) is found by its name.
fn value(payload: &Value, path: &str) -> Option<String> {
    let object = payload.as_object()?;
    match object.get(path) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::Bool(flag)) => Some(flag.to_string()),
        Some(_) => None,
        None => path.match_indices('.').find_map(|(dot, _)| value(object.get(&path[..dot])?, &path[dot + 1..])),
    }
}

/// What each of the claims `paths` says, with the issuer before it: only together do they name somebody (RFC 7519, section
/// 4.1.2).
pub fn limit_keys(paths: &[String], issuer: &str, payload: &str) -> Box<[Option<Box<[u8]>>]> {
    if paths.is_empty() {
        return Box::default();
    }
    let payload: Value = serde_json::from_str(payload).unwrap_or_default();
    let key = |path: &String| Some([issuer, "\0", &value(&payload, path)?].concat().into_bytes().into());
    paths.iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &str = r#"{"sub": "alice", "org": {"tenant": {"id": 7}, "a.b": {"c": true}}, "x.y": "whole",
        "x": {"y": "parts"}, "aud": ["one"], "none": null}"#;

    fn read(path: &str) -> Option<String> {
        let keys = limit_keys(&[path.to_owned()], "https://issuer", PAYLOAD);
        let key = String::from_utf8(keys[0].clone()?.into_vec()).unwrap();
        Some(key.strip_prefix("https://issuer\0").unwrap().to_owned())
    }

    #[test]
    fn claims_and_members_of_claims() {
        for (path, expected) in [("sub", "alice"), ("org.tenant.id", "7"), ("org.a.b.c", "true"), ("x.y", "whole")] {
            assert_eq!(read(path).as_deref(), Some(expected), "{path}");
        }
        for absent in ["", ".", "subject", "sub.x", "org", "org.tenant", "org.tenant.id.x", "aud", "none", "org."] {
            assert_eq!(read(absent), None, "{absent}");
        }
    }

    #[test]
    fn no_object_has_no_claims() {
        assert_eq!(*limit_keys(&["sub".to_owned()], "i", "[]"), [None]);
        assert_eq!(*limit_keys(&["sub".to_owned()], "i", "{"), [None]);
    }
}
