//! Between rows and the types of the core.

use std::str::FromStr;

use gofleet_core::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::StorageError;

/// Says what a failed statement was to do.
pub(crate) trait During<T> {
    fn during(self, action: &'static str) -> Result<T, StorageError>;
}

impl<T> During<T> for Result<T, sqlx::Error> {
    fn during(self, action: &'static str) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::Database { action, source })
    }
}

/// Columns by name, as what they mean.
pub(crate) trait Columns {
    fn text(&self, column: &'static str) -> Result<String, StorageError>;
    fn optional_text(&self, column: &'static str) -> Result<Option<String>, StorageError>;
    fn number(&self, column: &'static str) -> Result<u64, StorageError>;
    fn optional_number(&self, column: &'static str) -> Result<Option<u64>, StorageError>;
    fn time(&self, column: &'static str) -> Result<Timestamp, StorageError>;
    fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, StorageError>;

    fn flag(&self, column: &'static str) -> Result<bool, StorageError> {
        Ok(self.number(column)? != 0)
    }

    fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StorageError> {
        from_json(&self.text(column)?, column)
    }

    fn optional_json<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StorageError> {
        self.optional_text(column)?.map(|text| from_json(&text, column)).transpose()
    }

    fn parsed<T>(&self, column: &'static str) -> Result<T, StorageError>
    where
        T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        self.text(column)?.parse().map_err(|error| corrupt(column, error))
    }

    /// A value of an enum that serde writes as one word.
    fn word<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StorageError> {
        from_word(&self.text(column)?, column)
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &'static str) -> Result<String, StorageError> {
        self.try_get(column).during("read a row")
    }

    fn optional_text(&self, column: &'static str) -> Result<Option<String>, StorageError> {
        self.try_get(column).during("read a row")
    }

    fn number(&self, column: &'static str) -> Result<u64, StorageError> {
        self.try_get(column).map(from_i64).during("read a row")
    }

    fn optional_number(&self, column: &'static str) -> Result<Option<u64>, StorageError> {
        let number: Option<i64> = self.try_get(column).during("read a row")?;
        Ok(number.map(from_i64))
    }

    fn time(&self, column: &'static str) -> Result<Timestamp, StorageError> {
        self.try_get(column).map(Timestamp::from_millis).during("read a row")
    }

    fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, StorageError> {
        let time: Option<i64> = self.try_get(column).during("read a row")?;
        Ok(time.map(Timestamp::from_millis))
    }
}

pub(crate) fn corrupt(
    what: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> StorageError {
    StorageError::Corrupt { what, source: Box::new(source) }
}

pub(crate) fn from_json<T: DeserializeOwned>(
    text: &str,
    what: &'static str,
) -> Result<T, StorageError> {
    serde_json::from_str(text).map_err(|error| corrupt(what, error))
}

pub(crate) fn from_word<T: DeserializeOwned>(
    word: &str,
    what: &'static str,
) -> Result<T, StorageError> {
    use serde::de::value::{Error, StrDeserializer};
    T::deserialize(StrDeserializer::<Error>::new(word)).map_err(|error| corrupt(what, error))
}

pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the core's types have text keys and finite numbers")
}

pub(crate) fn optional_json(value: Option<&impl Serialize>) -> Option<String> {
    value.map(to_json)
}

/// The database's whole numbers are signed; ours that go there never reach 2^63.
pub(crate) fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A negative number is none that was written here; 0 keeps it harmless.
pub(crate) fn from_i64(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
