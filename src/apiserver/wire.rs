//! Protobuf as bytes: keys, numbers and texts of a message (protobuf.dev, "Encoding").

/// Appends a number in groups of seven bits, lowest first.
pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends the key of a field: its number, and on which of the wire's types its value follows.
pub(super) fn key(field: u64, wire: u64, out: &mut Vec<u8>) {
    varint(field << 3 | wire, out);
}

/// Appends a field that is a number or a flag.
pub(super) fn number(field: u64, value: u64, out: &mut Vec<u8>) {
    key(field, 0, out);
    varint(value, out);
}

/// Appends a field that is a text, bytes or a message.
pub(super) fn bytes(field: u64, value: &[u8], out: &mut Vec<u8>) {
    key(field, 2, out);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}
