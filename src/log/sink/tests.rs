use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::time::monotonic;

/// Keeps each write, and takes only so many bytes.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Sheet>>);

#[derive(Default)]
struct Sheet {
    writes: Vec<Vec<u8>>,
    left: Option<usize>,
    closed: bool,
    waited_for: bool,
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(locked(&self.0).writes.concat()).unwrap()
    }
}

fn eventually(holds: impl Fn() -> bool) {
    let begin = monotonic();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(1));
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        while locked(&self.0).closed {
            locked(&self.0).waited_for = true;
            thread::sleep(Duration::from_millis(1));
        }
        let mut sheet = locked(&self.0);
        let take = sheet.left.map_or(bytes.len(), |left| left.min(bytes.len()));
        if take == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        sheet.left = sheet.left.map(|left| left - take);
        sheet.writes.push(bytes[..take].to_vec());
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sink(most: usize) -> (&'static Sink, Paper) {
    let paper = Paper::default();
    (Box::leak(Box::new(Sink::new(Box::new(paper.clone()), most))), paper)
}

#[test]
fn without_a_thread_of_its_own_each_line_is_written_at_once() {
    let (sink, paper) = sink(AS_ONE);
    sink.append(b"one\n", false);
    assert_eq!(paper.text(), "one\n");
}

#[test]
fn a_line_is_written_soon_and_a_warning_with_all_before_it_by_nobody_who_logs() {
    let (sink, paper) = sink(AS_ONE);
    // As if the thread were slow to come.
    locked(&sink.waiting).behind = true;
    sink.append(b"one\n", false);
    assert!(!locked(&sink.waiting).urgent);
    sink.append(b"two\n", true);
    assert!(locked(&sink.waiting).urgent);
    assert_eq!(paper.text(), "");
    sink.write_behind().unwrap();
    eventually(|| paper.text() == "one\ntwo\n");
    sink.append(b"three\n", false);
    eventually(|| paper.text().ends_with("three\n"));
    // A reader that stands still stops the thread, and nobody else.
    locked(&paper.0).closed = true;
    sink.append(b"four\n", true);
    eventually(|| locked(&paper.0).waited_for);
    sink.append(b"five\n", true);
    assert!(paper.text().ends_with("three\n"));
    locked(&paper.0).closed = false;
    eventually(|| paper.text().ends_with("three\nfour\nfive\n"));
}

#[test]
fn lines_of_many_threads_are_whole_and_each_threads_in_order() {
    const LINES: usize = 3000;
    let (sink, paper) = sink(AS_ONE);
    sink.write_behind().unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for line in 0..LINES {
                    sink.append(format!("{thread} {line}\n").as_bytes(), line % 97 == 0);
                }
            });
        }
    });
    sink.flush();
    let mut next = [0; 4];
    for line in paper.text().lines() {
        let (thread, line) = line.split_once(' ').unwrap();
        let next = &mut next[thread.parse::<usize>().unwrap()];
        assert_eq!(line.parse::<usize>().unwrap(), *next);
        *next += 1;
    }
    assert_eq!(next, [LINES; 4]);
}

#[test]
fn where_too_much_waits_whoever_logs_waits_and_nothing_is_lost() {
    let (sink, paper) = sink(FULL);
    sink.write_behind().unwrap();
    locked(&paper.0).closed = true;
    let line = [vec![b'x'; 999], vec![b'\n']].concat();
    sink.append(&line, false);
    eventually(|| locked(&paper.0).waited_for);
    let logs = thread::spawn(move || (1..4000).for_each(|_| sink.append(&line, false)));
    // One share is being written, and as much as may wait does.
    eventually(|| locked(&sink.waiting).lines.len() > FULL - 1000);
    assert!(!logs.is_finished());
    assert!(locked(&sink.waiting).lines.len() <= FULL);
    locked(&paper.0).closed = false;
    logs.join().unwrap();
    sink.flush();
    assert_eq!(paper.text().len(), 4_000_000);
}

#[test]
fn a_pipe_gets_whole_lines_in_pieces_that_it_takes_as_one() {
    let (sink, paper) = sink(AS_ONE);
    locked(&sink.waiting).behind = true;
    for length in (1..300).chain([5000, 3]) {
        sink.append(&[vec![b'x'; length], vec![b'\n']].concat(), false);
    }
    sink.flush();
    let writes = &locked(&paper.0).writes;
    assert!(writes.len() < 20, "{}", writes.len());
    for write in writes {
        assert!(write.ends_with(b"\n") && (write.len() <= AS_ONE || write.len() == 5001));
    }
}

#[test]
fn what_a_full_disk_does_not_take_is_lost_and_a_line_that_it_tore_is_ended() {
    let (sink, paper) = sink(FULL);
    let leave = |bytes| locked(&paper.0).left = bytes;
    leave(Some(6));
    sink.append(b"one\n", false);
    sink.append(b"two\n", false);
    sink.append(b"three\n", false);
    assert_eq!(paper.text(), "one\ntw");
    assert_eq!(sink.lost(), 2);
    leave(None);
    sink.append(b"four\n", false);
    assert_eq!(paper.text(), "one\ntw\nfour\n");
    leave(Some(0));
    sink.append(b"five\n", false);
    leave(None);
    sink.append(b"six\n", false);
    assert_eq!(paper.text(), "one\ntw\nfour\nsix\n");
    assert_eq!(sink.lost(), 3);
}

#[test]
fn each_line_that_is_lost_is_counted_however_many_are_written_at_once() {
    let (sink, paper) = sink(FULL);
    locked(&sink.waiting).behind = true;
    locked(&paper.0).left = Some(0);
    for _ in 0..500 {
        sink.append(b"a line\n", false);
    }
    assert_eq!(sink.lost(), 0, "they wait");
    sink.flush();
    assert_eq!(sink.lost(), 500);
}

#[test]
fn a_panic_while_lines_are_written_waits_for_nobody() {
    let (sink, paper) = sink(FULL);
    locked(&sink.waiting).behind = true;
    sink.append(b"one\n", false);
    let writing = locked(&sink.out);
    sink.try_flush();
    drop(writing);
    assert_eq!(paper.text(), "");
    sink.try_flush();
    assert_eq!(paper.text(), "one\n");
}
