//! One end of an HTTP/2 connection, driven by bytes from a hostile other end.
//!
//! The driver does what a worker would do with each event, by a fixed rule: it answers streams, resets some and forgets
//! them once both sides have ended. So the connection meets open, closed and half-closed streams, and two runs over the
//! same bytes differ in nothing but where the bytes were cut.

use tidegate_datapath::http2::hpack::{Dictionary, HeaderList, Limits};
use tidegate_datapath::http2::{Config, Connection, ConnectionError, Ended, ErrorCode, Event, Role, frame};

const CONFIG: Config = Config {
    max_concurrent_streams: 20,
    stream_window: 65_535,
    connection_window: 200_000,
    headers: Limits { bytes: 16 << 10, fields: 50 },
};
/// Streams that a client's end opens before the bytes come.
const REQUESTS: u32 = 12;

thread_local! {
    /// Built once: it is the same for every connection.
    pub static DICTIONARY: Dictionary = Dictionary::new(7);
}

/// What came out of a connection, as owned values that can be compared.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Opened(u32, bool, Fields),
    Headers(u32, bool, Fields),
    /// Adjacent DATA of one stream is one entry for each frame: frames are never cut.
    Data(u32, u32, bool, Vec<u8>, u32),
    Reset(u32, ErrorCode),
    StreamError(u32, u32, ErrorCode),
    StreamWindow(u32, u32),
    ConnectionWindow,
    Settings(i64),
    GoAway(u32, ErrorCode),
    PingAnswered,
    Failed(ConnectionError),
}

type Fields = (bool, bool, Vec<(Vec<u8>, Vec<u8>)>);

struct Run {
    seen: Vec<Seen>,
    /// All that the connection has written, preface and SETTINGS first.
    out: Vec<u8>,
}

/// Feeds `input` in pieces that end at `cuts`.
fn run(dictionary: &Dictionary, role: Role, input: &[u8], cuts: &[usize]) -> Run {
    let mut connection = Connection::new(role, CONFIG, 0);
    let mut list = HeaderList::default();
    let mut driver = Driver { seen: Vec::new(), answered: 0 };
    if role == Role::Client {
        let mut settings = Vec::new();
        frame::write_settings(&mut settings, &[]);
        let first = connection.next(dictionary, &settings, &mut 0, &mut list, 0);
        assert_eq!(first, Ok(Some(Event::Settings { window_change: 0 })));
        for slot in 0..REQUESTS {
            if let Some(stream) = connection.open_stream(slot_of(slot * 2 + 1)) {
                let path = dictionary.field(b":path", format!("/{slot}").as_bytes());
                connection.headers(stream, slot % 2 == 0, |encoder, out| encoder.field(&path, out));
            }
        }
    }
    let mut start = 0;
    'input: for &end in cuts {
        let piece = &input[start..end];
        let mut at = 0;
        loop {
            let (before, began) = (connection.out.len(), at);
            let next = connection.next(dictionary, piece, &mut at, &mut list, 0);
            assert!(at <= piece.len() && at >= began, "moved behind the input");
            let written = connection.out.len() - before;
            assert!(written <= 2 * (at - began), "wrote {written} bytes for {}", at - began);
            assert!(list.footprint() <= 64 * CONFIG.headers.bytes, "a list of {} bytes", list.footprint());
            match next {
                Ok(Some(event)) => driver.take(dictionary, &mut connection, event, &list),
                Ok(None) => break,
                Err(error) => {
                    driver.seen.push(Seen::Failed(error));
                    break 'input;
                }
            }
        }
        start += at;
    }
    Run { seen: driver.seen, out: connection.out }
}

struct Driver {
    seen: Vec<Seen>,
    answered: u32,
}

impl Driver {
    fn take(&mut self, dictionary: &Dictionary, connection: &mut Connection, event: Event<'_>, list: &HeaderList) {
        let fields = || {
            let fields = list.iter(dictionary).map(|(name, value)| (name.to_vec(), value.to_vec()));
            (list.is_malformed(), list.is_oversize(), fields.collect())
        };
        let seen = match event {
            Event::Opened { stream, end_stream } => {
                assert!(stream % 2 == 1, "a client opened {stream}");
                assert!(connection.stream_count() < CONFIG.max_concurrent_streams as usize, "too many streams");
                connection.insert_stream(stream, slot_of(stream));
                self.answer(dictionary, connection, stream, end_stream);
                Seen::Opened(stream, end_stream, fields())
            }
            Event::Headers { stream, slot, end_stream } => {
                assert_eq!(slot, slot_of(stream), "another stream's slot");
                settle(connection, stream, end_stream);
                Seen::Headers(stream, end_stream, fields())
            }
            Event::Data { stream, slot, end_stream, bytes, overhead } => {
                assert_eq!(slot, slot_of(stream), "another stream's slot");
                let seen = Seen::Data(stream, slot, end_stream, bytes.to_vec(), overhead);
                settle(connection, stream, end_stream);
                seen
            }
            Event::Reset { slot, code } => {
                connection.remove_stream(stream_of(slot), Ended::ResetByPeer);
                Seen::Reset(slot, code)
            }
            Event::StreamError { stream, slot, code } => {
                connection.remove_stream(stream, Ended::ResetByUs);
                connection.reset_stream(stream, code);
                Seen::StreamError(stream, slot, code)
            }
            Event::StreamWindow { slot, increment } => {
                assert!(increment > 0);
                Seen::StreamWindow(slot, increment)
            }
            Event::ConnectionWindow => Seen::ConnectionWindow,
            Event::Settings { window_change } => Seen::Settings(window_change),
            Event::GoAway { last, code } => Seen::GoAway(last, code),
            Event::PingAnswered => Seen::PingAnswered,
        };
        self.seen.push(seen);
    }

    /// Every third request is answered at once and every fifth is reset.
    fn answer(&mut self, dictionary: &Dictionary, connection: &mut Connection, stream: u32, end_stream: bool) {
        self.answered += 1;
        if self.answered.is_multiple_of(5) {
            connection.reset_stream(stream, ErrorCode::CANCEL);
            connection.remove_stream(stream, Ended::ResetByUs);
        } else if self.answered.is_multiple_of(3) {
            let status = dictionary.field(b":status", b"200");
            connection.headers(stream, true, |encoder, out| encoder.field(&status, out));
            settle(connection, stream, end_stream);
        }
    }
}

/// No slot is what an empty place of a table holds.
fn slot_of(stream: u32) -> u32 {
    stream / 2 + 1000
}

fn stream_of(slot: u32) -> u32 {
    (slot - 1000) * 2 + 1
}

fn settle(connection: &mut Connection, stream: u32, end_stream: bool) {
    if end_stream {
        connection.remove_stream(stream, Ended::Complete);
    }
}

/// What both targets hold the connection to.
pub fn check(role: Role, input: &[u8], cuts: &[usize]) {
    DICTIONARY.with(|dictionary| {
        let whole = run(dictionary, role, input, &[input.len()]);
        let cut = run(dictionary, role, input, cuts);
        assert_eq!(whole.seen, cut.seen, "the cuts change what is seen");
        assert_eq!(whole.out, cut.out, "the cuts change what is said");
    });
}
