use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tidegate_datapath::access_log::{Formatter, LogWriter, Record, Target};

use crate::record;

/// On Linux.
const O_NONBLOCK: i32 = 0o4000;

/// A directory of its own for a test, removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tidegate-access-log-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Directory(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(path: &Path) -> LogWriter {
    LogWriter::start(Target::File(path.to_path_buf()), Formatter::default()).unwrap()
}

fn numbered(ids: std::ops::Range<usize>) -> Vec<Record> {
    ids.map(|id| Record { request_id: id.to_string().as_str().into(), ..record() }).collect()
}

/// The request ids of a log, each line being JSON.
fn ids(text: &str) -> Vec<usize> {
    text.lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            value["requestId"].as_str().unwrap().parse().unwrap()
        })
        .collect()
}

/// Waits for a state that other threads bring about; the bound only ends a test that would hang.
fn wait_until(mut reached: impl FnMut() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < Duration::from_secs(60), "never reached");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn all_that_was_handed_over_is_written_in_order() {
    let directory = Directory::new();
    let path = directory.file("log");
    fs::write(&path, "").unwrap();
    let writer = start(&path);
    let sender = writer.sender();
    for batch in 0..50 {
        sender.send(numbered(batch * 100..batch * 100 + 100));
    }
    assert!(writer.stop());
    assert_eq!(ids(&fs::read_to_string(&path).unwrap()), (0..5000).collect::<Vec<_>>());
    let counters = sender.counters();
    assert_eq!((counters.written, counters.dropped, counters.lost), (5000, 0, 0));

    sender.send(numbered(0..3));
    assert_eq!(sender.counters().dropped, 3);
}

#[test]
fn a_log_is_appended_to_and_taken_up_anew_after_a_rotation() {
    let directory = Directory::new();
    let (path, rotated) = (directory.file("log"), directory.file("log.1"));
    for run in 0..2 {
        let writer = start(&path);
        writer.sender().send(numbered(run..run + 1));
        assert!(writer.stop());
    }
    let writer = start(&path);
    let sender = writer.sender();
    fs::rename(&path, &rotated).unwrap();
    sender.send(numbered(2..3));
    wait_until(|| sender.counters().written == 1);
    writer.reopen();
    sender.send(numbered(3..4));
    assert!(writer.stop());
    assert_eq!(ids(&fs::read_to_string(&rotated).unwrap()), [0, 1, 2]);
    assert_eq!(ids(&fs::read_to_string(&path).unwrap()), [3]);
}

#[test]
fn a_failed_reopening_goes_on_with_the_old_file() {
    let directory = Directory::new();
    let inner = directory.file("inner");
    fs::create_dir(&inner).unwrap();
    let writer = start(&inner.join("log"));
    fs::rename(&inner, directory.file("moved")).unwrap();
    writer.reopen();
    writer.sender().send(numbered(0..1));
    let sender = writer.sender();
    assert!(writer.stop());
    assert_eq!(ids(&fs::read_to_string(directory.file("moved").join("log")).unwrap()), [0]);
    assert_eq!((sender.counters().errors, sender.counters().written), (1, 1));
}

#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let writer = LogWriter::start(Target::from_path("/dev/full"), Formatter::default()).unwrap();
    let sender = writer.sender();
    sender.send(numbered(0..10));
    wait_until(|| sender.counters().lost == 10);
    sender.send(numbered(10..12));
    assert!(writer.stop());
    let counters = sender.counters();
    assert_eq!((counters.written, counters.lost, counters.dropped), (0, 12, 0));
    assert!(counters.errors >= 2 && counters.last_error.unwrap().contains("No space left"));
}

#[test]
fn a_file_that_cannot_be_opened_is_told_at_start() {
    let directory = Directory::new();
    let target = Target::File(directory.file("none").join("log"));
    let error = LogWriter::start(target, Formatter::default()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(Target::from_path("-"), Target::Stdout);
}

fn fifo(directory: &Directory) -> (PathBuf, File) {
    let path = directory.file("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    // Read-write, so that opening waits for nobody.
    let keeper = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    (path, keeper)
}

#[test]
fn a_reader_that_hangs_holds_up_nobody() {
    let directory = Directory::new();
    let (path, mut keeper) = fifo(&directory);
    let writer = start(&path);
    let sender = writer.sender();
    let mut sent = 0;
    while sender.counters().dropped == 0 {
        sender.send(numbered(sent..sent + 100));
        sent += 100;
        assert!(sent < 1_000_000, "nothing was ever dropped");
    }
    // 16,384 wait, and what the thread and the pipe hold.
    assert!(sent < 18_000, "{sent}");
    assert!(!writer.stop(), "the thread cannot have written everything");

    // When the reader comes back every line that was not dropped arrives.
    let kept = sent as u64 - sender.counters().dropped;
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut lines = 0;
        let mut buf = [0; 64 << 10];
        while lines < kept {
            let count = keeper.read(&mut buf).unwrap();
            lines += buf[..count].iter().filter(|&&byte| byte == b'\n').count() as u64;
            text.extend_from_slice(&buf[..count]);
        }
        String::from_utf8(text).unwrap()
    });
    let received = ids(&reader.join().unwrap());
    assert_eq!(received.len() as u64, kept);
    assert!(received.is_sorted());
}

#[test]
fn a_reader_that_goes_away_is_counted_and_a_cut_line_does_not_spoil_the_next() {
    let directory = Directory::new();
    let (path, mut keeper) = fifo(&directory);
    let writer = start(&path);
    let sender = writer.sender();
    sender.send(numbered(0..10));
    wait_until(|| sender.counters().written == 10);
    // More than a pipe holds: once some of it has come out, the thread is about to hang within a line.
    sender.send(numbered(10..1000));
    let mut text = vec![0; 32 << 10];
    keeper.read_exact(&mut text).unwrap();
    drop(keeper);
    wait_until(|| sender.counters().lost > 0);
    assert!(sender.counters().last_error.is_some_and(|error| error.contains("Broken pipe")));

    let mut reader = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(&path).unwrap();
    let mut buf = [0; 64 << 10];
    wait_until(|| {
        sender.send(numbered(1000..1001));
        let count = reader.read(&mut buf).unwrap_or(0);
        text.extend_from_slice(&buf[..count]);
        String::from_utf8_lossy(&text).contains("\"requestId\":\"1000\"")
    });
    let text = String::from_utf8(text).unwrap();
    let whole = text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count();
    assert!(text.lines().count() - whole <= 1, "a cut line spoilt another");
    let is_late = |line: &&str| line.contains("\"requestId\":\"1000\"");
    assert_eq!(ids(text.lines().find(is_late).unwrap()), [1000]);
}
