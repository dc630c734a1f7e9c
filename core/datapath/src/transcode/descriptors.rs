//! The pool of message types and services that transcoding works with, merged from the operator's descriptor sets.
//!
//! Sets come from different compilers and repositories, so the same file may be in several of them. A file that is equal
//! apart from comments is taken once; files of `google/protobuf` may differ (every protoc brings its own) and the first
//! is taken; any other difference is an error. Imports that no set holds are dropped: most, like `google/api/annotations.proto`,
//! are needed for options alone, and a type that is really missing is reported by its name.

use super::health;
use prost::Message;
use prost_reflect::prost_types::{FileDescriptorProto, FileDescriptorSet};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

const WELL_KNOWN_PACKAGE: &str = "google.protobuf";

/// All files of all sets, `google.protobuf` and `grpc.health.v1`. Cheap to clone.
#[derive(Clone)]
pub struct Descriptors {
    pool: DescriptorPool,
}

/// prost-reflect's own Debug never ends on a message that holds itself; no type here derives it from descriptors.
impl fmt::Debug for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pool.files().map(|file| file.name().to_owned())).finish()
    }
}

impl Descriptors {
    /// Merges serialized `FileDescriptorSet`s. The errors are all that were found, as `descriptors[0]: message`.
    pub fn build(sets: &[Vec<u8>]) -> Result<Descriptors, Vec<String>> {
        let mut errors = Vec::new();
        let mut files = merge(sets, &mut errors);
        add_well_known(&mut files);
        health::add_to(&mut files);
        let missing = drop_missing_imports(&mut files);
        let mut pool = DescriptorPool::new();
        let mut left: Vec<Found> = files.into_values().collect();
        let mut done = BTreeSet::new();
        // Imports first. What is left when a round adds nothing imports itself or a file that was refused.
        loop {
            let (ready, waiting): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|file| file.proto.dependency.iter().all(|name| done.contains(name)));
            if ready.is_empty() {
                if errors.is_empty() && !waiting.is_empty() {
                    let names: Vec<_> = waiting.iter().map(|file| file.proto.name()).collect();
                    errors.push(format!("descriptors: files import each other in a circle: {}", names.join(", ")));
                }
                break;
            }
            left = waiting;
            for file in ready {
                let name = file.proto.name().to_owned();
                match add(&mut pool, file.proto) {
                    Ok(()) => _ = done.insert(name),
                    Err(message) => errors.push(explain(file.set, &name, &message, missing.get(&name))),
                }
            }
        }
        if errors.is_empty() { Ok(Descriptors { pool }) } else { Err(errors) }
    }

    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// By `pkg.Service.Method`.
    pub fn method(&self, name: &str) -> Option<MethodDescriptor> {
        let (service, method) = name.rsplit_once('.')?;
        self.pool.get_service_by_name(service)?.methods().find(|found| found.name() == method)
    }

    /// Every method of every service, `grpc.health.v1` included.
    pub fn methods(&self) -> Vec<MethodDescriptor> {
        self.pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
    }
}

/// A file and the index of the set that it came from; None for those that we add.
pub(super) struct Found {
    pub(super) proto: FileDescriptorProto,
    pub(super) set: Option<usize>,
}

pub(super) type Files = BTreeMap<String, Found>;

fn merge(sets: &[Vec<u8>], errors: &mut Vec<String>) -> Files {
    let mut files = Files::new();
    for (set, data) in sets.iter().enumerate() {
        let decoded = match FileDescriptorSet::decode(data.as_slice()) {
            Ok(decoded) => decoded,
            Err(error) => {
                errors.push(format!("descriptors[{set}]: not a FileDescriptorSet: {error}"));
                continue;
            }
        };
        for mut proto in decoded.file {
            proto.source_code_info = None;
            let name = proto.name().to_owned();
            match files.get(&name) {
                None => _ = files.insert(name, Found { proto, set: Some(set) }),
                Some(other) if other.proto == proto || proto.package() == WELL_KNOWN_PACKAGE => {}
                Some(other) => errors.push(format!(
                    "descriptors[{set}]: `{name}` differs from the file of that name in descriptors[{}]",
                    other.set.unwrap_or_default()
                )),
            }
        }
    }
    files
}

fn add_well_known(files: &mut Files) {
    let types = |file: &FileDescriptorProto| {
        let messages = file.message_type.iter().map(|message| message.name().to_owned());
        messages.chain(file.enum_type.iter().map(|kind| kind.name().to_owned())).collect::<Vec<_>>()
    };
    let own: BTreeSet<String> = files
        .values()
        .filter(|file| file.proto.package() == WELL_KNOWN_PACKAGE)
        .flat_map(|file| types(&file.proto))
        .collect();
    for file in DescriptorPool::global().files() {
        let proto = file.file_descriptor_proto();
        let ours = proto.package() == WELL_KNOWN_PACKAGE && !types(proto).iter().any(|name| own.contains(name));
        if ours {
            files.entry(proto.name().to_owned()).or_insert_with(|| Found { proto: proto.clone(), set: None });
        }
    }
}

/// Returns what was dropped, by the file that imported it.
fn drop_missing_imports(files: &mut Files) -> BTreeMap<String, Vec<String>> {
    let known: BTreeSet<String> = files.keys().cloned().collect();
    let mut dropped = BTreeMap::new();
    for (name, file) in files.iter_mut() {
        let proto = &mut file.proto;
        if proto.dependency.iter().all(|import| known.contains(import)) {
            continue;
        }
        let public: BTreeSet<String> = proto
            .public_dependency
            .iter()
            .filter_map(|index| proto.dependency.get(usize::try_from(*index).ok()?).cloned())
            .collect();
        let (kept, missing): (Vec<_>, Vec<_>) =
            std::mem::take(&mut proto.dependency).into_iter().partition(|import| known.contains(import));
        proto.public_dependency =
            (0i32..).zip(&kept).filter(|(_, name)| public.contains(*name)).map(|(i, _)| i).collect();
        proto.weak_dependency.clear();
        proto.dependency = kept;
        dropped.insert(name.clone(), missing);
    }
    dropped
}

fn add(pool: &mut DescriptorPool, proto: FileDescriptorProto) -> Result<(), String> {
    match proto.syntax() {
        "" | "proto2" | "proto3" => {}
        "editions" => return Err("it is written in an edition; proto2 and proto3 are understood".into()),
        other => return Err(format!("unknown syntax `{other}`")),
    }
    pool.add_file_descriptor_proto(proto).map_err(|error| error.to_string())
}

fn explain(set: Option<usize>, name: &str, message: &str, missing: Option<&Vec<String>>) -> String {
    let place = set.map_or_else(|| "descriptors".to_owned(), |set| format!("descriptors[{set}]"));
    let hint = missing.map_or_else(String::new, |missing| {
        format!(" (no set holds its imports {}: compile with --include_imports)", missing.join(", "))
    });
    format!("{place}: `{name}`: {message}{hint}")
}
