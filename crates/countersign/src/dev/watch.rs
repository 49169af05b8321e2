//! `--watch`: applies the estate whenever it is saved, as the directory's owner and through the same door as everyone.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use net::Stop;
use tokio::time::sleep;

use crate::control::Control;
use crate::estate::Bundle;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_millis(250);

/// Watches `estate` until asked to stop.
pub(super) async fn watch(estate: PathBuf, control: Arc<Control>, owner: u32, mut stop: Stop) {
    let mut seen = Bundle::read(&estate).ok();
    loop {
        tokio::select! {
            () = stop.asked() => return,
            () = sleep(EVERY) => {}
        }
        // a file that is being written is read again at the next look
        let Ok(bundle) = Bundle::read(&estate) else { continue };
        if seen.as_ref() == Some(&bundle) {
            continue;
        }
        seen = Some(bundle.clone());
        match control.apply_as_owner(bundle, owner).await {
            Ok(applied) => tracing::info!(epoch = applied.epoch, "applied what was saved"),
            Err(error) => tracing::error!(%error, "what was saved is not applied"),
        }
    }
}
