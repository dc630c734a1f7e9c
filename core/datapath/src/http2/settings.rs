//! SETTINGS (RFC 9113, section 6.5.2).

use super::ConnectionError;
use super::frame::{MAX_FRAME_SIZE, MAX_WINDOW};

pub(super) const HEADER_TABLE_SIZE: u16 = 1;
pub(super) const ENABLE_PUSH: u16 = 2;
pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(super) const MAX_FRAME: u16 = 5;
pub(super) const MAX_HEADER_LIST_SIZE: u16 = 6;

/// The initial window, until SETTINGS say otherwise.
pub(super) const INITIAL_WINDOW: i32 = 65_535;

/// What the peer told us.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerSettings {
    pub(super) initial_window: i32,
    /// `u32::MAX`: no limit was given.
    pub(super) max_concurrent_streams: u32,
    /// (the smallest, the last) SETTINGS_HEADER_TABLE_SIZE of the last frame.
    pub(super) header_table_size: Option<(u32, u32)>,
    pub(super) received: bool,
}

impl Default for PeerSettings {
    fn default() -> Self {
        PeerSettings {
            initial_window: INITIAL_WINDOW,
            max_concurrent_streams: u32::MAX,
            header_table_size: None,
            received: false,
        }
    }
}

impl PeerSettings {
    /// Takes a SETTINGS payload. All of it is checked before the caller acts on any of it.
    pub(super) fn apply(&mut self, payload: &[u8], peer_is_server: bool) -> Result<(), ConnectionError> {
        if !payload.len().is_multiple_of(6) {
            return Err(ConnectionError::frame_size("SETTINGS whose length is no multiple of six"));
        }
        self.received = true;
        self.header_table_size = None;
        for entry in payload.chunks_exact(6) {
            let identifier = u16::from_be_bytes([entry[0], entry[1]]);
            let value = u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]);
            match identifier {
                HEADER_TABLE_SIZE => {
                    let smallest = self.header_table_size.map_or(value, |(smallest, _)| smallest.min(value));
                    self.header_table_size = Some((smallest, value));
                }
                ENABLE_PUSH if value > 1 || (peer_is_server && value == 1) => {
                    return Err(ConnectionError::protocol("SETTINGS_ENABLE_PUSH out of range"));
                }
                MAX_CONCURRENT_STREAMS => self.max_concurrent_streams = value,
                INITIAL_WINDOW_SIZE => {
                    if value > MAX_WINDOW {
                        return Err(ConnectionError::flow_control("SETTINGS_INITIAL_WINDOW_SIZE over 2^31-1"));
                    }
                    self.initial_window = value as i32;
                }
                MAX_FRAME if !(MAX_FRAME_SIZE as u32..=0xff_ffff).contains(&value) => {
                    return Err(ConnectionError::protocol("SETTINGS_MAX_FRAME_SIZE out of range"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
