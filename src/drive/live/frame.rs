//! What a child process says on its standard output: frames of a length, a type and a payload.
//!
//! In: signals and JSON notices. Out: the same on the other side of the pipe. A frame cut short by a dying child is an
//! end of file, never an error.

use std::io::{self, Read, Write};

/// A batch of measuring signals, in the encoding of `measure`.
pub(crate) const SIGNALS: u8 = 0;
/// A notice in JSON: ready, final figures, a failure.
pub(crate) const NOTICE: u8 = 1;

/// No frame is longer: a final notice of a manager with ten thousand leaves stays far below.
const LONGEST: usize = 64 << 20;

/// Writes one frame.
pub(crate) fn write(out: &mut impl Write, kind: u8, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let mut head = [0; 5];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4] = kind;
    out.write_all(&head)?;
    out.write_all(payload)
}

/// Reads one frame into `payload` and gives its type; `None` at the end of the stream, also in the middle of a frame.
pub(crate) fn read(from: &mut impl Read, payload: &mut Vec<u8>) -> io::Result<Option<u8>> {
    let mut head = [0; 5];
    if !fill(from, &mut head)? {
        return Ok(None);
    }
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if length > LONGEST {
        return Err(io::Error::other("a child sent a frame longer than any frame: its output is not ours"));
    }
    payload.resize(length, 0);
    Ok(fill(from, payload)?.then_some(head[4]))
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_and_a_cut_one_is_an_end() {
        let mut pipe = Vec::new();
        write(&mut pipe, SIGNALS, &[1, 2, 3]).unwrap();
        write(&mut pipe, NOTICE, b"{}").unwrap();
        let whole = pipe.len();
        for cut in 0..=whole {
            let mut from = &pipe[..cut];
            let mut payload = Vec::new();
            let mut seen = Vec::new();
            while let Some(kind) = read(&mut from, &mut payload).unwrap() {
                seen.push((kind, payload.clone()));
            }
            let all = [(SIGNALS, vec![1, 2, 3]), (NOTICE, b"{}".to_vec())];
            let complete = usize::from(cut >= 8) + usize::from(cut == whole);
            assert_eq!(seen, all[..complete], "cut at {cut}");
        }
    }

    #[test]
    fn a_length_out_of_range_is_refused_before_memory_is_taken() {
        let mut from = &[0xff, 0xff, 0xff, 0xff, 0][..];
        assert!(read(&mut from, &mut Vec::new()).is_err());
    }
}
