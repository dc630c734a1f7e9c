//! Values for what a document leaves out; serde asks for them by path.

pub(super) fn one() -> u32 {
    1
}

pub(super) fn yes() -> bool {
    true
}

pub(super) fn sixteen() -> u32 {
    16
}

pub(super) fn three() -> u32 {
    3
}

pub(super) fn twenty() -> u32 {
    20
}

pub(super) fn thousand() -> u32 {
    1000
}

pub(super) fn ten_thousand() -> u32 {
    10_000
}

pub(super) fn sixty() -> u64 {
    60
}

pub(super) fn five_seconds() -> u64 {
    5_000
}

pub(super) fn twenty_seconds() -> u64 {
    20_000
}
