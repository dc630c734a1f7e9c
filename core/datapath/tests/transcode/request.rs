use crate::library::{bind, method};
use proptest::prelude::*;
use serde_json::json;
use tidegate_datapath::route::template::Template;
use tidegate_datapath::transcode::binding::{Binding, Failure};

const GET_BOOK: &str = "library.v1.Library.GetBook";
const CREATE_BOOK: &str = "library.v1.Library.CreateBook";
const ECHO: &str = "library.v1.Library.Echo";

fn refused(result: Result<serde_json::Value, Failure>) -> String {
    let failure = result.expect_err("refused");
    assert_eq!(failure.status, 400);
    failure.message
}

#[test]
fn path_query_and_body_make_one_message() {
    let bound = bind(CREATE_BOOK, "/v1/{parent=shelves/*}/books", "book", "");
    let found = bound.request("/v1/shelves/7/books?request_id=a+b%21", r#"{"title": "T", "tags": ["x", "y"]}"#);
    let expected = json!({"parent": "shelves/7", "book": {"title": "T", "tags": ["x", "y"]}, "requestId": "a b!"});
    assert_eq!(found, Ok(expected));
}

#[test]
fn a_whole_body_and_an_absent_one() {
    let bound = bind(CREATE_BOOK, "/v1/books", "*", "");
    let body = r#"{"book": {"author": {"firstName": "A", "last_name": "B"}}, "unknown": {"deep": [1]}}"#;
    let expected = json!({"book": {"author": {"firstName": "A", "lastName": "B"}}});
    assert_eq!(bound.request("/v1/books", body), Ok(expected));
    assert_eq!(bound.request("/v1/books", ""), Ok(json!({})));
    assert_eq!(bound.request("/v1/books", " \n"), Ok(json!({})));
    let bound = bind(CREATE_BOOK, "/v1/books", "", "");
    assert_eq!(bound.request("/v1/books", "{not read}"), Ok(json!({})));
}

#[test]
fn query_parameters_reach_nested_and_repeated_fields() {
    let bound = bind(CREATE_BOOK, "/v1/books", "", "");
    let found = bound.request(
        "/v1/books?book.author.mentor.first_name=M&book.author.lastName=L&book.tags=a&book.tags=b&book.genre=CRIME&book.pages=-5",
        "",
    );
    let expected = json!({"book": {
        "author": {"lastName": "L", "mentor": {"firstName": "M"}}, "tags": ["a", "b"], "genre": "CRIME", "pages": "-5"}});
    assert_eq!(found, Ok(expected));
}

#[test]
fn query_parameters_take_every_scalar_type() {
    let bound = bind(ECHO, "/v1/echo", "", "");
    let query = [
        ("double_value=1.5e3", json!({"doubleValue": 1500.0})),
        ("float_value=-0.5", json!({"floatValue": -0.5})),
        ("float_value=NaN", json!({"floatValue": "NaN"})),
        ("double_value=-Infinity", json!({"doubleValue": "-Infinity"})),
        ("int32_value=-2147483648", json!({"int32Value": i32::MIN})),
        ("int64_value=9223372036854775807", json!({"int64Value": "9223372036854775807"})),
        ("uint32_value=4294967295", json!({"uint32Value": u32::MAX})),
        ("uint64_value=18446744073709551615", json!({"uint64Value": "18446744073709551615"})),
        ("sint32_value=-1", json!({"sint32Value": -1})),
        ("sint64_value=-1", json!({"sint64Value": "-1"})),
        ("fixed32_value=1", json!({"fixed32Value": 1})),
        ("fixed64_value=1", json!({"fixed64Value": "1"})),
        ("sfixed32_value=-1", json!({"sfixed32Value": -1})),
        ("sfixed64_value=-1", json!({"sfixed64Value": "-1"})),
        ("bool_value=true", json!({"boolValue": true})),
        ("string_value=%C3%A9%26", json!({"stringValue": "é&"})),
        ("string_value", json!({})),
        ("bytes_value=-_8", json!({"bytesValue": "+/8="})),
        ("bytes_value=%2B/8%3D", json!({"bytesValue": "+/8="})),
        ("genre=2", json!({"genre": "POETRY"})),
        ("genre=77", json!({"genre": 77})),
        ("maybe=0", json!({"maybe": 0})),
        ("left=a", json!({"left": "a"})),
        ("numbers=1&numbers=2", json!({"numbers": [1, 2]})),
        ("time=2020-01-02T03:04:05Z", json!({"time": "2020-01-02T03:04:05Z"})),
        ("times=1970-01-01T00:00:00Z", json!({"times": ["1970-01-01T00:00:00Z"]})),
        ("duration=1.5s", json!({"duration": "1.500s"})),
        ("mask=a.bC,d", json!({"mask": "a.bC,d"})),
        ("wrapped_int=7", json!({"wrappedInt": "7"})),
        ("wrapped_string=", json!({"wrappedString": ""})),
        ("wrapped_bool=false", json!({"wrappedBool": false})),
        ("wrapped_bytes=AQ", json!({"wrappedBytes": "AQ=="})),
        ("child.child.int32_value=3", json!({"child": {"child": {"int32Value": 3}}})),
        ("&&int32_value=3&", json!({"int32Value": 3})),
        ("int32_value=1&int32_value=2", json!({"int32Value": 2})),
        ("access_token=secret", json!({})),
    ];
    for (query, expected) in query {
        assert_eq!(bound.request(&format!("/v1/echo?{query}"), ""), Ok(expected), "{query}");
    }
}

#[test]
fn bad_query_parameters_are_named() {
    let bound = bind(ECHO, "/v1/echo", "", "");
    for (query, part) in [
        ("absent=1", "unknown query parameter `absent`"),
        ("child.absent=1", "unknown query parameter `child.absent`"),
        ("=1", "unknown query parameter ``"),
        (".=1", "unknown query parameter `.`"),
        ("int32_value=x", "`int32_value`: expected an integer"),
        ("int32_value=", "`int32_value`: expected an integer"),
        ("int32_value=1.0", "expected an integer"),
        ("int32_value=2147483648", "out of range"),
        ("uint32_value=-1", "expected an integer"),
        ("bool_value=1", "expected true or false"),
        ("float_value=1e39", "out of range"),
        ("double_value=1e999", "out of range"),
        ("double_value=x", "expected a number"),
        ("bytes_value=*", "expected base64"),
        ("genre=SCIENCE", "expected a value of `library.v1.Genre`"),
        ("child=x", "name one of its fields"),
        ("counts=1", "is a map"),
        ("people.first_name=x", "is repeated"),
        ("int32_value.x=1", "is no message"),
        ("time=yesterday", "`time`"),
        ("string_value=%ff", "not UTF-8"),
        ("%ff=1", "not UTF-8"),
        ("object=x", "name one of its fields"),
    ] {
        let message = refused(bound.request(&format!("/v1/echo?{query}"), ""));
        assert!(message.contains(part), "{query}: {message}");
    }
    let deep = format!("/v1/echo?{}int32_value=1", "child.".repeat(33));
    assert!(refused(bound.request(&deep, "")).contains("deep"));
    let many = format!("/v1/echo?{}", "numbers=1&".repeat(1001));
    assert!(refused(bound.request(&many, "")).contains("more than 1000"));
}

#[test]
fn the_path_cannot_be_overridden() {
    let bound = bind(CREATE_BOOK, "/v1/{parent}/{book.name}", "*", "");
    let message = refused(bound.request("/v1/a/b?parent=c", ""));
    assert_eq!(message, "the query parameter `parent` is given by the path");
    let message = refused(bound.request("/v1/a/b?book.name=c", ""));
    assert!(message.contains("`book.name`"));
    let found = bound.request("/v1/a/b", r#"{"parent": "other", "book": {"name": "other", "title": "T"}}"#);
    assert_eq!(found, Ok(json!({"parent": "a", "book": {"name": "b", "title": "T"}})));
    let bound = bind(ECHO, "/v1/{left}", "*", "");
    assert_eq!(bound.request("/v1/a", r#"{"right": 1}"#), Ok(json!({"left": "a"})));
}

#[test]
fn bad_values_in_the_path_are_named() {
    let bound = bind(CREATE_BOOK, "/v1/{book.pages}/{parent}", "", "");
    assert_eq!(refused(bound.request("/v1/x/a", "")), "the path's `book.pages`: expected an integer");
    assert_eq!(refused(bound.request("/v1/1/%FF", "")), "the path's `parent` is not UTF-8");
    assert_eq!(bound.request("/v1/1/%C3%A9", ""), Ok(json!({"book": {"pages": "1"}, "parent": "é"})));
}

#[test]
fn bad_json_is_refused_with_its_position() {
    let bound = bind(ECHO, "/v1/echo", "*", "");
    for (body, part) in [
        ("{", "line 1 column 1"),
        ("{\n\"int32_value\": x}", "line 2 column 16"),
        ("{} {}", "trailing characters at line 1 column 4"),
        ("[]", "line 1 column 0"),
        ("null", "expected an object"),
        (r#"{"int32Value": "x"}"#, "`int32_value`: expected an integer at line 1 column 19"),
        (r#"{"int32Value": 1.5}"#, "`int32_value`: expected an integer"),
        (r#"{"int32Value": true}"#, "expected an integer"),
        (r#"{"int32Value": 3e9}"#, "out of range"),
        (r#"{"uint64Value": -1}"#, "out of range"),
        (r#"{"int32Value": {}}"#, "expected a string, number or boolean"),
        (r#"{"stringValue": 1}"#, "`string_value`: expected a string"),
        (r#"{"boolValue": 1}"#, "expected true or false"),
        (r#"{"genre": "SCIENCE"}"#, "expected a value of `library.v1.Genre`"),
        (r#"{"genres": ["CRIME", "SCIENCE"]}"#, "expected a value of"),
        (r#"{"numbers": 1}"#, "an array"),
        (r#"{"numbers": [null]}"#, "null"),
        (r#"{"counts": []}"#, "an object"),
        (r#"{"byId": {"x": {}}}"#, "a key of `by_id`: expected an integer"),
        (r#"{"child": 1}"#, "an object (`library.v1.Everything`)"),
        (r#"{"int32Value": 1, "int32Value": 1}"#, "`int32_value` is there twice at line 1 column 30"),
        (r#"{"int32Value": 1, "int32_value": 2}"#, "`int32_value` is there twice"),
        (r#"{"child": {"int32Value": 1}, "child": {"stringValue": "a"}}"#, "`child` is there twice"),
        (r#"{"child": {"numbers": [1], "numbers": [2]}}"#, "`numbers` is there twice"),
        (r#"{"child": null, "child": {}}"#, "`child` is there twice"),
        (r#"{"counts": {"a": 1}, "counts": {"b": 1}}"#, "`counts` is there twice"),
        (r#"{"people": [{"firstName": "a", "first_name": "b"}]}"#, "`first_name` is there twice"),
        (r#"{"left": "a", "right": 1}"#, "more than one field of `choice`"),
        (r#"{"time": 1}"#, "expected a string"),
        (r#"{"time": "x"}"#, "line 1"),
        (r#"{"any": {"value": 1}}"#, "line 1"),
        (r#"{"bytesValue": "*"}"#, "`bytes_value`: expected base64"),
        ("{\"stringValue\": \"\u{1}\"}", "control character"),
        (r#"{"stringValue": "\ud800"}"#, "hex escape"),
    ] {
        let message = refused(bound.request("/v1/echo", body));
        assert!(message.starts_with("invalid JSON: ") && message.contains(part), "{body}: {message}");
    }
    let failure = bound.request_message("/v1/echo", b"{\"stringValue\": \"\xff\"}").expect_err("not UTF-8");
    assert_eq!(failure.status, 400);
}

#[test]
fn the_last_of_equal_keys_of_a_map_counts() {
    let bound = bind(ECHO, "/v1/echo", "*", "");
    let found = bound.request("/v1/echo", r#"{"counts": {"a": 1, "b": 2, "a": 3}}"#);
    assert_eq!(found, bound.request("/v1/echo", r#"{"counts": {"b": 2, "a": 3}}"#));
}

#[test]
fn depth_is_bounded() {
    let bound = bind(ECHO, "/v1/echo", "*", "");
    for (open, close) in [("{\"child\":", "}"), ("{\"value\":[", "]}")] {
        let body = format!("{}1{}", open.repeat(5000), close.repeat(5000));
        assert!(refused(bound.request("/v1/echo", &body)).starts_with("invalid JSON"));
    }
    let any =
        format!("{}{{}}{}", "{\"any\":{\"@type\":\"a/library.v1.Everything\",\"any\":".repeat(2000), "}}".repeat(2000));
    assert!(refused(bound.request("/v1/echo", &any)).starts_with("invalid JSON"));
}

#[test]
fn a_struct_is_its_own_json() {
    let bound = bind("library.v1.Library.Merge", "/v1/merge", "*", "");
    let body = json!({"a": [1.0, null, "x", {"b": true}], "c": {}});
    assert_eq!(bound.request("/v1/merge", &body.to_string()), Ok(body));
}

#[test]
fn bindings_that_cannot_work_do_not_compile() {
    let faults = |name: &str, template: &str, body: &str, response_body: &str| {
        let template = Template::parse(template).expect(template);
        let faults = Binding::compile(&method(name), &template, body, response_body, [].into());
        faults.expect_err("a fault").into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(faults(GET_BOOK, "/{nothing}", "nothing", "nothing"), ["template", "body", "response_body"]);
    assert_eq!(faults(ECHO, "/{numbers}", "", ""), ["template"]);
    assert_eq!(faults(ECHO, "/{child}", "", ""), ["template"]);
    assert_eq!(faults(ECHO, "/{counts}", "", ""), ["template"]);
    assert_eq!(faults("library.v1.Library.Watch", "/", "", ""), ["template"]);
    assert_eq!(faults("library.v1.Library.Merge", "/{fields}", "", "fields").len(), 3);
}

proptest! {
    #[test]
    fn no_request_panics(query in "[a-z_.=&%+0-9é]{0,60}", body in r#"[\[\]{}":,a-z0-9. é]{0,60}|.{0,40}"#, bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let bound = bind(ECHO, "/v1/{string_value}", "*", "");
        let _ = bound.request(&format!("/v1/x?{query}"), &body);
        let _ = bound.request_message("/v1/x", &bytes);
        let _ = bound.binding.request(&[bytes.clone().into()], Some(&bytes), b"");
    }

    #[test]
    fn no_typed_body_panics(key in "double_value|int64Value|genre|child|counts|by_id|time|duration|mask|object|value|list|any|wrapped_int|people|nothing|empty", value in r#"-?[0-9]{1,25}(\.[0-9]+)?(e[+-]?[0-9]{1,3})?|"[0-9A-Za-z.:+-]{0,30}"|\[\]|\{\}|null|true|\{"@type":"a/[a-z.A-Z]{0,20}"\}"#) {
        let bound = bind(ECHO, "/v1/echo", "*", "");
        let _ = bound.request_message("/v1/echo", format!("{{\"{key}\": {value}}}").as_bytes());
        let _ = bound.request_message(&format!("/v1/echo?{key}={}", value.replace(['&', '?'], "")), b"");
    }
}
