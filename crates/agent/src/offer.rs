//! Asking the user of this device: what everybody here may read of it, and how users' words are
//! taken.
//!
//! The agent runs with more rights than a user, so nothing that a user leaves is trusted. Offers
//! are shown in `offers/board.json` below the root, which the agent alone writes. Words are left in
//! `offers/notes`, into which everybody may put files and in which only the agent may look. A note
//! is taken by its name and kind (an ordinary file, no link, at most a kilobyte), read strictly,
//! judged by what the agent itself remembers, and removed. All that it can do is to accept or to
//! postpone an offer that stands.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use gofleet_core::offer::{Board, MAX_NOTE_BYTES, Note};
use gofleet_depot::Root;
use gofleet_platform::drop_folder::{create_drop_folder, read_small};
use gofleet_platform::{Access, atomic_write};

use crate::device::{Device, now};
use crate::facts;
use crate::ledger::LedgerError;

/// How often it is looked for notes while a user is asked; nothing tells of a file on every system.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many notes are taken at one look, so that nobody keeps the agent busy.
const MAX_TAKEN: usize = 16;
/// How many names are looked at for them.
const MAX_LOOKED_AT: usize = 1000;

/// Where the agent of a root shows its offers.
pub fn board_file(root: &Root) -> PathBuf {
    root.path().join("offers").join("board.json")
}

/// Where users of a root leave their words.
pub fn notes_folder(root: &Root) -> PathBuf {
    root.path().join("offers").join("notes")
}

/// What the agent of a root shows; nothing if it never offered anything.
///
/// # Errors
///
/// What the system said, or that it can't be understood.
pub fn board(root: &Root) -> io::Result<Board> {
    match fs::read(board_file(root)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Board::default()),
        Err(error) => Err(error),
    }
}

/// Makes the folder for notes, and clears it of what is none.
///
/// # Errors
///
/// What the system said.
pub fn prepare(root: &Root) -> io::Result<()> {
    let folder = notes_folder(root);
    if let Some(offers) = folder.parent() {
        fs::create_dir_all(offers)?;
    }
    create_drop_folder(&folder)?;
    for entry in fs::read_dir(&folder)?.take(MAX_LOOKED_AT).flatten() {
        if entry.file_name().to_str().and_then(Note::id_in).is_none() {
            // A folder of somebody's stays, and is not looked into.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

impl Device {
    /// Asks the user until there is another order.
    pub async fn ask_user(&self) -> Result<(), LedgerError> {
        loop {
            if self.ledger.borrow_mut().remind(now())? {
                self.notice_news.notify_one();
            }
            self.take_notes()?;
            self.show_offers();
            tokio::select! {
                () = self.order_news.notified() => return Ok(()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Shows what is so, if something else is shown.
    pub fn show_offers(&self) {
        let board = self.ledger.borrow().memory().board();
        if self.shown.borrow().as_ref() == Some(&board) {
            return;
        }
        let path = board_file(&self.root);
        let written = if board == Board::default() && !path.exists() {
            Ok(())
        } else {
            let bytes = serde_json::to_vec_pretty(&board).expect("a board has text keys");
            atomic_write(&path, &bytes, Access::Everyone)
        };
        match written {
            Ok(()) => drop(self.shown.replace(Some(board))),
            Err(error) => tracing::warn!(%error, "cannot show the offers to users"),
        }
    }

    /// Takes the notes that users have left.
    fn take_notes(&self) -> Result<(), LedgerError> {
        let entries = match fs::read_dir(notes_folder(&self.root)) {
            Ok(entries) => entries.take(MAX_LOOKED_AT).flatten(),
            Err(error) => {
                tracing::debug!(%error, "cannot look for users' notes");
                return Ok(());
            }
        };
        let names = entries.filter_map(|entry| {
            let name = entry.file_name();
            Some((Note::id_in(name.to_str()?)?.to_owned(), entry.path()))
        });
        for (id, path) in names.take(MAX_TAKEN) {
            let is_new = !self.ledger.borrow().memory().has_judged(&id);
            if is_new {
                match read_small(&path, MAX_NOTE_BYTES) {
                    Ok(Some(bytes)) => self.take_note(&id, &bytes)?,
                    // What it says is not told on: it may be anybody's file.
                    Ok(None) | Err(_) => tracing::warn!(note = id, "a note is no small file"),
                }
            }
            if let Err(error) = fs::remove_file(&path) {
                tracing::debug!(%error, note = id, "a note stays; it is not judged again");
            }
        }
        Ok(())
    }

    fn take_note(&self, id: &str, bytes: &[u8]) -> Result<(), LedgerError> {
        let Ok(note) = serde_json::from_slice::<Note>(bytes) else {
            tracing::warn!(note = id, "a note can't be understood");
            return Ok(());
        };
        let active = facts::active_version(&self.root);
        let verdict = self.ledger.borrow_mut().take_note(id, &note, now(), active.as_deref())?;
        match verdict {
            Ok(()) => tracing::info!(note = id, word = ?note.word, "a user has answered"),
            Err(why) => tracing::info!(note = id, word = ?note.word, "refused: {why}"),
        }
        self.report_news.notify_one();
        Ok(())
    }
}
