//! Paths as texts of the system that has them, which need not be the one that this runs on.

use crate::environment::Style;

impl Style {
    /// The components of a path. On Windows both slashes separate.
    pub(super) fn components(self, path: &str) -> Vec<&str> {
        let separates = |letter: char| letter == '/' || (self == Self::Windows && letter == '\\');
        path.split(separates).filter(|component| !component.is_empty()).collect()
    }

    /// Whether two names mean the same file.
    pub(super) fn is_same_text(self, left: &str, right: &str) -> bool {
        match self {
            Self::Windows => left.to_lowercase() == right.to_lowercase(),
            Self::Unix => left == right,
        }
    }

    pub(super) fn begins_with(self, text: &str, start: &str) -> bool {
        text.get(..start.len()).is_some_and(|begin| self.is_same_text(begin, start))
    }

    /// Whether two paths mean the same folder, links apart.
    pub(super) fn is_same_folder(self, left: &str, right: &str) -> bool {
        let (left, right) = (self.components(left), self.components(right));
        left.len() == right.len()
            && left.iter().zip(&right).all(|(left, right)| self.is_same_text(left, right))
    }
}
