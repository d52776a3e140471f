//! The identity of an object: 128 bits in the shape of a random (version 4) UUID, made by hashing instead of drawing,
//! so that the same seed gives the same identities in every process that knows the names.

use sha2::{Digest, Sha256};
use std::fmt;

/// A uid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub u128);

impl Uid {
    /// The uid of the `incarnation`-th object of this name (0 for the first one; deleting and creating again counts up).
    #[must_use]
    pub fn derive(
        seed: u64,
        cluster: u32,
        group: &str,
        kind: &str,
        namespace: &str,
        name: &str,
        incarnation: u64,
    ) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(cluster.to_le_bytes());
        for part in [group, kind, namespace, name] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.update(incarnation.to_le_bytes());
        let digest = hash.finalize();
        let mut bits = [0_u8; 16];
        bits.copy_from_slice(&digest[..16]);
        Self::shaped(u128::from_be_bytes(bits))
    }

    /// RFC 9562: version 4 in the 49th to 52nd bit, variant `10` in the 65th and 66th.
    const fn shaped(bits: u128) -> Self {
        let versioned = (bits & !(0xf << 76)) | (0x4 << 76);
        Self((versioned & !(0x3 << 62)) | (0x2 << 62))
    }

    /// Reads the text form; `None` if it is not 36 characters of a UUID.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let dashes = text.len() == 36 && [8, 13, 18, 23].iter().all(|&at| text.as_bytes()[at] == b'-');
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        (dashes && digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok().map(Self)).flatten()
    }

    /// Appends the text form.
    pub fn write(self, out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        for (n, byte) in self.0.to_be_bytes().into_iter().enumerate() {
            if matches!(n, 4 | 6 | 8 | 10) {
                out.push(b'-');
            }
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(36);
        self.write(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_has_the_shape_of_version_four_and_survives_its_text() {
        for incarnation in 0..50 {
            let uid = Uid::derive(7, 3, "apps", "Deployment", "default", "web", incarnation);
            let text = uid.to_string();
            assert_eq!(text.as_bytes()[14], b'4', "{text}");
            assert!(b"89ab".contains(&text.as_bytes()[19]), "{text}");
            assert_eq!(Uid::parse(&text), Some(uid));
        }
    }

    #[test]
    fn every_part_of_the_name_changes_the_uid() {
        let one = Uid::derive(7, 3, "apps", "Deployment", "default", "web", 0);
        for other in [
            Uid::derive(8, 3, "apps", "Deployment", "default", "web", 0),
            Uid::derive(7, 4, "apps", "Deployment", "default", "web", 0),
            Uid::derive(7, 3, "app", "sDeployment", "default", "web", 0),
            Uid::derive(7, 3, "apps", "Deployment", "defaul", "tweb", 0),
            Uid::derive(7, 3, "apps", "Deployment", "default", "web", 1),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn what_is_no_uuid_is_not_read() {
        for text in ["", "x", "00000000-0000-0000-0000-00000000000g", "000000000000-0000-0000-000000000000-"] {
            assert_eq!(Uid::parse(text), None, "{text}");
        }
    }
}
