use crate::library::{LIBRARY, descriptors};
use proptest::prelude::*;
use prost::Message;
use prost_reflect::prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto,
    SourceCodeInfo, source_code_info::Location,
};
use serde_json::{Value, json};
use tidegate_datapath::transcode::annotations::describe;
use tidegate_datapath::transcode::descriptors::Descriptors;

fn file(name: &str, package: &str, message: &str) -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(name.into()),
        package: Some(package.into()),
        syntax: Some("proto3".into()),
        message_type: vec![DescriptorProto { name: Some(message.into()), ..Default::default() }],
        ..Default::default()
    }
}

fn set(files: Vec<FileDescriptorProto>) -> Vec<u8> {
    FileDescriptorSet { file: files }.encode_to_vec()
}

#[test]
fn imports_that_no_set_holds_are_filled_in_or_dropped() {
    let found = descriptors();
    assert!(found.method("library.v1.Library.GetBook").is_some());
    assert!(found.pool().get_message_by_name("google.protobuf.Timestamp").is_some());
    assert!(found.method("library.v1.Library.Nothing").is_none());
    assert!(found.method("Nothing").is_none());
}

#[test]
fn health_is_there_in_full() {
    let descriptors = Descriptors::build(&[]).expect("nothing but ours");
    let names: Vec<String> = descriptors.methods().iter().map(|method| method.full_name().to_owned()).collect();
    assert_eq!(names, ["Check", "List", "Watch"].map(|name| format!("grpc.health.v1.Health.{name}")));
    let watch = descriptors.method("grpc.health.v1.Health.Watch").expect("Watch");
    assert!(watch.is_server_streaming() && !watch.is_client_streaming());
    let status = descriptors.pool().get_enum_by_name("grpc.health.v1.HealthCheckResponse.ServingStatus");
    let values: Vec<(i32, String)> =
        status.expect("the enum").values().map(|value| (value.number(), value.name().to_owned())).collect();
    let expected = [(0, "UNKNOWN"), (1, "SERVING"), (2, "NOT_SERVING"), (3, "SERVICE_UNKNOWN")];
    assert_eq!(values, expected.map(|(number, name)| (number, name.to_owned())));
    let statuses = descriptors.pool().get_message_by_name("grpc.health.v1.HealthListResponse").expect("the message");
    assert!(statuses.get_field_by_name("statuses").expect("the field").is_map());
}

#[test]
fn an_operators_own_health_file_is_kept() {
    let mut own = file("vendored/health.proto", "grpc.health.v1", "HealthCheckRequest");
    own.service = vec![ServiceDescriptorProto { name: Some("Health".into()), ..Default::default() }];
    let descriptors = Descriptors::build(&[set(vec![own])]).expect("no conflict");
    assert!(descriptors.method("grpc.health.v1.Health.Check").is_none());
    assert!(descriptors.pool().get_service_by_name("grpc.health.v1.Health").is_some());
}

#[test]
fn equal_files_merge_and_different_ones_are_reported() {
    let plain = file("a.proto", "a", "Message");
    let mut commented = plain.clone();
    commented.source_code_info = Some(SourceCodeInfo {
        location: vec![Location { leading_comments: Some("why".into()), ..Default::default() }],
    });
    let sets = [set(vec![plain.clone()]), set(vec![commented]), LIBRARY.to_vec()];
    assert!(Descriptors::build(&sets).is_ok());

    let other = file("a.proto", "a", "Different");
    let errors = Descriptors::build(&[set(vec![plain]), set(vec![other])]).expect_err("a conflict");
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("descriptors[1]: `a.proto` differs"), "{errors:?}");
}

#[test]
fn several_versions_of_googles_own_files_are_fine() {
    let one = file("google/protobuf/timestamp.proto", "google.protobuf", "Timestamp");
    let mut two = one.clone();
    two.message_type[0].field.push(FieldDescriptorProto {
        name: Some("seconds".into()),
        number: Some(1),
        label: Some(1),
        r#type: Some(3),
        ..Default::default()
    });
    let moved = FileDescriptorProto {
        name: Some("third_party/duration.proto".into()),
        ..file("", "google.protobuf", "Duration")
    };
    assert!(Descriptors::build(&[set(vec![one]), set(vec![two]), set(vec![moved])]).is_ok());
}

#[test]
fn the_order_of_files_does_not_matter() {
    let base = file("base.proto", "base", "Base");
    let mut user = file("user.proto", "user", "User");
    user.dependency = vec!["base.proto".into()];
    user.message_type[0].field.push(FieldDescriptorProto {
        name: Some("base".into()),
        number: Some(1),
        label: Some(1),
        r#type: Some(11),
        type_name: Some(".base.Base".into()),
        ..Default::default()
    });
    assert!(Descriptors::build(&[set(vec![user.clone(), base.clone()])]).is_ok());
    assert!(Descriptors::build(&[set(vec![user.clone()]), set(vec![base])]).is_ok());

    let errors = Descriptors::build(&[set(vec![user])]).expect_err("no base.proto");
    assert!(errors[0].contains("base.Base") && errors[0].contains("--include_imports"), "{errors:?}");
}

#[test]
fn all_errors_are_reported() {
    let mut editions = file("editions.proto", "e", "E");
    editions.syntax = Some("editions".into());
    let mut broken = file("broken.proto", "b", "B");
    broken.message_type[0].field.push(FieldDescriptorProto {
        name: Some("x".into()),
        number: Some(1),
        label: Some(1),
        r#type: Some(11),
        type_name: Some(".nowhere.X".into()),
        ..Default::default()
    });
    let mut user = file("user.proto", "u", "U");
    user.dependency = vec!["broken.proto".into()];
    let errors = Descriptors::build(&[vec![0xff, 0xff], set(vec![editions, broken, user])]).expect_err("three faults");
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].starts_with("descriptors[0]: not a FileDescriptorSet"), "{errors:?}");
    assert!(errors.iter().any(|error| error.contains("`editions.proto`: it is written in an edition")), "{errors:?}");
    assert!(errors.iter().any(|error| error.starts_with("descriptors[1]: `broken.proto`: ")), "{errors:?}");
}

#[test]
fn files_that_import_each_other_are_reported() {
    let mut one = file("one.proto", "one", "One");
    one.dependency = vec!["two.proto".into()];
    let mut two = file("two.proto", "two", "Two");
    two.dependency = vec!["one.proto".into()];
    let errors = Descriptors::build(&[set(vec![one, two])]).expect_err("a circle");
    assert!(errors[0].contains("one.proto, two.proto"), "{errors:?}");
}

#[test]
fn a_set_describes_its_services_and_annotations() {
    let described: Value = serde_json::from_str(&describe(LIBRARY).expect("valid")).expect("JSON");
    let methods = &described["services"][0]["methods"];
    assert_eq!(described["services"][0]["name"], "library.v1.Library");
    assert_eq!(
        methods[0],
        json!({
            "name": "GetBook", "client_streaming": false, "server_streaming": false,
            "input": "library.v1.GetBookRequest", "output": "library.v1.Book",
            "http": [
                {"verb": "GET", "template": "/v1/{name=shelves/*/books/*}", "body": "", "response_body": ""},
                {"verb": "GET", "template": "/v1/books/{name}", "body": "", "response_body": ""},
                {"verb": "FETCH", "template": "/v1/fetch/{name}", "body": "", "response_body": ""},
            ],
        })
    );
    assert_eq!(
        methods[1]["http"],
        json!([{"verb": "POST", "template": "/v1/{parent=shelves/*}/books", "body": "book", "response_body": "title"}])
    );
    assert_eq!((&methods[2]["server_streaming"], &methods[2]["http"]), (&json!(true), &json!([])));
    assert_eq!(methods[3]["client_streaming"], true);
    assert_eq!(methods[3]["output"], "google.protobuf.Empty");
}

#[test]
fn what_is_no_descriptor_set_is_refused() {
    assert!(describe(b"").is_err());
    assert!(describe(b"syntax = \"proto3\";").is_err());
}

proptest! {
    #[test]
    fn broken_sets_never_panic(mut data in Just(LIBRARY.to_vec()), flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        for (place, byte) in flips {
            let place = place.index(data.len());
            data[place] = byte;
        }
        let _ = describe(&data);
        let _ = Descriptors::build(&[data]);
    }
}
