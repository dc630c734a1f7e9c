//! Two ends of a byte stream in memory, non-blocking, which cuts what passes into pieces of given sizes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;

use tidegate_datapath::tls::ByteStream;

#[derive(Debug, Default)]
struct Direction {
    bytes: VecDeque<u8>,
    closed: bool,
    writes: usize,
    writer_is_blocked: bool,
    /// What an edge-triggered poll has to say to the reader and to the writer.
    readable: bool,
    writable: bool,
}

#[derive(Debug)]
pub(crate) struct PipeEnd {
    inbound: Rc<RefCell<Direction>>,
    outbound: Rc<RefCell<Direction>>,
    /// Bytes that the next calls may move, in turn; 0 answers WouldBlock.
    read_sizes: VecDeque<usize>,
    write_sizes: VecDeque<usize>,
    /// Bytes in flight that one direction holds.
    capacity: usize,
}

pub(crate) fn pipe(sizes: &[usize], capacity: usize) -> (PipeEnd, PipeEnd) {
    let (one, other) = (Rc::new(RefCell::new(Direction::default())), Rc::new(RefCell::new(Direction::default())));
    let end = |inbound: &Rc<RefCell<Direction>>, outbound: &Rc<RefCell<Direction>>| PipeEnd {
        inbound: inbound.clone(),
        outbound: outbound.clone(),
        read_sizes: sizes.iter().copied().collect(),
        write_sizes: sizes.iter().copied().collect(),
        capacity,
    };
    (end(&one, &other), end(&other, &one))
}

fn next(sizes: &mut VecDeque<usize>) -> usize {
    sizes.rotate_left(1.min(sizes.len()));
    sizes.back().copied().unwrap_or(usize::MAX)
}

impl PipeEnd {
    /// As when the connection breaks: the peer reads an end that TLS did not announce.
    pub(crate) fn cut(&mut self) {
        let mut outbound = self.outbound.borrow_mut();
        outbound.closed = true;
        outbound.readable = true;
    }

    /// Whether something happened to this end since the last time, as an edge-triggered poll would tell.
    pub(crate) fn take_event(&mut self) -> bool {
        std::mem::take(&mut self.inbound.borrow_mut().readable)
            | std::mem::take(&mut self.outbound.borrow_mut().writable)
    }

    /// Sends bytes behind the back of whoever owns this end.
    pub(crate) fn inject(&mut self, bytes: &[u8]) {
        self.outbound.borrow_mut().bytes.extend(bytes);
    }

    /// Has this end's direction hold more in flight.
    pub(crate) fn widen(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Calls so far that wrote something.
    pub(crate) fn writes(&self) -> usize {
        self.outbound.borrow().writes
    }

    pub(crate) fn waiting(&self) -> usize {
        self.inbound.borrow().bytes.len()
    }

    /// Damages the byte that the other end reads next.
    pub(crate) fn corrupt(&mut self) {
        if let Some(byte) = self.inbound.borrow_mut().bytes.back_mut() {
            *byte ^= 0x55;
        }
    }
}

impl Read for PipeEnd {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let allowance = next(&mut self.read_sizes);
        let mut inbound = self.inbound.borrow_mut();
        if inbound.bytes.is_empty() && inbound.closed {
            return Ok(0);
        }
        let count = inbound.bytes.len().min(buf.len()).min(allowance);
        if count == 0 {
            inbound.readable |= !inbound.bytes.is_empty();
            return Err(ErrorKind::WouldBlock.into());
        }
        inbound.writable |= std::mem::take(&mut inbound.writer_is_blocked);
        buf.iter_mut().zip(inbound.bytes.drain(..count)).for_each(|(to, from)| *to = from);
        Ok(count)
    }
}

impl Write for PipeEnd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let allowance = next(&mut self.write_sizes);
        let mut outbound = self.outbound.borrow_mut();
        if outbound.closed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let room = self.capacity - outbound.bytes.len();
        let space = room.min(allowance);
        if space == 0 {
            outbound.writable |= room > 0;
            outbound.writer_is_blocked |= room == 0;
            return Err(ErrorKind::WouldBlock.into());
        }
        let before = outbound.bytes.len();
        let bytes = slices.iter().flat_map(|slice| slice.iter().copied()).take(space);
        outbound.bytes.extend(bytes);
        outbound.writes += 1;
        outbound.readable = true;
        Ok(outbound.bytes.len() - before)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ByteStream for PipeEnd {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.cut();
        Ok(())
    }
}
