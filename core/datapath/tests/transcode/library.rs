//! The API that the tests transcode, and short ways to its bindings.

use prost_reflect::{DynamicMessage, MethodDescriptor};
use std::borrow::Cow;
use std::sync::LazyLock;
use tidegate_datapath::route::template::Template;
use tidegate_datapath::route::tree::{Find, Tree};
use tidegate_datapath::transcode::binding::{Binding, Failure};
use tidegate_datapath::transcode::descriptors::Descriptors;

pub(crate) const LIBRARY: &[u8] = include_bytes!("../protos/library.pb");

static DESCRIPTORS: LazyLock<Descriptors> =
    LazyLock::new(|| Descriptors::build(&[LIBRARY.to_vec()]).expect("the library's descriptors"));

pub(crate) fn descriptors() -> &'static Descriptors {
    &DESCRIPTORS
}

pub(crate) fn method(name: &str) -> MethodDescriptor {
    descriptors().method(name).expect(name)
}

/// A binding with its template, as the table holds it.
pub(crate) struct Bound {
    tree: Tree,
    pub(crate) binding: Binding,
    method: MethodDescriptor,
}

pub(crate) fn bind(name: &str, template: &str, body: &str, response_body: &str) -> Bound {
    let method = method(name);
    let parsed = Template::parse(template).expect(template);
    let ignored = ["access_token".into()].into();
    let binding = Binding::compile(&method, &parsed, body, response_body, ignored).expect(template);
    let mut tree = Tree::default();
    tree.insert("*", parsed).expect("the only one");
    Bound { tree, binding, method }
}

impl Bound {
    /// The request message as JSON, so that tests can say it shortly.
    pub(crate) fn request(&self, target: &str, body: &str) -> Result<serde_json::Value, Failure> {
        let message = self.request_message(target, body.as_bytes())?;
        Ok(serde_json::to_value(&message).expect("printable"))
    }

    pub(crate) fn request_message(&self, target: &str, body: &[u8]) -> Result<DynamicMessage, Failure> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes())),
            None => (target, None),
        };
        let Find::Match(found) = self.tree.find(b"GET", path.as_bytes()) else { panic!("{target} does not match") };
        let captures: Vec<Cow<'_, [u8]>> = found.captures;
        let framed = self.binding.request(&captures, query, body)?;
        let (prefix, message) = framed.split_at(5);
        assert_eq!(prefix[0], 0);
        assert_eq!(u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize, message.len());
        Ok(DynamicMessage::decode(self.method.input(), message).expect("a valid message"))
    }
}
