//! Transcoding: descriptors, requests, responses, statuses.

#[path = "transcode/descriptors.rs"]
mod descriptors;
#[path = "transcode/frame.rs"]
mod frame;
#[path = "transcode/library.rs"]
mod library;
#[path = "transcode/request.rs"]
mod request;
#[path = "transcode/response.rs"]
mod response;
#[path = "transcode/roundtrip.rs"]
mod roundtrip;
#[path = "transcode/status.rs"]
mod status;
