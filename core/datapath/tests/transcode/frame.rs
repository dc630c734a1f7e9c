use proptest::prelude::*;
use tidegate_datapath::transcode::frame::{FrameError, MessageReader, frame};

fn read(data: &[u8], limit: usize) -> Result<Vec<u8>, FrameError> {
    let mut reader = MessageReader::new(limit);
    reader.push(data)?;
    reader.finish()
}

#[test]
fn only_one_plain_message_within_the_limit_is_accepted() {
    assert_eq!(read(&frame(b"abc").expect("short"), 3), Ok(b"abc".to_vec()));
    assert_eq!(read(&frame(b"").expect("short"), 0), Ok(Vec::new()));
    assert_eq!(read(b"\0\0\0\0\x04", 3), Err(FrameError::TooLarge { length: 4, limit: 3 }));
    assert_eq!(
        read(b"\0\xff\xff\xff\xff", 1 << 20),
        Err(FrameError::TooLarge { length: u32::MAX as usize, limit: 1 << 20 })
    );
    assert_eq!(read(b"\x01", 9), Err(FrameError::Compressed));
    assert_eq!(read(b"\x02", 9), Err(FrameError::BadFlag(2)));
    assert_eq!(read(b"\0\0\0\0\x01ab", 9), Err(FrameError::SecondMessage));
    assert_eq!(read(b"\0\0\0\0\x02a", 9), Err(FrameError::Truncated));
    assert_eq!(read(b"\0\0\0", 9), Err(FrameError::Truncated));
    assert_eq!(read(b"", 9), Err(FrameError::Missing));
}

#[test]
fn memory_follows_what_has_come() {
    let mut reader = MessageReader::new(usize::MAX);
    reader.push(b"\0\x7f\xff\xff\xffabc").expect("the beginning of a message");
    assert_eq!(reader.buffered(), 8);
}

proptest! {
    #[test]
    fn any_pieces_give_the_message(message in proptest::collection::vec(any::<u8>(), 0..200), cuts in proptest::collection::vec(1usize..20, 1..60)) {
        let framed = frame(&message).expect("short");
        let mut reader = MessageReader::new(message.len());
        let mut rest = framed.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            reader.push(piece).expect("a valid piece");
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(reader.finish(), Ok(message));
    }

    #[test]
    fn any_data_is_a_message_or_an_error(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..10), 0..10)) {
        let mut reader = MessageReader::new(16);
        if pieces.iter().try_for_each(|piece| reader.push(piece)).is_ok() {
            let _ = reader.finish();
        }
    }
}
