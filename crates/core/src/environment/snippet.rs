//! The lines by which a shell on Unix puts gofleet's folder first: one marked block in a file that
//! is otherwise its owner's.

use thiserror::Error;

const BEGIN: &str = "# >>> gofleet >>> by `gofleet env apply`; `gofleet env undo` takes it out";
const END: &str = "# <<< gofleet <<<";

/// Why a file can't get the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SnippetError {
    /// The block begins and does not end, or ends without a beginning.
    #[error("gofleet's block in it is cut off")]
    CutOff,
}

/// The content of a file with the block: in place of the one that it has, else at its end. All
/// other bytes stay.
///
/// # Errors
///
/// [`SnippetError`] if it can't be told where the present block ends.
pub fn with_snippet(
    content: &[u8],
    bin: &str,
    unsets_goroot: bool,
) -> Result<Vec<u8>, SnippetError> {
    let block = block(bin, unsets_goroot);
    let (begin, end) = (find(content, BEGIN), find(content, END));
    let (before, after) = match (begin, end) {
        (Some(begin), Some(end)) if begin < end => {
            let line = content[end..].iter().position(|byte| *byte == b'\n');
            let behind = line.map_or(content.len(), |at| end + at + 1);
            (content[..begin].to_vec(), &content[behind..])
        }
        (None, None) => {
            let mut before = content.to_vec();
            if !before.is_empty() && !before.ends_with(b"\n") {
                before.push(b'\n');
            }
            (before, &[][..])
        }
        _ => return Err(SnippetError::CutOff),
    };
    Ok([&before, block.as_bytes(), after].concat())
}

/// Where a line with this text begins.
fn find(content: &[u8], text: &str) -> Option<usize> {
    let text = text.as_bytes();
    let begins = |at: usize| at == 0 || content[at - 1] == b'\n';
    let mut windows = content.windows(text.len()).enumerate();
    windows.find(|(at, window)| *window == text && begins(*at)).map(|(at, _)| at)
}

/// A shell that starts in a shell does not put the folder there a second time.
fn block(bin: &str, unsets_goroot: bool) -> String {
    let bin = format!("'{}'", bin.replace('\'', r"'\''"));
    let goroot = if unsets_goroot { "unset GOROOT\n" } else { "" };
    format!(
        "{BEGIN}\n{goroot}case \"$PATH:\" in\n  {bin}:*) ;;\n  *) PATH={bin}:\"$PATH\"; export PATH ;;\nesac\n{END}\n"
    )
}
