//! `audit`: whether the change log is what was written, what auditors are handed, and
//! what is taken out of it.

mod check;
mod erase;
mod export;
mod keys;

pub(crate) use self::export::{Out, export_into};
pub(crate) use self::keys::lines;
use crate::args::{AuditAction, AuditArgs};
use crate::exit::Failure;
use crate::screen::Screen;

pub(crate) async fn audit(screen: Screen, options: &AuditArgs) -> Result<(), Failure> {
    let file = &options.file;
    match &options.action {
        AuditAction::Verify(verify) if export::is_export(file) => check::export(screen, file, verify).await,
        AuditAction::Verify(verify) => check::store(screen, file, verify).await,
        AuditAction::Export(export) => export::export(screen, file, export).await,
        AuditAction::Checkpoint { json } => keys::checkpoint(screen, file, *json).await,
        AuditAction::Key { json } => keys::key(screen, file, *json).await,
        AuditAction::RotateKey { reason } => keys::rotate(screen, file, reason).await,
        AuditAction::NewOrigin { reason, origin } => {
            keys::new_origin(screen, file, origin.as_deref(), reason).await
        }
        AuditAction::Erase(erase) => erase::erase(screen, file, erase).await,
    }
}
