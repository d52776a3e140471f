//! How the server names what comes without a name.

/// Characters of generated names (`k8s.io/apimachinery/pkg/util/rand`).
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// `prefix` cut to 58 characters and five drawn ones (`k8s.io/apiserver/pkg/storage/names`).
#[must_use]
pub fn generate_name(prefix: &str, draw: u64) -> String {
    let mut name: String = prefix.chars().take(58).collect();
    let mut rest = draw;
    for _ in 0..5 {
        name.push(char::from(ALPHABET[(rest % 27) as usize]));
        rest /= 27;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_keep_their_prefix_and_fit_a_label() {
        let name = generate_name(&"x".repeat(80), 12_345_678);
        assert_eq!(name.len(), 63);
        assert_ne!(generate_name("a-", 1), generate_name("a-", 2));
    }
}
