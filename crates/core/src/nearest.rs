//! The name that was probably meant, for messages about one that means nothing.

/// The name that looks most like `text`; none if there are no names. Case and `-` for `_` count
/// little: `text` is compared in lower case.
pub fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    names.into_iter().min_by_key(|name| edit_distance(&text, &name.to_lowercase()))
}

/// How many characters must be put in, taken out or replaced (Levenshtein).
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        let names = ["listen", "data", "CheckCache"];
        for (text, expect) in [("lisen", "listen"), ("Data_dir", "data"), ("checkcash", names[2])] {
            assert_eq!(nearest(text, names), Some(expect), "{text}");
        }
        assert_eq!(nearest("x", []), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }
}
