//! A form of times that stands in a config.

use super::form::strftime;
use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Utc};
use std::fmt::Write;

/// A configured form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    Strftime(String),
    EpochSeconds,
    EpochMillis,
    EpochMicros,
}

impl Format {
    /// The error says what is wrong with it. Airbyte's words are known too.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        match text {
            "epoch_s" | "%s" | "%s_as_float" => Ok(Self::EpochSeconds),
            "epoch_ms" | "%ms" => Ok(Self::EpochMillis),
            "epoch_us" | "%us" | "%epoch_microseconds" => Ok(Self::EpochMicros),
            pattern => {
                // Six digits, as in Airbyte; three for `%_ms`.
                let ours = pattern.replace("%_ms", "%3f").replace("%f", "%6f");
                if StrftimeItems::new(&ours).any(|item| matches!(item, Item::Error)) {
                    return Err(format!("`{pattern}` is no strftime pattern"));
                }
                Ok(Self::Strftime(ours))
            }
        }
    }

    /// Units per second, if it counts them.
    pub(super) fn unit(&self) -> Option<i128> {
        match self {
            Self::Strftime(_) => None,
            Self::EpochSeconds => Some(1),
            Self::EpochMillis => Some(1_000),
            Self::EpochMicros => Some(1_000_000),
        }
    }

    pub(super) fn pattern(&self) -> Option<&str> {
        match self {
            Self::Strftime(pattern) => Some(pattern),
            Self::EpochSeconds | Self::EpochMillis | Self::EpochMicros => None,
        }
    }

    pub(super) fn parse(&self, text: &str) -> Option<DateTime<Utc>> {
        strftime(text, self.pattern()?)
    }

    pub(super) fn write(&self, at: DateTime<Utc>) -> Option<String> {
        match self {
            Self::Strftime(pattern) => {
                let mut out = String::new();
                write!(out, "{}", at.format(pattern)).ok()?;
                Some(out)
            }
            Self::EpochSeconds => Some(at.timestamp().to_string()),
            Self::EpochMillis => Some(at.timestamp_millis().to_string()),
            Self::EpochMicros => Some(at.timestamp_micros().to_string()),
        }
    }
}
