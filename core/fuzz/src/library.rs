//! The API whose messages the transcoding targets read and print: every kind of field and every well-known type.

use prost_reflect::MethodDescriptor;
use std::sync::LazyLock;
use tidegate_datapath::route::template::Template;
use tidegate_datapath::transcode::binding::Binding;
use tidegate_datapath::transcode::descriptors::Descriptors;

const LIBRARY: &[u8] = include_bytes!("../../datapath/tests/protos/library.pb");

/// Built once; every run of a target uses it.
pub struct Library {
    pub descriptors: Descriptors,
    pub bindings: Vec<Bound>,
}

pub struct Bound {
    pub method: MethodDescriptor,
    pub binding: Binding,
    /// Values that the path gives to the template's variables.
    pub variables: usize,
    pub takes_whole_body: bool,
}

pub static LIBRARY_API: LazyLock<Library> = LazyLock::new(|| {
    let descriptors = Descriptors::build(&[LIBRARY.to_vec()]).expect("the library's descriptors");
    let bindings = [
        ("library.v1.Library.Echo", "/v1/echo", "*", ""),
        ("library.v1.Library.Echo", "/v1/{string_value}/{child.int32_value}/{time}", "child", "child"),
        ("library.v1.Library.Echo", "/v1/echo", "", "counts"),
        ("library.v1.Library.Merge", "/v1/merge", "*", ""),
        ("library.v1.Library.CreateBook", "/v1/{parent=shelves/*}/books", "book", "title"),
        ("library.v1.Library.GetBook", "/v1/{name=shelves/*/books/*}", "", ""),
        ("library.v1.Library.Echo", "/v1/echo", "people", "value"),
        ("grpc.health.v1.Health.Check", "/v1/health", "", ""),
    ]
    .map(|(name, template, body, response_body)| {
        let method = descriptors.method(name).expect(name);
        let template = Template::parse(template).expect(template);
        let binding = Binding::compile(&method, &template, body, response_body, ["access_token".into()].into());
        Bound {
            binding: binding.expect(name),
            variables: template.variables.len(),
            takes_whole_body: body == "*",
            method,
        }
    });
    Library { descriptors, bindings: bindings.into() }
});
