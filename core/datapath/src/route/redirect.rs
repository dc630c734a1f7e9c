//! Where a request is sent instead of a backend: the `Location` of a redirect.

use crate::snapshot::document;

/// Checked; see `document::Redirect`.
#[derive(Debug)]
pub struct Redirect {
    pub status: u16,
    https: bool,
    host: Option<Box<str>>,
    path: Option<Box<str>>,
    prefix: Option<Box<str>>,
    strip_query: bool,
}

/// What of a request a redirect may keep. `matched` is the prefix by which the route was found.
pub struct Asked<'a> {
    pub is_tls: bool,
    pub authority: &'a [u8],
    pub path: &'a [u8],
    pub matched: &'a [u8],
    pub query: Option<&'a [u8]>,
}

impl Redirect {
    pub fn compile(document: &document::Redirect, path: &str, errors: &mut Vec<String>) -> Redirect {
        let mut error = |field: &str, message: String| errors.push(format!("{path}.redirect.{field}: {message}"));
        if ![301, 302, 303, 307, 308].contains(&document.status) {
            error("status", format!("{} is none of 301, 302, 303, 307 and 308", document.status));
        }
        if document.path.is_some() && document.prefix.is_some() {
            error("prefix", "a whole path is given already".to_owned());
        }
        if document.host.as_ref().is_some_and(|host| !crate::http1::is_valid_authority(host.as_bytes())) {
            error("host", "is no host name".to_owned());
        }
        for (field, value) in [("path", &document.path), ("prefix", &document.prefix)] {
            let fits = |text: &str| text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
            if value.as_deref().is_some_and(|text| !fits(text)) {
                error(field, "has to begin with `/`, and may hold no spaces".to_owned());
            }
        }
        let boxed = |text: &Option<String>| text.as_deref().map(Box::from);
        Redirect {
            status: document.status,
            https: document.https,
            host: boxed(&document.host),
            path: boxed(&document.path),
            prefix: boxed(&document.prefix),
            strip_query: document.strip_query,
        }
    }

    /// The URL that the client is to ask.
    pub fn location(&self, asked: &Asked<'_>) -> String {
        let mut url = if self.https || asked.is_tls { "https://" } else { "http://" }.to_owned();
        match &self.host {
            Some(host) => url.push_str(host),
            // A port belongs to the scheme that it was asked by.
            None if self.https && !asked.is_tls => push(&mut url, super::authority::host(asked.authority).as_ref()),
            None => push(&mut url, asked.authority),
        }
        match (&self.path, &self.prefix) {
            (Some(path), _) => url.push_str(path),
            (None, Some(prefix)) => {
                url.push_str(prefix);
                let rest = asked.path.strip_prefix(asked.matched).unwrap_or_default();
                // `/new/` and `/rest` make `/new/rest`.
                push(&mut url, if prefix.ends_with('/') { rest.strip_prefix(b"/").unwrap_or(rest) } else { rest });
            }
            (None, None) => push(&mut url, asked.path),
        }
        if let Some(query) = asked.query.filter(|_| !self.strip_query) {
            url.push('?');
            push(&mut url, query);
        }
        url
    }
}

fn push(url: &mut String, part: &[u8]) {
    url.push_str(&String::from_utf8_lossy(part));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(json: &str) -> Redirect {
        let document: document::Redirect = serde_json::from_str(json).unwrap();
        let mut errors = Vec::new();
        let redirect = Redirect::compile(&document, "routes[0]", &mut errors);
        assert!(errors.is_empty(), "{errors:?}");
        redirect
    }

    fn location(json: &str, is_tls: bool) -> String {
        let asked = Asked {
            is_tls,
            authority: b"shop.example:8080",
            path: b"/old/cart",
            matched: b"/old/",
            query: Some(b"a=1"),
        };
        redirect(json).location(&asked)
    }

    #[test]
    fn what_is_not_given_stays() {
        assert_eq!(location(r#"{"status": 301}"#, false), "http://shop.example:8080/old/cart?a=1");
        assert_eq!(location(r#"{"status": 301, "https": true}"#, false), "https://shop.example/old/cart?a=1");
        assert_eq!(location(r#"{"status": 302, "https": true}"#, true), "https://shop.example:8080/old/cart?a=1");
        let json = r#"{"status": 307, "host": "new.example", "strip_query": true}"#;
        assert_eq!(location(json, false), "http://new.example/old/cart");
    }

    #[test]
    fn a_path_or_the_matched_prefix_is_replaced() {
        assert_eq!(location(r#"{"status": 301, "path": "/x"}"#, false), "http://shop.example:8080/x?a=1");
        assert_eq!(location(r#"{"status": 301, "prefix": "/new/"}"#, false), "http://shop.example:8080/new/cart?a=1");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let json = r#"{"status": 200, "path": "x y", "prefix": "/a", "host": "a b"}"#;
        let document: document::Redirect = serde_json::from_str(json).unwrap();
        let mut errors = Vec::new();
        Redirect::compile(&document, "routes[1]", &mut errors);
        let fields: Vec<_> = errors.iter().map(|error| error.split(": ").next().unwrap()).collect();
        assert_eq!(
            fields,
            [
                "routes[1].redirect.status",
                "routes[1].redirect.prefix",
                "routes[1].redirect.host",
                "routes[1].redirect.path"
            ]
        );
    }
}
