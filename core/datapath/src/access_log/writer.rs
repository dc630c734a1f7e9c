//! The thread that formats and writes.
//!
//! Whatever happens to its output, traffic goes on: a pipe that nobody empties blocks this thread alone, and a full
//! disk costs the lines that did not fit. A line that was cut by an error is ended before the next, so that the log
//! stays one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::format::Formatter;
use super::queue::{LogReceiver, LogSender, queue};
use super::record::Record;

/// Lines are gathered up to this before they are written.
const WRITE_BYTES: usize = 64 << 10;
/// How long a non-blocking output (another owner of standard output may make it so) may be full before lines are lost.
const BLOCKED: Duration = Duration::from_millis(500);
const BLOCKED_STEP: Duration = Duration::from_millis(2);
const STOP: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Stdout,
    /// Appended to; made if it is not there, readable for its group.
    File(PathBuf),
}

impl Target {
    /// `-` is standard output.
    pub fn from_path(path: &str) -> Target {
        match path {
            "-" => Target::Stdout,
            _ => Target::File(PathBuf::from(path)),
        }
    }

    fn open(&self) -> io::Result<File> {
        match self {
            Target::Stdout => Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
            Target::File(path) => OpenOptions::new().append(true).create(true).mode(0o640).open(path),
        }
    }
}

/// Owns the thread. Dropping it without [`LogWriter::stop`] lets the thread end when the last sender is gone.
#[derive(Debug)]
pub struct LogWriter {
    sender: LogSender,
    thread: JoinHandle<()>,
    finished: Receiver<()>,
}

impl LogWriter {
    /// Opens the target and starts the thread. The error is the system's.
    pub fn start(target: Target, formatter: Formatter) -> io::Result<LogWriter> {
        let file = target.open()?;
        let (sender, receiver) = queue();
        let (finish, finished) = sync_channel(1);
        let mut output = Output { target, file, formatter, receiver, lines: Vec::new(), has_open_line: false };
        let thread = thread::Builder::new().name("access-log".to_string()).spawn(move || {
            output.run();
            // Nobody may be waiting.
            let _ = finish.send(());
        })?;
        Ok(LogWriter { sender, thread, finished })
    }

    pub fn sender(&self) -> LogSender {
        self.sender.clone()
    }

    /// Has the file opened anew before the next line, after a rotation has moved it. When that fails the old one is
    /// written on, and an error counted.
    pub fn reopen(&self) {
        self.sender.shared.reopen.store(true, Relaxed);
        self.sender.wake();
    }

    /// Takes no more, and waits up to a second for what was handed over to be written. Says whether it was.
    pub fn stop(self) -> bool {
        self.sender.shared.stopping.store(true, Relaxed);
        self.sender.wake();
        let is_finished = self.finished.recv_timeout(STOP).is_ok();
        // A thread that still hangs in a system call is left to itself.
        is_finished && self.thread.join().is_ok()
    }
}

struct Output {
    target: Target,
    file: File,
    formatter: Formatter,
    receiver: LogReceiver,
    lines: Vec<u8>,
    /// The last write broke off within a line.
    has_open_line: bool,
}

impl Output {
    fn run(&mut self) {
        while let Some(batch) = self.receiver.next() {
            let mut has_written = self.append(&batch);
            while !has_written && let Some(batch) = self.receiver.waiting() {
                has_written = self.append(&batch);
            }
            self.write_lines();
            if self.receiver.shared.stopping.load(Relaxed) {
                while let Some(batch) = self.receiver.waiting() {
                    self.append(&batch);
                }
                return self.write_lines();
            }
        }
    }

    fn reopen_if_wanted(&mut self) {
        if self.receiver.shared.reopen.swap(false, Relaxed) {
            self.write_lines();
            match self.target.open() {
                Ok(file) => {
                    self.file = file;
                    self.has_open_line = false;
                }
                Err(error) => self.receiver.shared.count_error(&error),
            }
        }
    }

    /// Says whether it had to write.
    fn append(&mut self, batch: &[Record]) -> bool {
        let mut has_written = false;
        self.reopen_if_wanted();
        for record in batch {
            self.formatter.append_line(&mut self.lines, record);
            if self.lines.len() >= WRITE_BYTES {
                self.write_lines();
                has_written = true;
            }
        }
        has_written
    }

    fn write_lines(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        if self.has_open_line {
            self.has_open_line = self.write_all(b"\n") == 0;
        }
        let lines = std::mem::take(&mut self.lines);
        let written = if self.has_open_line { 0 } else { self.write_all(&lines) };
        let (done, rest) = lines.split_at_checked(written).unwrap_or((&lines, &[]));
        self.has_open_line |= done.last().is_some_and(|&byte| byte != b'\n');
        let count = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count();
        self.receiver.shared.count_written(count(done));
        self.receiver.shared.count_lost(count(rest));
        self.lines = lines;
        self.lines.clear();
    }

    /// Bytes written before an error.
    fn write_all(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        let mut blocked_since: Option<Instant> = None;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            let error = match self.file.write(rest) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(count) => {
                    written += count;
                    blocked_since = None;
                    continue;
                }
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock if blocked_since.get_or_insert_with(Instant::now).elapsed() < BLOCKED => {
                    thread::sleep(BLOCKED_STEP);
                }
                _ => {
                    self.receiver.shared.count_error(&error);
                    break;
                }
            }
        }
        written
    }
}
